"""The snapshot of several shards: each hands in a copy of its file, and the last one makes one file of them.

The input positions of copies, and how far key groups have worked off, show which of them fit together. Every shard gets
all of that (dataflow/flow.py), and commits at the ends of epochs only: two shards with the same positions have read the
same messages, and nothing else. So copies wait in `state/copies/POSITIONS/`, a folder for each set of
positions, and a folder that holds all shards is a complete state as of one epoch.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import duckdb

from state.errors import StateError, reason
from state.history.history_files import sync
from state.publish.assemble import assemble, opened
from state.publish.publish import Published, Publisher, is_published, put_in_place, remove
from state.schema.catalogue import LEDGER, TABLES
from state.schema.sql import quoted
from state.write.worked_off import event_clock_us
from state.write.writer import StateWriter

KEPT_COPIES = 8
"""A shard that is ahead of another one keeps at most this many copies for it; while it is further ahead, nothing can be
published."""

_JOINED = [*(name for name in TABLES if name != "partitions"), *LEDGER, "data_info"]
"""The tables of which each shard has rows of its own."""


class _Copy(NamedTuple):
    path: Path
    commits: int
    """Of the writer, as of which it was taken."""


class SharedPublisher(Publisher):
    """Publishes a shard's tables together with those of the other ones.

    `clock` must give all shards the same time at the end of the same epoch, so that they copy at the same ones;
    without it, it is when the epoch's newest positions were sent.
    Nobody waits: a shard puts its copy where the others do, and goes on; whose copy is the last one assembles
    the snapshot. Every method may raise StateError.
    """

    def __init__(
        self,
        writer: StateWriter,
        data_dir: Path,
        interval_seconds: float,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._sent_at = 0.0
        self._copies = writer.path.parent / "copies"
        self._lock = writer.path.parent / "publish.lock"
        self._waiting: list[_Copy] = []
        """This shard's copies that were in no snapshot yet when it last looked, the newest last."""
        self._due_at: float | None = None
        super().__init__(writer, data_dir, interval_seconds, clock or (lambda: self._sent_at))

    def publish_epoch(self, ended_at: float, sent_at: float) -> Published | None:
        """Publish after an epoch, if it is time by `sent_at`: when its newest positions were sent to all shards, 0 if
        none were. Without positions the other shards may have had none of it."""
        self._sent_at = sent_at
        return self.publish() if sent_at else None

    def rest_due_in(self) -> float | None:
        """None: the shards copy at the same epochs only, and an epoch without positions is none of those. Sources send
        positions again (dataflow/connectors/echo.py)."""
        return None

    def _clean_up(self) -> None:
        with self._locked():
            try:
                for copy in list(self._copies.glob(f"*/{self._writer.path.stem}.*")):
                    _remove_copy(copy)
            except OSError as error:
                raise StateError(f"{self._copies}: cannot be emptied: {reason(error)}") from None
            super()._clean_up()

    def _is_due(self, now: float) -> bool:
        # Not by when this shard published last: the shards would come to copy at different epochs.
        due = self._due_at is None or not 0 <= now - self._due_at < self._interval_seconds
        if due:
            self._due_at = now
        return due

    def _show(self, now: float) -> Published | None:
        started = time.perf_counter()
        self.was_last = False
        with self._locked():
            self._forget_shown()
            path = self._begin_copy()
        self._hand_in(path)
        with self._locked():
            for copy in reversed(self._waiting):
                if self._is_complete(copy.path.parent):
                    self._shown = copy.commits
                    return self._assemble(copy.path.parent, started)
        return None

    def _forget_shown(self) -> None:
        """Whoever completed a set took the copies away; what is older will never be complete."""
        gone = [number for number, copy in enumerate(self._waiting, 1) if not copy.path.exists()]
        if gone:
            self._shown = self._waiting[gone[-1] - 1].commits
        self._drop(max(gone, default=0))
        self._drop(len(self._waiting) - KEPT_COPIES + 1)

    def _drop(self, count: int) -> None:
        """Drop the oldest copies."""
        for copy in self._waiting[: max(0, count)]:
            try:
                _remove_copy(copy.path)
            except OSError as error:
                raise StateError(f"{copy.path}: cannot be removed: {reason(error)}") from None
        self._waiting = self._waiting[max(0, count) :]

    def _begin_copy(self) -> Path:
        """A place for a copy, in a folder that stays, as there is something in it."""
        copy = self._copies / _positions(self._writer.connection) / self._writer.path.name
        try:
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.with_suffix(".unfinished").touch()
        except OSError as error:
            raise StateError(f"{copy}: cannot write: {reason(error)}") from None
        return copy

    def _hand_in(self, copy: Path) -> None:
        try:
            self._writer.copy_to(copy.with_suffix(".unfinished"))
            copy.with_suffix(".unfinished").replace(copy)
            sync(copy.parent)
        except OSError as error:
            raise StateError(f"{copy}: cannot write: {reason(error)}") from None
        older = [each for each in self._waiting if each.path != copy]
        self._waiting = [*older, _Copy(copy, self._commits)]

    def _is_complete(self, folder: Path) -> bool:
        return all(copy.exists() for copy in self._all_copies(folder))

    def _all_copies(self, folder: Path) -> list[Path]:
        stem = self._writer.path.stem[: -len("000")]
        return [folder / f"{stem}{shard:03d}.duckdb" for shard in range(self._writer.shards)]

    def _assemble(self, folder: Path, started: float) -> Published | None:
        self.was_last = True
        first, *others = self._all_copies(folder)
        try:
            size = self._join(first, others, started)
            if size is None:
                return None
            first.replace(self._unfinished)
            put_in_place(self._unfinished, self._snapshot)
        except OSError as error:
            raise StateError(f"{folder}: cannot publish: {reason(error)}") from None
        finally:
            with contextlib.suppress(OSError):
                for copy in (first, *others):
                    _remove_copy(copy)
        return Published(time.perf_counter() - started, size)

    def _join(self, first: Path, others: Sequence[Path], started: float) -> int | None:
        """Make a snapshot of the first copy and the rows of the others; its size, None if it is published already."""
        with opened(first) as connection:
            prefixes = [f"shard_{number}.main." for number in range(1, self._writer.shards)]
            for number, copy in enumerate(others, 1):
                connection.execute(f"ATTACH {quoted(copy)} AS shard_{number} (READ_ONLY)")
            if is_published(self._snapshot, connection, ["", *prefixes]):
                return None
            connection.begin()
            for name in _JOINED:
                rows = " UNION ALL BY NAME ".join(f"FROM {prefix}{name}" for prefix in prefixes)
                connection.execute(f"INSERT INTO {name} BY NAME {rows}")
            connection.commit()
            return assemble(connection, first, self._snapshot.parent, time.time(), started)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One shard at a time, of all processes; whoever dies gives the lock back."""
        try:
            descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise StateError(f"{self._lock}: cannot write: {reason(error)}") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _positions(connection: duckdb.DuckDBPyConnection) -> str:
    """A name for how far all inputs have been written, and key groups have worked off."""
    rows = connection.execute(
        'SELECT topic, "partition", "position", epoch_us(clock) FROM partitions ORDER BY ALL'
    ).fetchall()
    rows.append((event_clock_us(connection),))
    return blake2b(repr(rows).encode(), digest_size=16).hexdigest()


def _remove_copy(copy: Path) -> None:
    """Under the lock: another shard may be about to join it, or to put its own into the folder."""
    remove(copy)
    with contextlib.suppress(OSError):
        copy.parent.rmdir()  # if it was the last one in there
