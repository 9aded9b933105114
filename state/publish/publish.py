"""The snapshot that analysts open: a copy of the writer's file, put in place by one rename."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import duckdb

from state.errors import StateError, reason
from state.history.history_files import sync
from state.publish.assemble import MemoryLimitError, assemble, opened
from state.publish.snapshot_views import SNAPSHOT
from state.schema.catalogue import LEDGER, TABLES
from state.schema.layout import stored_name
from state.schema.sql import quoted
from state.schema.tables.internal import SnapshotInfoRow
from state.write.data_mark import check_mark, published_mark
from state.write.worked_off import event_clock_us
from state.write.writer import StateWriter

HOLD_SECONDS = 600.0
"""So long at most is publishing put off while the flow reads again what it had written before."""

MIN_REST_SECONDS = 0.5
"""So long at least the writer waits before it looks whether it may publish what is left: it may be put off for long."""

UNFINISHED = ".monitors.duckdb.unfinished"


class Published(NamedTuple):
    """What publishing one snapshot took."""

    seconds: float
    size_bytes: int


class Publisher:
    """Publishes a writer's tables as `monitors.duckdb`, at most every `interval_seconds`.

    `clock` gives seconds since the epoch; it times the interval and is what `published_at` says. Readers keep
    the file that they have opened; whoever opens it next sees the new one; whenever the process dies, the
    last complete one stays. Every method may raise StateError.
    """

    def __init__(
        self, writer: StateWriter, data_dir: Path, interval_seconds: float, clock: Callable[[], float]
    ) -> None:
        self._writer = writer
        self._snapshot = data_dir / SNAPSHOT
        self._unfinished = data_dir / UNFINISHED
        self._interval_seconds = interval_seconds
        self._clock = clock
        self._published_at: float | None = None
        self._held_since: float | None = None
        # The writer's commits as of the last snapshot; what an earlier process committed may not be in one.
        self._commits = -1
        self._shown: int | None = None
        self.was_last = True
        """What was published last completed the snapshot: there is no other writer."""
        self._clean_up()

    def check_published(self) -> None:
        """See that the published snapshot is of this writer's file, and not of a later state of it: it is not to be
        replaced by one that knows less. Raises StateError."""
        published = published_mark(self._writer.connection, self._snapshot, self._writer.shard)
        if published is not None:
            check_mark(self._writer.path, self._writer.mark, published, str(self._snapshot))

    def _clean_up(self) -> None:
        """Remove what a process that died has left."""
        try:
            remove(self._unfinished)
        except OSError as error:
            raise StateError(f"{self._unfinished}: cannot be removed: {reason(error)}") from None

    def publish(
        self, force: bool = False, input_ended: bool = True, asked_at: float | None = None
    ) -> Published | None:
        """Publish what the writer has committed, if it is time and there is something new; None if not.

        It is time by `asked_at` (the clock's now, if it is not given): when an epoch ended whose rows are written
        only now. What comes an interval later to have the rest published would be too early by the clock.

        `force`, for the last time, does not wait for the interval. A flow that was stopped before its input
        ended says so then: if it has not caught up with what it had written before, the last snapshot is the
        better one, and stays.
        """
        now = self._clock()
        asked_at = now if asked_at is None else asked_at
        due = self._is_due(asked_at)
        if self._commits == self._writer.commits or not (force or due):
            return None
        if force and input_ended:
            self._writer.accept_positions()
        elif self._is_held(now):
            return None
        self._commits = self._writer.commits
        self._published_at = asked_at
        return self._show(now)

    def publish_epoch(self, ended_at: float, sent_at: float) -> Published | None:
        """Publish after an epoch, if it is time: it ended at this time, in seconds since the epoch. `sent_at` is what
        several shards go by (`SharedPublisher`)."""
        return self.publish(asked_at=ended_at)

    def rest_due_in(self) -> float | None:
        """In how many seconds `publish` may publish what is committed and not published yet; None: there is nothing."""
        if self._commits == self._writer.commits:
            return None
        ago = 0.0 if self._published_at is None else max(0.0, self._clock() - self._published_at)
        return max(MIN_REST_SECONDS, self._interval_seconds - ago)

    def take_shown(self) -> int | None:
        """As of how many commits of the writer its newest copy was that has come into a snapshot since the last time
        that this was asked; None: none has."""
        shown, self._shown = self._shown, None
        return shown

    def _is_due(self, now: float) -> bool:
        # A clock that was set back must not put it off for long.
        return self._published_at is None or not 0 <= now - self._published_at < self._interval_seconds

    def _is_held(self, now: float) -> bool:
        """Whether a snapshot would go back in time: the flow has resumed and not caught up."""
        if not self._writer.behind:
            self._held_since = None
            return False
        if self._held_since is None:
            self._held_since = now
        if now - self._held_since < HOLD_SECONDS:
            return True
        self._writer.accept_positions()
        self._held_since = None
        return False

    def _show(self, now: float) -> Published | None:
        if is_published(self._snapshot, self._writer.connection):
            return None
        started = time.perf_counter()
        try:
            for memory_mb in (self._writer.memory_mb, None):  # what a checkpoint needs is an estimate
                try:
                    self._writer.copy_to(self._unfinished)
                    with opened(self._unfinished, memory_mb) as copy:
                        size = assemble(copy, self._unfinished, self._snapshot.parent, now, started)
                    break
                except MemoryLimitError:
                    continue  # without a limit there is none
            put_in_place(self._unfinished, self._snapshot)
        finally:
            with contextlib.suppress(OSError):
                remove(self._unfinished)
        self._shown = self._commits
        return Published(time.perf_counter() - started, size)


def put_in_place(unfinished: Path, snapshot: Path) -> None:
    """Let a file that is complete and on disk be the snapshot. Raises StateError."""
    try:
        # Left by somebody who opened the last snapshot for writing; it does not fit the new one.
        snapshot.with_name(f"{snapshot.name}.wal").unlink(missing_ok=True)
        unfinished.replace(snapshot)
        sync(snapshot.parent)
    except OSError as error:
        raise StateError(f"{snapshot}: cannot publish: {reason(error)}") from None


_TABLES = ["partitions", "schema_info", *(name for name in TABLES if name != "partitions"), *LEDGER]
"""Positions first: while the flow moves on they differ, and nothing else has to be read."""
_ONE_FOR_ALL = ("partitions", "schema_info")
"""Every shard has all rows of these."""


def is_published(
    snapshot: Path, connection: duckdb.DuckDBPyConnection, prefixes: Sequence[str] = ("",)
) -> bool:
    """Whether the published snapshot holds the very rows that the shards have, whose tables' names in
    `connection` begin with these prefixes."""
    if not snapshot.exists():
        return False
    try:
        connection.execute(f"ATTACH {quoted(snapshot)} AS published (READ_ONLY)")
    except duckdb.Error:
        return False  # damaged, of another release, or opened by somebody for writing: replace it
    try:
        info = stored_name(connection, "published", SnapshotInfoRow.TABLE.name)
        shown = connection.execute(f"SELECT epoch_us(event_clock) FROM {info}").fetchone()  # noqa: S608
        return shown == (event_clock_us(connection, prefixes[0]),) and all(
            _content(connection, [stored_name(connection, "published", name)])
            == _content(
                connection, [prefix + name for prefix in prefixes[: 1 if name in _ONE_FOR_ALL else None]]
            )
            for name in _TABLES
        )
    except duckdb.Error:
        return False
    finally:
        connection.execute("DETACH published")


def _content(connection: duckdb.DuckDBPyConnection, names: Iterable[str]) -> list[int]:
    """Number of rows and sum of their hashes, over several tables."""
    figures = [
        connection.execute(
            f"SELECT count(*), coalesce(sum(hash(columns)), 0) FROM (FROM {name}) AS columns"  # noqa: S608
        ).fetchall()[0]
        for name in names
    ]
    return [sum(column) for column in zip(*figures, strict=True)]


def remove(file: Path) -> None:
    """Remove a DuckDB file, if it is there, and its log. Raises OSError."""
    file.unlink(missing_ok=True)
    file.with_name(f"{file.name}.wal").unlink(missing_ok=True)
