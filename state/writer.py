"""Records into DuckDB: buffered by `write`, applied in one transaction by `commit`."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb

from state.arrow import to_arrow
from state.changes import Changes
from state.database import open_database, shard_path
from state.errors import StateError, reason
from state.statements import DELETE_REPLACED, INSERT, delete_starting_with
from state.tables import TABLES

Row = tuple[Any, ...]


class StateWriter:
    """One shard's tables, and the only process that may write them.

    What `write` took is in memory until `commit`; what `commit` returned from is on disk. Writing the same
    rows again changes nothing. Every method may raise StateError; after that the writer can only be closed.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, path: Path) -> None:
        self.connection = connection
        self.path = path
        self._changes = {name: Changes(len(table.columns), table.identity) for name, table in TABLES.items()}

    @classmethod
    def open(cls, data_dir: Path, shard: int = 0, shards: int = 1) -> StateWriter:
        """Open or create the file of `shard`, 0 to `shards` - 1, below `data_dir`. Raises StateError."""
        path = shard_path(data_dir, shard)
        return cls(open_database(path, shard, shards), path)

    def write(self, rows: dict[str, list[Row]]) -> None:
        """Take changes, by table and in order (`state.tables` says what a row means). Touches no disk."""
        for name, changes in rows.items():
            self._changes[name].add(changes)

    def commit(self) -> int:
        """Apply everything taken since the last commit, all or nothing; returns the number of upserts."""
        if not any(self._changes.values()):
            return 0
        try:
            self.connection.begin()
            written = sum(self._apply(name, changes) for name, changes in self._changes.items() if changes)
            self.connection.commit()
        except duckdb.Error as error:
            raise StateError(f"{self.path}: cannot write: {reason(error)}") from None
        for changes in self._changes.values():
            changes.clear()
        return written

    def close(self) -> None:
        """Give the file back. What was not committed is dropped."""
        self.connection.close()

    def _apply(self, name: str, changes: Changes) -> int:
        deletes, rows = changes.resolve()
        for length, prefixes in groupby(sorted(deletes, key=len), key=len):
            self._execute(name, list(prefixes), delete_starting_with(name, length))
        if rows:
            self._execute(name, rows, DELETE_REPLACED[name], INSERT[name])
        return len(rows)

    def _execute(self, name: str, incoming: list[Row], *statements: str) -> None:
        self.connection.register("incoming", to_arrow(TABLES[name], incoming))
        for statement in statements:
            self.connection.execute(statement)
        self.connection.unregister("incoming")
