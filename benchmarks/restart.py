"""restart: from the start of the process to the first new output, with many environments in the recovery store."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import inputs, store
from benchmarks.report import Figures, Report, interleaved

SIZE = 1_000_000
_NEW_MESSAGES = 2_000


def run(size: int, runs: int) -> Report:
    """Prepare a store once, and resume copies of it."""
    report = Report("restart", size, runs)
    stream = inputs.stream(size, _NEW_MESSAGES)
    with TemporaryDirectory(prefix="cronwax-bench-") as name:
        folder = Path(name)
        print(f"restart: preparing a store of {size:,} environments", flush=True)
        store.prepare(size, folder / "prepared")

        def one_run() -> Figures:
            figures = store.resume(folder / "prepared", folder / "resumed", stream)
            wanted = ("start_s", "first_output_s", "store_mb", "peak_mb")
            return {figure: figures[figure] for figure in wanted}

        interleaved(report, {f"{size:,} environments": one_run})
    (figures,) = report.figures.values()
    report.aim("seconds to the first new output", figures["first_output_s"], "below 30")
    return report
