"""How far the key groups have worked off the ticks of the event clock.

Inputs may have been read much further: after a long silence days of misses are worked off piece by piece. The published
event clock is no further than the slowest key group. Each writer's file has that
in its `snapshot_info`, of which all other columns are for published files.
"""

from __future__ import annotations

from collections.abc import Mapping

import duckdb

Clock = int | None
"""Time in µs since the epoch; None: none yet."""


def event_clock_us(connection: duckdb.DuckDBPyConnection, prefix: str = "") -> Clock:
    """Up to when the tables of a writer's file, whose names begin with `prefix`, hold everything: as far as inputs
    were read, and what that brings about is worked off. Of all shards if it is as of the same epoch in all. Raises
    duckdb.Error."""
    found = connection.execute(
        f"SELECT epoch_us(min(clock)) FROM {prefix}partitions"  # noqa: S608 - our own names
        f" UNION ALL SELECT epoch_us(event_clock) FROM {prefix}snapshot_info"
    ).fetchall()
    clocks = [clock for (clock,) in found]
    return None if None in clocks else min(clocks)


class WorkedOff:
    """The slowest key group."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, groups: int, is_new: bool) -> None:
        """`groups`: how many key groups report; 0: none does, what the file says stays. `is_new`: nothing was read into
        the file yet. Raises duckdb.Error."""
        self._groups = groups
        self._clocks: dict[int, Clock] = {}
        """What was reported since the start, by key group."""
        row = connection.execute("SELECT epoch_us(event_clock) FROM snapshot_info").fetchone()
        self._stored: tuple[Clock] | None = row
        """As the file says; None: a file of an earlier release says nothing."""
        self._reached = row
        """The furthest."""
        if row is None and is_new and groups:
            self._reached = (None,)

    def take(self, clocks: Mapping[int, Clock]) -> None:
        """Key groups have come to these ticks, with the records that are being written."""
        self._clocks |= clocks
        now = self._now()
        if now is not None and (self._reached is None or _order(now) >= _order(self._reached)):
            self._reached = now

    @property
    def behind(self) -> bool:
        """What the file holds is being worked off again, and is not yet where it had been."""
        now = self._now()
        return now is not None and self._reached is not None and _order(now) < _order(self._reached)

    def accept(self) -> None:
        """Take where the key groups are for the true place, if it is behind."""
        self._reached = self._now() or self._reached

    @property
    def is_changed(self) -> bool:
        """Whether the file is to say something else."""
        return self._reached != self._stored

    def write(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Note it in the file, within a transaction. Raises duckdb.Error."""
        if self._reached is None or not self.is_changed:
            return
        set_clock = "event_clock = make_timestamptz(?)"
        if self._stored is None:
            connection.execute("INSERT INTO snapshot_info (event_clock) VALUES (NULL)")
        connection.execute(f"UPDATE snapshot_info SET {set_clock}", [*self._reached])  # noqa: S608 - our own text
        self._stored = self._reached

    def _now(self) -> tuple[Clock] | None:
        """The slowest; None as long as some have not reported."""
        if not self._groups or len(self._clocks) < self._groups:
            return None
        return (min(self._clocks.values(), key=lambda clock: _order((clock,))),)


def _order(clock: tuple[Clock]) -> int:
    return -1 if clock[0] is None else clock[0]
