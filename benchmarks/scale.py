"""scale: the same number of messages over ever more monitors: time, memory, snapshots, and what recovery costs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import contender, inputs, store
from benchmarks.inputs import Input
from benchmarks.replay import per_message
from benchmarks.report import Figures, Report, interleaved, ratio

SIZE = 1_000_000
"""Messages, and the largest number of monitors."""


def run(size: int, runs: int) -> Report:
    """Messages to monitors that are all there already; then, for the largest number, recovery on against off."""
    report = Report("scale", size, runs)
    counts = [size // 1_000, size // 100, size // 10, size]
    names = {count: f"{count:,} monitors" for count in counts}
    with TemporaryDirectory(prefix="cronwax-bench-") as name:
        folder = Path(name)
        contenders = {}
        for count in counts:
            print(f"scale: preparing {names[count]}", flush=True)
            store.prepare(count, folder / f"prepared-{count}")
            contenders[names[count]] = _contender(count, size, folder)
        found = interleaved(report, contenders)
        overhead = _recovery(report, size, folder)
    most, middle = found[names[size]], found[names[size // 100]]
    aim = "at most 1.5"
    report.aim("time of a message, all monitors / a hundredth of them", ratio(most, middle, "us"), aim)
    report.ratios["the same, CPU"] = ratio(most, middle, "us_cpu")
    report.ratios["the same, steps alone"] = ratio(most, middle, "us_steps")
    held = report.figures[names[size]]["rss_bytes_per_monitor"]
    report.aim("resident bytes of an environment, all steps", held, "at most 1,536")
    report.aim("recovery on / off, time", overhead, "below 1.10")
    return report


def _contender(monitors: int, messages: int, folder: Path) -> Callable[[], Figures]:
    setup, stream = inputs.setup(monitors), inputs.stream(monitors, messages)

    def one_run() -> Figures:
        figures = store.resume(folder / f"prepared-{monitors}", folder / "resumed", stream)
        shutil.rmtree(folder / "resumed")
        flow = per_message(figures) | {"resume_s": figures["start_s"], "store_mb": figures["store_mb"]}
        steps = contender.run("steps", setup, folder / "steps", bench_stream=str(stream.path))
        return flow | {figure: value for figure, value in steps.items() if figure != "messages"}

    return one_run


def _recovery(report: Report, size: int, folder: Path) -> float:
    """Time with recovery over time without, from nothing to all monitors and through the stream."""
    source = store.join(inputs.setup(size), inputs.stream(size, size), folder / "all.jsonl")
    on, off = "all from nothing, recovery on", "all from nothing, recovery off"
    found = interleaved(
        report,
        {
            on: _whole(source, folder / "on", "--recovery", str(folder / "on" / "store")),
            off: _whole(source, folder / "off"),
        },
    )
    return ratio(found[on], found[off], "us")


def _whole(source: Input, folder: Path, *options: str) -> Callable[[], Figures]:
    def one_run() -> Figures:
        shutil.rmtree(folder, ignore_errors=True)
        figures = per_message(contender.run("flow", source, folder, *options))
        shutil.rmtree(folder)
        return figures

    return one_run
