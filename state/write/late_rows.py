"""Rows that come after their hour was moved to a Parquet file, and deletes of such rows."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

import duckdb

from state.schema.catalogue import COLD_TABLES, TABLES
from state.schema.sql import column_list, without_late
from state.schema.table import Row

_TIMES = {name: attrgetter(history.time) for name, history in COLD_TABLES.items()}
"""A row's time."""


class LateRows:
    """Notes, as part of a commit, which rows now win over their like in the history, and which are deleted there.

    A row of an hour that was moved, and of which no version is in the database, may be in a file. One of a later hour
    is in none with this time; with another time one of its identity may be (`state.history.moved_rows`).
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, shard: int) -> None:
        self._connection = connection
        self._shard = shard
        self._moved_until: dict[str, int] = {}
        self.reload()

    def reload(self) -> None:
        """The history has moved on. Raises duckdb.Error."""
        rows = self._connection.execute(
            "SELECT table_name, epoch_us(moved_until) FROM history_progress WHERE moved_until IS NOT NULL"
        ).fetchall()
        self._moved_until = dict(rows)

    def on_write(self, name: str, rows: Sequence[Row]) -> list[str]:
        """What to execute before `incoming`, holding `rows`, replaces rows of a table."""
        moved_until = self._moved_until.get(name)
        if moved_until is None:
            return []
        if all(at is None or at >= moved_until for at in map(_TIMES[name], rows)):
            return []
        identity, time = TABLES[name].identity, COLD_TABLES[name].time
        columns = column_list([*identity, time])
        known = f"ANTI JOIN {name} AS hot USING ({column_list(identity)})"
        return [
            f"INSERT INTO late_{name} SELECT {self._shard}, {columns}"  # noqa: S608 - our own names
            f" FROM {without_late(name, f'incoming {known}')}"
            f" WHERE epoch_us({time}) < {moved_until}"
        ]

    def on_delete(self, name: str, length: int) -> list[str]:
        """What to execute when rows whose identities begin with the `length` columns of `incoming` are deleted."""
        if name not in self._moved_until:
            return []
        columns = column_list(TABLES[name].identity[:length])
        return [
            f"INSERT INTO deleted_{name} (shard, up_to_file, {columns})"  # noqa: S608 - our own names
            f" SELECT shard, next_file_id - 1, {columns}"
            f" FROM incoming, history_progress WHERE table_name = '{name}'"
        ]
