"""The snapshot that analysts open: a copy of the writer's file, put in place by one rename."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from state.assembly import assemble, quoted
from state.cold import LEDGER
from state.errors import StateError, reason
from state.snapshot_views import SNAPSHOT, hot_name
from state.tables import TABLES
from state.writer import StateWriter

HOLD_SECONDS = 600.0
"""So long at most is publishing put off while the flow reads again what it had written before."""

_UNFINISHED = ".monitors.duckdb.unfinished"


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
        if writer.shards > 1:
            # Each would replace the others' snapshot; docs/history.md says what publishing all of them takes.
            raise StateError("CRONWAX_STATE_SHARDS: publishing is only possible with 1 shard")
        self._writer = writer
        self._snapshot = data_dir / SNAPSHOT
        self._unfinished = data_dir / _UNFINISHED
        self._interval_seconds = interval_seconds
        self._clock = clock
        self._published_at: float | None = None
        self._held_since: float | None = None
        # The writer's commits as of the last snapshot; what an earlier process committed may not be in one.
        self._commits = -1
        try:
            _remove(self._unfinished)
        except OSError as error:
            raise StateError(f"{self._unfinished}: cannot be removed: {reason(error)}") from None

    def publish(self, force: bool = False, input_ended: bool = True) -> Published | None:
        """Publish what the writer has committed, if it is time and there is something new; None if not.

        `force`, for the last time, does not wait for the interval. A flow that was stopped before its input
        ended says so then: if it has not caught up with what it had written before, the last snapshot is the
        better one, and stays.
        """
        now = self._clock()
        if self._commits == self._writer.commits or not (force or self._is_due(now)):
            return None
        if force and input_ended:
            self._writer.accept_positions()
        elif self._is_held(now):
            return None
        self._commits = self._writer.commits
        self._published_at = now
        return None if self._is_current() else self._replace(now)

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

    def _replace(self, now: float) -> Published:
        started = time.perf_counter()
        try:
            self._writer.copy_to(self._unfinished)
            size = assemble(self._unfinished, self._snapshot.parent, now, started)
            # Left by somebody who opened the last snapshot for writing; it does not fit the new one.
            self._snapshot.with_name(f"{SNAPSHOT}.wal").unlink(missing_ok=True)
            self._unfinished.replace(self._snapshot)
            _sync_folder(self._snapshot.parent)
        except OSError as error:
            raise StateError(f"{self._snapshot}: cannot publish: {reason(error)}") from None
        finally:
            with contextlib.suppress(OSError):
                _remove(self._unfinished)
        return Published(time.perf_counter() - started, size)

    def _is_current(self) -> bool:
        """Whether the published snapshot holds the very rows that the writer has."""
        if not self._snapshot.exists():
            return False
        connection = self._writer.connection
        try:
            connection.execute(f"ATTACH '{quoted(self._snapshot)}' AS published (READ_ONLY)")
        except duckdb.Error:
            return False  # damaged, of another release, or opened by somebody for writing: replace it
        try:
            return all(
                _content(connection, f"published.main.{hot_name(connection, 'published', name)}")
                == _content(connection, name)
                for name in _TABLES
            )
        except duckdb.Error:
            return False
        finally:
            connection.execute("DETACH published")


_TABLES = ["partitions", "schema_info", *(name for name in TABLES if name != "partitions"), *LEDGER]
"""Positions first: while the flow moves on they differ, and nothing else has to be read."""


def _content(connection: duckdb.DuckDBPyConnection, name: str) -> Any:
    query = f"SELECT count(*), sum(hash(columns)) FROM (FROM {name}) AS columns"  # noqa: S608
    return connection.execute(query).fetchone()


def _remove(file: Path) -> None:
    file.unlink(missing_ok=True)
    file.with_name(f"{file.name}.wal").unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
