"""What the published snapshot knows beside the messages: owners, usual durations, and whether an incident is still
there. Without a snapshot (Kafka, on another machine) nothing of it is known, and everything else works."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import duckdb

from cronwax.notify.events import Event
from state.errors import StateError
from state.publish.snapshot import open_snapshot
from state.publish.snapshot_views import SNAPSHOT

LOOK_SECONDS = 1.0
"""The pause between two looks whether another snapshot has been published, at least."""
USUAL_DAYS = 14
"""Runs of so many days before the event clock say what is usual."""
_USUAL = f"""
    SELECT median(duration_ms)::BIGINT FROM check_ins
    WHERE project_id = ? AND slug = ? AND environment = ? AND status = 'ok' AND duration_ms > 0
        AND date_added >= event_clock() - INTERVAL {USUAL_DAYS} DAY
"""  # noqa: S608 - a number of ours


class SnapshotFacts:
    """Asks the newest snapshot. Whatever keeps it from being read counts as not known."""

    def __init__(self, data_dir: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._data_dir = data_dir
        self._monotonic = monotonic
        self._looked = -LOOK_SECONDS
        self._stamp: tuple[int, int] | None = None
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._monitors: dict[tuple[int, str], str | None] = {}

    @property
    def is_there(self) -> bool:
        """Whether there is a snapshot to ask."""
        self._look()
        return self._connection is not None

    def knows(self, project_id: int, slug: str) -> bool:
        """Whether it has the monitor."""
        self._look()
        return (project_id, slug) in self._monitors

    def owner(self, project_id: int, slug: str) -> str | None:
        """The monitor's owner; None: nobody, or not known."""
        self._look()
        return self._monitors.get((project_id, slug))

    def usual_ms(self, event: Event) -> int | None:
        """How long runs of an environment that succeed usually take; None: not known."""
        self._look()
        if self._connection is None or event.project_id is None or not event.status:
            return None
        try:
            given = [event.project_id, event.slug, event.environment]
            row = self._connection.execute(_USUAL, given).fetchone()
        except duckdb.Error:
            return None
        return int(row[0]) if row is not None and row[0] is not None else None

    def gone(self, events: Iterable[Event]) -> list[str]:
        """Keys of those whose incident is no longer in the tables: monitor or environment was deleted, which sends
        nothing. The snapshot must be later than they are."""
        self._look()
        if self._connection is None:
            return []
        try:
            clock = self._connection.execute("SELECT epoch_us(event_clock())").fetchone()
            known = {
                key for (key,) in self._connection.execute("SELECT fingerprint FROM incidents").fetchall()
            }
        except duckdb.Error:
            return []
        if clock is None or clock[0] is None:
            return []
        return [
            event.key
            for event in events
            if event.kind in ("failure", "flapping")
            and event.at_us is not None
            and event.at_us < clock[0]
            and event.key not in known
        ]

    def close(self) -> None:
        """Let the snapshot go."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _look(self) -> None:
        """Open another snapshot if there is one."""
        now = self._monotonic()
        if now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        try:
            found = os.stat(self._data_dir / SNAPSHOT)
        except OSError:
            return
        stamp = found.st_ino, found.st_mtime_ns
        if stamp == self._stamp:
            return
        # DuckDB would open a path that is open once more, not the file that is there now.
        self.close()
        try:
            connection = open_snapshot(self._data_dir, {"threads": 1})
            monitors = connection.execute("SELECT project_id, slug, owner FROM monitors").fetchall()
        except (StateError, duckdb.Error, OSError):
            return
        self._connection, self._stamp = connection, stamp
        self._monitors = {(project, slug): owner for project, slug, owner in monitors}
