"""Records into DuckDB: buffered by `write`, applied in one transaction by `commit`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

import duckdb

from state.errors import StateError, reason
from state.schema.catalogue import TABLES, rows_of
from state.schema.database import open_database, shard_path
from state.schema.table import Row
from state.schema.tables.internal import PartitionRow
from state.write.arrow import rows_to_arrow, values_to_arrow
from state.write.changes import Changes, Prefix
from state.write.data_mark import read_mark
from state.write.input_positions import Positions
from state.write.late_rows import LateRows
from state.write.memory_limit import MemoryLimit
from state.write.statements import DELETE_REPLACED, INSERT, delete_starting_with
from state.write.worked_off import Clock, WorkedOff

_COPY_BYTES = 16 * 1024 * 1024
_PARTITIONS = PartitionRow.TABLE.name


class Moved(Protocol):
    """What knows the rows that are in files."""

    def hide(self, name: str, incoming: Any) -> None:
        """Let rows in files that these (an Arrow table) take the place of count no more, within their transaction."""


class StateWriter:
    """One shard's tables, and the only process that may write them.

    What `write` took is in memory until `commit`; what `commit` returned from is on disk. Writing the same
    rows again changes nothing. Every method may raise StateError; after that the writer can only be closed.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        path: Path,
        shard: int = 0,
        shards: int = 1,
        key_groups: int = 0,
    ) -> None:
        self.connection = connection
        self.path = path
        self.shard = shard
        self.shards = shards
        self._late = LateRows(connection, shard)
        self._changes = {name: Changes(table) for name, table in TABLES.items()}
        reached = _reached(connection)
        self._positions = Positions(reached)
        self._worked_off = WorkedOff(connection, key_groups, not reached)
        self._memory = MemoryLimit(connection)
        self.mark = read_mark(connection, shard)
        """Which file this is, and how often records were committed to it."""
        self.commits = 0
        """How many transactions this writer has committed."""
        self.moved: Moved | None = None
        """Set by whoever moves rows to files; None: nobody does."""
        # Kept open as long as the database: closing any descriptor of a file drops the process's locks on it,
        # and another flow could write it too.
        try:
            self._file = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise StateError(f"{path}: cannot read: {reason(error)}") from None

    @classmethod
    def open(cls, data_dir: Path, shard: int = 0, shards: int = 1, key_groups: int = 0) -> StateWriter:
        """Open or create the file of `shard`, 0 to `shards` - 1, below `data_dir`. `key_groups`: how many there are
        that say how far they have worked off (`work_off`); 0: none does. Raises StateError."""
        path = shard_path(data_dir, shard)
        return cls(open_database(path, shard, shards), path, shard, shards, key_groups)

    @property
    def memory_mb(self) -> int:
        """What the database may take: so much a checkpoint of these tables needs."""
        return self._memory.needed_mb

    def take_memory(self) -> None:
        """Before a transaction: the database may have what it needs, until a copy is made. Raises StateError."""
        try:
            self._memory.apply()
        except duckdb.Error as error:
            raise self._error(error) from None

    @property
    def behind(self) -> bool:
        """The flow is reading again what is in the tables already, and is not yet where it had been."""
        return self._positions.behind or self._worked_off.behind

    def write(
        self, rows: Mapping[str, Sequence[Row]], deletes: Mapping[str, Sequence[Prefix]] | None = None
    ) -> None:
        """Take changes, by table: deletes, and then rows in order. Touches no disk."""
        for name, prefixes in (deletes or {}).items():
            self._changes[name].delete(prefixes)
        for name, changes in rows.items():
            if name == _PARTITIONS:
                self._changes[name].add(self._positions.advance(rows_of(rows, PartitionRow)))
            else:
                self._changes[name].add(changes)

    def work_off(self, clocks: Mapping[int, Clock]) -> None:
        """By key group, up to which tick everything is in the tables, with what the shards have written since the last
        commit."""
        self._worked_off.take(clocks)

    def commit(self) -> int:
        """Apply everything taken since the last commit, all or nothing; returns the number of changes."""
        if not any(self._changes.values()) and not self._worked_off.is_changed:
            return 0
        try:
            self._memory.apply()
            self.connection.begin()
            written = sum(self._apply(name, changes) for name, changes in self._changes.items() if changes)
            written += self._worked_off.is_changed
            self._worked_off.write(self.connection)
            self._memory.apply()
            self.connection.execute("UPDATE data_info SET commits = commits + 1")
            self.connection.commit()
        except duckdb.Error as error:
            raise self._error(error) from None
        for changes in self._changes.values():
            changes.clear()
        self.commits += 1
        self.mark = self.mark._replace(commits=self.mark.commits + 1)
        return written

    def history_moved(self) -> None:
        """Rows were moved to or from the history, in a transaction of its own: there is something new to publish, and
        which rows are late goes by what is in files now."""
        try:
            self._late.reload()
        except duckdb.Error as error:
            raise self._error(error) from None
        self.commits += 1

    def accept_positions(self) -> None:
        """Commit, taking positions that are behind for the true ones: the flow will not catch up."""
        self._changes[_PARTITIONS].add(self._positions.accept())
        self._worked_off.accept()
        self.commit()

    def copy_to(self, target: Path) -> int:
        """Copy the committed tables into a new file, complete and on disk; returns its size in bytes."""
        try:
            self._memory.apply()
            self.connection.execute("CHECKPOINT")
            self._memory.rest()
        except duckdb.Error as error:
            raise self._error(error) from None
        try:
            with target.open("wb", buffering=0) as copy:
                size = _copy(self._file, copy.fileno())
                os.fsync(copy.fileno())
        except OSError as error:
            raise StateError(f"{target}: cannot write: {reason(error)}") from None
        return size

    def close(self) -> None:
        """Give the file back. What was not committed is dropped."""
        if self._file >= 0:
            self.connection.close()
            os.close(self._file)
            self._file = -1

    def _apply(self, name: str, changes: Changes) -> int:
        deletes, rows = changes.resolve()
        for length, prefixes in groupby(sorted(deletes, key=len), key=len):
            self._execute(
                values_to_arrow(TABLES[name].leading(length), list(prefixes)),
                *self._late.on_delete(name, length),
                delete_starting_with(name, length),
            )
        if rows:
            incoming = rows_to_arrow(TABLES[name].columns, rows)
            self._memory.add(name, len(rows), incoming.nbytes)
            if self.moved is not None:
                self.moved.hide(name, incoming)
            self._execute(
                incoming,
                *self._late.on_write(name, rows),
                DELETE_REPLACED[name],
                INSERT[name],
            )
        return len(deletes) + len(rows)

    def _execute(self, incoming: Any, *statements: str) -> None:
        self.connection.register("incoming", incoming)
        for statement in statements:
            self.connection.execute(statement)
        self.connection.unregister("incoming")

    def _error(self, error: duckdb.Error) -> StateError:
        return StateError(f"{self.path}: cannot write: {reason(error)}")


def _copy(source: int, target: int) -> int:
    """Copy a file from its beginning, by file descriptors; returns its size. The system does it alone where it can
    (on some file systems without copying at all)."""
    size = 0
    if hasattr(os, "copy_file_range"):
        with contextlib.suppress(OSError):  # not between these two: whatever it is, the other way says so too
            while count := os.copy_file_range(source, target, _COPY_BYTES, size, size):
                size += count
    while block := os.pread(source, _COPY_BYTES, size):
        size += os.pwrite(target, block, size)
    return size


def _reached(connection: duckdb.DuckDBPyConnection) -> list[PartitionRow]:
    rows = connection.execute(
        'SELECT topic, "partition", "position", epoch_us(clock) FROM partitions'
    ).fetchall()
    return [
        PartitionRow(topic=topic, partition=partition, position=position, clock=clock)
        for topic, partition, position, clock in rows
    ]
