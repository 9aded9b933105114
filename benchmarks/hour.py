"""hour: what an epoch costs the tables as an hour goes on, without the flow: rows of check-ins straight to the writer.

`--size` is check-ins a second, each a run of its own, of 120,000 environments in turn; epochs last 10 s of event time,
360 of them, each committed, moved to the history as far as that is due, and published. They follow one another at once;
so a day's compaction, which comes with the next day, is not part of it.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from pathlib import Path
from random import Random
from statistics import median
from typing import NamedTuple

from benchmarks.inputs import SEED, START_S, project_of
from benchmarks.report import Figures, Report, ratio
from dataflow.start import SWITCH_SECONDS
from state.history.history import History, Limits
from state.publish.publish import Publisher
from state.publish.snapshot_views import SNAPSHOT
from state.schema.catalogue import Rows
from state.schema.table import Row
from state.schema.tables.internal import PartitionRow
from state.schema.tables.monitors import EnvironmentRow
from state.schema.tables.runs import CheckInRow
from state.write.writer import StateWriter

SIZE = 8_000
ENVIRONMENTS = 120_000
EPOCH_S = 10
EPOCHS = 360
_NAP_S = 0.001
_PART = 6
"""Of an hour, this many parts are shown."""


class _Epoch(NamedTuple):
    commit_cpu_s: float
    history_cpu_s: float
    publish_cpu_s: float
    publish_s: float
    hot_rows: int
    writer_mb: float
    snapshot_mb: float
    own_mb: float
    """Resident memory without files that are mapped, which the system takes back when it likes: the filters of moved
    rows grow with them."""
    others_wait_ms: float
    """The longest that another thread waited for the GIL."""


class _Waiting(threading.Thread):
    """A thread that has next to nothing to do, as a worker between two batches: how long it waits for the GIL."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._longest_s = 0.0
        self._is_over = threading.Event()

    def end(self) -> None:
        """Let the thread end."""
        self._is_over.set()
        self.join()

    def run(self) -> None:
        before = time.perf_counter()
        while not self._is_over.wait(_NAP_S):
            now = time.perf_counter()
            self._longest_s = max(self._longest_s, now - before - _NAP_S)
            before = now

    def take_ms(self) -> float:
        """The longest since the last call."""
        longest_s, self._longest_s = self._longest_s, 0.0
        return longest_s * 1e3


def run(size: int, runs: int) -> Report:
    """One hour, however many runs are asked for; each sixth of it is a row."""
    report = Report("hour", size, runs)
    before = sys.getswitchinterval()
    with tempfile.TemporaryDirectory(prefix="cronwax-bench-") as name:
        epochs = _epochs(Path(name), size, EPOCHS)
    sys.setswitchinterval(before)
    length = len(epochs) // _PART
    parts = [_figures(epochs[at * length : (at + 1) * length]) for at in range(_PART)]
    for number, figures in enumerate(parts):
        report.figures[f"minutes {number * 10} to {number * 10 + 10}"] = figures
    for figure in ("snapshot_mb", "own_mb"):
        last = ratio([parts[-1]], [parts[_PART // 2]], figure)
        report.aim(f"{figure}, the last ten minutes to those at half time", last, "at most 1.02")
    return report


def _figures(epochs: list[_Epoch]) -> Figures:
    figures = {name: median(getattr(epoch, name) for epoch in epochs) for name in _Epoch._fields}
    return {**figures, "publish_s_longest": max(epoch.publish_s for epoch in epochs)}


def _epochs(folder: Path, rate: int, count: int) -> list[_Epoch]:
    writer = StateWriter.open(folder)
    history = History(writer, folder, Limits(), time.time)
    publisher = Publisher(writer, folder, 0, time.time)
    random, epochs, waiting = Random(SEED), [], _Waiting()
    sys.setswitchinterval(SWITCH_SECONDS)
    waiting.start()
    for number in range(count):
        writer.write(_rows(random, rate, number))
        waiting.take_ms()
        began = time.process_time()
        writer.commit()
        committed = time.process_time()
        history.maintain()
        moved, at = time.process_time(), time.perf_counter()
        publisher.publish()
        published, published_at = time.process_time(), time.perf_counter()
        waited_ms = waiting.take_ms()
        (hot,) = writer.connection.execute("SELECT count(*) FROM check_ins").fetchall()[0]
        epochs.append(
            _Epoch(
                committed - began,
                moved - committed,
                published - moved,
                published_at - at,
                hot,
                writer.path.stat().st_size / 1e6,
                (folder / SNAPSHOT).stat().st_size / 1e6,
                _own_mb(),
                waited_ms,
            )
        )
    waiting.end()
    history.close()
    writer.close()
    return epochs


def _rows(random: Random, rate: int, epoch: int) -> Rows:
    """What an epoch brings: check-ins that went well, and the environments that they are of."""
    began_us = (START_S + epoch * EPOCH_S) * 1_000_000
    first, total = epoch * EPOCH_S * rate, EPOCH_S * rate
    runs: list[Row] = []
    environments: list[Row] = []
    for number in range(total):
        monitor, at_us = (first + number) % ENVIRONMENTS, began_us + number * EPOCH_S * 1_000_000 // total
        project_id, slug = project_of(monitor), f"job-{monitor:07d}"
        runs.append(
            CheckInRow(
                project_id=project_id,
                slug=slug,
                environment="production",
                check_in_id=random.randbytes(16),
                status="ok",
                duration_ms=number % 60_000,
                date_added=at_us,
                date_updated=at_us,
                expected_time=at_us // 60_000_000 * 60_000_000,
                timeout_at=None,
                trace_id=random.randbytes(16),
            )
        )
        environments.append(
            EnvironmentRow(
                project_id=project_id,
                slug=slug,
                environment="production",
                status="ok",
                is_muted=False,
                last_checkin=at_us,
                next_checkin=at_us + 60_000_000,
                next_checkin_latest=at_us + 120_000_000,
                open_incident_id=None,
                updated_at=at_us,
                is_flapping=False,
            )
        )
    clock_us = (began_us + EPOCH_S * 1_000_000) // 60_000_000 * 60_000_000
    position = PartitionRow(topic="checkins", partition=0, position=first + total, clock=clock_us)
    return {"check_ins": runs, "monitor_environments": environments[-ENVIRONMENTS:], "partitions": [position]}


def _own_mb() -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon:"))
