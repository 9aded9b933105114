"""clock: what a tick costs, with 1 % of the monitors due each minute, and with ten times fewer monitors but as many
due; and a jump of 24 hours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import contender
from benchmarks.inputs import Input
from benchmarks.report import Figures, Report, interleaved, ratio

SIZE = 1_000_000
_NOTHING = Input(Path("none"), Path("none"), 0)


def run(size: int, runs: int) -> Report:
    """The transition step alone: all that is due is late and is missed."""
    report = Report("clock", size, runs)
    due = max(1, size // 100)
    many, few = f"{size:,} monitors", f"{size // 10:,} monitors"
    with TemporaryDirectory(prefix="cronwax-bench-") as name:
        found = interleaved(
            report,
            {many: _contender(size, due, Path(name)), few: _contender(size // 10, due, Path(name))},
        )
    aim = "at most 1.2"
    report.aim(
        "cost of a tick, all monitors / a tenth of them", ratio(found[many], found[few], "ms_a_tick"), aim
    )
    return report


def _contender(monitors: int, due: int, folder: Path) -> Callable[[], Figures]:
    def one_run() -> Figures:
        figures = contender.run("clock", _NOTHING, folder, "--monitors", str(monitors), "--due", str(due))
        del figures["messages"]
        return figures

    return one_run
