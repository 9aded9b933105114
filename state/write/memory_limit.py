"""How much memory the writer's database may take.

What a checkpoint needs goes by the widest row group, as it writes some all over, and without that it fails for good.
All that it may have beside it takes as a cache. So the limit is what is needed, and no less than a usual amount; and
while nothing is written, less: the snapshot that is made meanwhile needs as much again.
"""

from __future__ import annotations

import contextlib

import duckdb

from state.schema.catalogue import COLD_TABLES, TABLES
from state.schema.database import ROW_GROUP
from state.schema.table import Kind

LEAST_MB = 400
AT_REST_MB = 200
"""What it keeps as a cache from one transaction to the next."""
NEEDED = 3
"""How many times a row group a checkpoint may take: with 2 some fail."""
_TEXTS = (Kind.TEXT, Kind.JSON)


class MemoryLimit:
    """The limit of one database, as far as it is known what rows are written to it. Raises duckdb.Error."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._rows = dict.fromkeys(TABLES, 0)
        self._bytes = dict.fromkeys(TABLES, 0)
        """By table, of the row group that is being filled."""
        self._widest = max(map(self._stored, COLD_TABLES))
        self._set_mb = 0

    def add(self, name: str, rows: int, size_bytes: int) -> None:
        """Rows of a table are about to be written."""
        self._rows[name] += rows
        self._bytes[name] += size_bytes
        self._widest = max(self._widest, self._bytes[name])
        if self._rows[name] >= ROW_GROUP:
            self._rows[name] = self._bytes[name] = 0

    @property
    def needed_mb(self) -> int:
        """What it has to be."""
        return max(LEAST_MB, round(NEEDED * self._widest / 1_000_000))

    def apply(self) -> None:
        """Let it be that."""
        self._set(self.needed_mb)

    def rest(self) -> None:
        """Nothing is written for now: give back what is only kept as a cache."""
        self._set(AT_REST_MB)

    def _set(self, size_mb: int) -> None:
        if size_mb != self._set_mb:
            # Lowered while more is in use, it would be refused: the next time, then.
            with contextlib.suppress(duckdb.OutOfMemoryException):
                self._connection.execute(f"SET memory_limit = '{size_mb}MB'")
                self._set_mb = size_mb

    def _stored(self, name: str) -> int:
        """Bytes of text in the widest row group of a table, about: rows that are gone leave gaps."""
        texts = [f'strlen("{column.name}")' for column in TABLES[name].columns if column.kind in _TEXTS]
        row = " + ".join(f"coalesce({text}, 0)" for text in texts)
        found = self._connection.execute(
            f"SELECT max(bytes) FROM (SELECT sum({row}) AS bytes FROM {name}"  # noqa: S608
            f" GROUP BY rowid // {self._rows_of_group(name)})"
        ).fetchone()
        return int(found[0]) if found is not None and found[0] is not None else 0

    def _rows_of_group(self, name: str) -> int:
        """Of a table's largest row group: those of older files are as large as DuckDB makes them by itself."""
        found = self._connection.execute(
            "SELECT max(rows) FROM (SELECT sum(count) AS rows FROM pragma_storage_info(?)"
            " WHERE column_id = 0 AND segment_type <> 'VALIDITY' GROUP BY row_group_id)",
            [name],
        ).fetchone()
        return max(ROW_GROUP, int(found[0])) if found is not None and found[0] is not None else ROW_GROUP
