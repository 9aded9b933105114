"""storm: all jobs fail within a minute, and recover within another: an incident each. Beside it, the same jobs well."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import inputs, store
from benchmarks.inputs import Input
from benchmarks.replay import per_message
from benchmarks.report import Figures, Report, interleaved, ratio

SIZE = 100_000


def run(size: int, runs: int) -> Report:
    """Monitors (`size`) that are all there already; each sends two check-ins."""
    report = Report("storm", size, runs)
    with TemporaryDirectory(prefix="cronwax-bench-") as name:
        folder = Path(name)
        print(f"storm: preparing {size:,} monitors", flush=True)
        store.prepare(size, folder / "prepared")

        def contender(fails: bool) -> Callable[[], Figures]:
            source = inputs.storm(size, fails)
            return lambda: _taken(source, folder)

        found = interleaved(report, {"all fail": contender(True), "all well": contender(False)})
    fails = report.figures["all fail"]["us_cpu"]
    report.aim("CPU of a message of the storm, us", fails, "at most 60")
    report.ratios["CPU, all fail to all well"] = ratio(found["all fail"], found["all well"], "us_cpu")
    return report


def _taken(source: Input, folder: Path) -> Figures:
    return per_message(store.resume(folder / "prepared", folder / "resumed", source))
