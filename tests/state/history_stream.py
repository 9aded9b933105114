"""A stream of records that uses all of the history, and a process that writes it, again and again from where it was.

One step is two hours of events. `expected` is what must come out, worked out with dictionaries.
"""

from __future__ import annotations

import os
import signal
import sys
from datetime import timedelta
from pathlib import Path
from threading import Lock
from types import FrameType
from typing import Any

from msgspec.structs import replace

import state.history.history
from state.history.history import History, Limits
from state.publish.publish import Publisher
from state.publish.shared_publish import SharedPublisher
from state.schema.tables.runs import CheckInRow, ProcessingErrorRow
from state.write.writer import StateWriter
from tests import quick_database
from tests.state.state_rows import MINUTE_US, START_US, check_in, guid, monitor, partition, row, take

STEPS = 42
"""Three days and a half: the oldest day is dropped."""
MONITORS = 6
RUNS = 5
"""Of each monitor, in a step."""
RETENTION_DAYS = 2
LIMITS = Limits(hot_rows=200, retention_days={"check_ins": RETENTION_DAYS})
DELETED_AT = 30
"""At this step monitor m3 is deleted; from the next on it is there again."""
REPLAYED = 3
"""A resumed flow writes so many steps again."""
USED_AGAIN = 15
"""A guid is used again so many steps later."""
STEP_MINUTES = 120
KINDS = "kinds.txt"
"""The file in the data folder that names what reached the disk: who wrote, renamed or removed something."""


def records(step: int) -> dict[str, list[Any]]:
    """What the flow writes in one epoch."""
    rows: list[Any] = []
    for number in range(MONITORS * RUNS):
        rows.append(run(step, number, "in_progress" if number == 4 else "ok"))
    if step >= 5:
        rows.append(run(step - 5, 4, "ok"))
    if step >= USED_AGAIN:
        old = run(step - USED_AGAIN, 3, "ok")
        rows.append(replace(old, status="error", date_added=run(step, 3, "ok").date_added))
    if step % 4 == 0 and step > 25:
        rows += [run(step - back, number, "timeout") for back in (10, 23) for number in (5, 9)]
    if step == DELETED_AT:
        rows.append((1, "m3"))
    return {
        "monitors": [monitor(slug=f"m{number}") for number in range(MONITORS)],
        "check_ins": rows,
        "processing_errors": [failure(step, number) for number in range(10)],
        "partitions": [partition(step + 1, (step + 1) * STEP_MINUTES)],
    }


def run(step: int, number: int, status: str) -> CheckInRow:
    slug, minute = f"m{number % MONITORS}", step * STEP_MINUTES + number
    return replace(check_in(step * 1000 + number, status, slug=slug, minute=minute), trace_id=guid(step))


def failure(step: int, number: int) -> ProcessingErrorRow:
    at = START_US + (step * STEP_MINUTES + number) * MINUTE_US
    return row(
        ProcessingErrorRow,
        *(guid(step * 1000 + number), at, ["MONITOR_NOT_FOUND"], b'[{"type": "MONITOR_NOT_FOUND"}]', b"{}"),
        *(1, "nope", None, None, "checkins", 0, step * 1000 + number),
    )


def expected(steps: int = STEPS) -> tuple[dict[bytes, str], set[bytes]]:
    """Statuses of check-ins by guid, and ids of errors, after so many steps."""
    runs: dict[bytes, CheckInRow] = {}
    for step in range(steps):
        for change in records(step)["check_ins"]:
            if isinstance(change, tuple):
                runs = {id_: old for id_, old in runs.items() if old.slug != change[1]}
            else:
                runs[change.check_in_id] = change
    day = steps * STEP_MINUTES // 1440
    cut = START_US + (day - RETENTION_DAYS) * 1440 * MINUTE_US
    statuses = {id_: run.status for id_, run in runs.items() if run.date_added >= cut}
    return statuses, {failure(step, number).error_id for step in range(steps) for number in range(10)}


