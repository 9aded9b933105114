"""readers: what analysts cost the flow: a replay with and without eight readers and one that holds a snapshot."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import contender, inputs
from benchmarks.contender import Failed
from benchmarks.inputs import Input
from benchmarks.report import Figures, Report, interleaved, ratio

SIZE = 1_000_000
READERS = 8
_PAUSE_S = 1.0


def run(size: int, runs: int) -> Report:
    """The replay's input, as fast as it goes, alone; with readers that pause; with readers that never do.

    On few cores readers that never pause take the flow's CPU, as any other work would: they run at the lowest
    priority (nice 19), and CPU seconds tell what waiting for readers would cost.
    """
    report = Report("readers", size, runs)
    source = inputs.replay(size)
    pausing, looping = (
        f"{READERS} readers, each every {_PAUSE_S:.0f} s",
        f"{READERS} readers in a loop, nice 19",
    )
    with TemporaryDirectory(prefix="cronwax-bench-") as name:
        folder = Path(name)
        found = interleaved(
            report,
            {
                "alone": _contender(source, folder / "alone"),
                pausing: _contender(source, folder / "pausing", _PAUSE_S),
                looping: _contender(source, folder / "looping", 0.0, 19),
            },
        )
    aim = "below 1.10"
    report.aim(
        "time of a message, readers that pause / alone", ratio(found[pausing], found["alone"], "us"), aim
    )
    report.aim(
        "time of a message, readers in a loop / alone", ratio(found[looping], found["alone"], "us"), aim
    )
    report.ratios["the same, CPU, readers that pause"] = ratio(found[pausing], found["alone"], "us_cpu")
    report.ratios["the same, CPU, readers in a loop"] = ratio(found[looping], found["alone"], "us_cpu")
    report.notes.append(
        "One more reader holds the first snapshot to the end. No read failed or was inconsistent."
    )
    return report


def _contender(
    source: Input, folder: Path, pause_s: float | None = None, niceness: int = 0
) -> Callable[[], Figures]:
    def one_run() -> Figures:
        shutil.rmtree(folder, ignore_errors=True)
        with _readers(folder / "data", pause_s, niceness) as what_they_saw:
            figures = contender.run("flow", source, folder, publish_interval="0")
        messages = figures["messages"]
        return {
            "us": figures["seconds"] / messages * 1e6,
            "us_cpu": figures["cpu_seconds"] / messages * 1e6,
            "reads": 0.0,
            "snapshots_read": 0.0,
            "read_s": 0.0,
        } | what_they_saw

    return one_run


@contextmanager
def _readers(data_dir: Path, pause_s: float | None, niceness: int) -> Iterator[Figures]:
    """Readers for as long as the flow runs. Raises Failed if one of them failed, or saw what cannot be."""
    figures: Figures = {}
    if pause_s is None:
        yield figures
        return
    command = [
        "nice",
        "-n",
        str(niceness),
        sys.executable,
        "-m",
        "benchmarks.reader",
        str(data_dir),
        str(pause_s),
    ]
    holding: list[list[str]] = [[]] * READERS + [["--hold"]]
    readers = [
        subprocess.Popen([*command, *hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for hold in holding
    ]
    try:
        yield figures
    finally:
        told = [json.loads(reader.communicate()[0] or '{"failures": ["died"]}') for reader in readers]
    if wrong := [each for each in told if each["failures"] or each["wrong"]]:
        raise Failed(f"readers: {wrong[0]}")
    figures["reads"] = sum(each["reads"] for each in told)
    figures["snapshots_read"] = max(each["snapshots"] for each in told)
    figures["read_s"] = max(each["read_s"] for each in told)