def work(data_dir: Path, kill_at: int, steps: int, shards: int = 1, kind: str = "") -> None:
    """Write the stream from where it was; die before the `kill_at`-th time that something must reach the disk, or
    that this kind of thing must. Kinds are written down in `KINDS`."""
    watch_writes(data_dir / KINDS, kill_at, kind)
    state.history.history.KEEP_SUPERSEDED = timedelta(seconds=float(os.environ.get("KEEP_SECONDS", "0")))
    clock = iter(range(START_US // 1_000_000, 2**40))

    def now() -> float:
        return float(next(clock))

    with quick_database.trusted():
        writers = [StateWriter.open(data_dir, shard, shards) for shard in range(shards)]
    limits = LIMITS._replace(hot_rows=LIMITS.hot_rows // shards)
    histories = [History(writer, data_dir, limits, now) for writer in writers]
    step = 0
    if shards == 1:
        publishers = [Publisher(writers[0], data_dir, 3, now)]
    else:
        publishers = [SharedPublisher(writer, data_dir, 3, lambda: float(step)) for writer in writers]
    for step in range(max(0, min(map(position, writers)) - REPLAYED), steps):
        for shard, writer in enumerate(writers):
            take(writer, **share(records(step), shard, shards))
            writer.commit()
            histories[shard].maintain()
            if step % 3:
                histories[shard].wait()
            publishers[shard].publish()
            shown = publishers[shard].take_shown()
            if shown is not None:
                histories[shard].clean_up(shown)
    for publisher, writer in zip(publishers, writers, strict=True):
        histories[writer.shard].close()
        publisher.publish(force=True)
        writer.close()


def position(writer: StateWriter) -> int:
    ((found,),) = writer.connection.execute("SELECT coalesce(max(position), 0) FROM partitions").fetchall()
    return int(found)


def share(rows: dict[str, list[Any]], shard: int, shards: int) -> dict[str, list[Any]]:
    """What of an epoch's records goes to one shard: rows of a monitor to one, positions to all."""
    by_monitor = {
        name: [row for row in rows[name] if int(_slug(row).removeprefix("m")) % shards == shard]
        for name in ("monitors", "check_ins")
    }
    errors = [row for row in rows["processing_errors"] if row.offset % shards == shard]
    return {**by_monitor, "processing_errors": errors, "partitions": rows["partitions"]}


def _slug(change: Any) -> str:
    return str(change[1] if isinstance(change, tuple) else change.slug)


def watch_writes(seen: Path, kill_at: int, kind: str) -> None:
    """Write down each new kind of thing that must reach the disk; die before one of them, unless `kill_at` is 0."""
    left = kill_at
    known = set(kinds_in(seen))
    lock = Lock()

    def watched(name, function):
        def call(*arguments, **options):
            nonlocal left
            this = f"{name} in {_caller()}"
            with lock:
                if this not in known:
                    known.add(this)
                    with seen.open("a") as file:
                        file.write(f"{this}\n")
                left -= kind in ("", this)
                if kill_at and left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)

        return call

    for name in ("fsync", "replace", "unlink"):
        setattr(os, name, watched(name, getattr(os, name)))


def kinds_in(seen: Path) -> list[str]:
    """What was written down."""
    return seen.read_text().splitlines() if seen.exists() else []


def _caller() -> str:
    """The function of ours that writes, renames or removes a file, and the one that calls it."""
    names: list[str] = []
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and len(names) < 2:
        if frame.f_globals["__name__"].startswith("state."):
            names.append(frame.f_code.co_name)
        frame = frame.f_back
    return ", of ".join(names)


if __name__ == "__main__":
    quick_database.install()
    folder, kill_at, steps, shards, kind = sys.argv[1:]
    work(Path(folder), int(kill_at), int(steps), int(shards), kind)
