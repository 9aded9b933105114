"""The Parquet files of one shard's history, and the list of them in its database."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import duckdb

from state.errors import StateError, reason
from state.schema.catalogue import COLD_TABLES
from state.schema.sql import quoted

FOLDER = "history"
"""In the data folder."""

_ROW_GROUP = 20_480
"""Rows that are compressed together: whoever writes or reads a file has as many in memory at once."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAME = re.compile(r"\.?(\d{3})-\d{6,}\.(parquet|unfinished)")


class NewFile(NamedTuple):
    """A file that is not listed yet: to be written (without rows), or complete and on disk."""

    table: str
    file_id: int
    path: str
    day_us: int
    rows: int
    size_bytes: int


class HistoryFiles:
    """Writes and removes files `history/TABLE/date=YYYY-MM-DD/SHARD-NUMBER.parquet`; a name is never used twice.

    Methods may raise StateError or duckdb.Error.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, data_dir: Path, shard: int) -> None:
        self._connection = connection
        self._data_dir = data_dir
        self._shard = shard
        self._make_counters()
        self._remove_unlisted()

    def write(self, table: str, day_us: int, query: str) -> NewFile | None:
        """Write what a query gives, all of one day, to a file; None if that is nothing."""
        return self.fill(self._connection, self.reserve(table, day_us), query)

    def reserve(self, table: str, day_us: int) -> NewFile:
        """A name for a file that is to be written."""
        file_id = self._take_id(table)
        day = _EPOCH + timedelta(microseconds=day_us)
        path = f"{FOLDER}/{table}/date={day:%Y-%m-%d}/{self._shard:03d}-{file_id:06d}.parquet"
        return NewFile(table, file_id, path, day_us, 0, 0)

    def fill(self, connection: duckdb.DuckDBPyConnection, file: NewFile, query: str) -> NewFile | None:
        """Write what a query gives to a file whose name was reserved, by any connection; None if that is nothing."""
        target = self._data_dir / file.path
        unfinished = target.with_name(f".{target.stem}.unfinished")
        order = f" ORDER BY {', '.join(COLD_TABLES[file.table].order)}"
        try:
            _make_folder(target.parent, self._data_dir)
            try:
                rows = _copy(connection, f"FROM ({query}){order}", unfinished)
            except duckdb.OutOfMemoryException:
                # Unsorted it takes a row group at a time; of a day, one sorted file after the other is nearly as good.
                rows = _copy(connection, f"FROM ({query})", unfinished)
            if not rows:
                unfinished.unlink()
                return None
            sync(unfinished)
            unfinished.replace(target)
            sync(target.parent)
            return file._replace(rows=rows, size_bytes=target.stat().st_size)
        except OSError as error:
            raise StateError(f"{target}: cannot write: {reason(error)}") from None

    def list_new(self, files: Iterable[NewFile], whole_day: bool) -> None:
        """Make files part of the history; within a transaction."""
        for file in files:
            self._connection.execute(
                "INSERT INTO history_files VALUES (?, ?, ?, ?, make_timestamptz(?), ?, ?, ?, NULL)",
                [
                    *(file.table, self._shard, file.file_id, file.path, file.day_us, whole_day),
                    *(file.rows, file.size_bytes),
                ],
            )

    def remove_superseded(self, before: datetime) -> int:
        """Remove the files that have not been part of the history since a time; returns how many."""
        paths = self._connection.execute(
            "DELETE FROM history_files WHERE superseded_at < ? RETURNING path", [before]
        ).fetchall()
        for (path,) in paths:
            self.remove(path)
        return len(paths)

    def remove(self, path: str) -> None:
        """Remove a file that is not part of the history, by its path below the data folder."""
        self._remove(self._data_dir / path)

    def _make_counters(self) -> None:
        for table in COLD_TABLES:
            self._connection.execute(
                "INSERT INTO history_progress SELECT $1, $2, NULL, 0"
                " WHERE NOT EXISTS (FROM history_progress WHERE table_name = $1)",
                [table, self._shard],
            )

    def _take_id(self, table: str) -> int:
        # Committed by itself before the file exists: what is found unlisted is then known to be this state's.
        rows = self._connection.execute(
            "UPDATE history_progress SET next_file_id = next_file_id + 1 WHERE table_name = ?"
            " RETURNING next_file_id - 1",
            [table],
        ).fetchall()
        return int(rows[0][0])

    def _remove_unlisted(self) -> None:
        """Remove what a process that died had written and not listed, or taken off the list and not removed."""
        found = [
            path
            for path in sorted((self._data_dir / FOLDER).glob("*/date=*/*"))
            if (match := _NAME.fullmatch(path.name)) and int(match[1]) == self._shard
        ]
        listed = {
            self._data_dir / path
            for (path,) in self._connection.execute("SELECT path FROM history_files").fetchall()
        }
        (used,) = self._connection.execute("SELECT sum(next_file_id) FROM history_progress").fetchone() or (
            0,
        )
        if not used and any(path.suffix == ".parquet" for path in found):
            raise StateError(
                f"{self._data_dir / FOLDER}: holds the history of another state than the one in this folder;"
                " move it away"
            )
        for path in found:
            if path not in listed:
                self._remove(path)

    def _remove(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StateError(f"{path}: cannot be removed: {reason(error)}") from None
        with contextlib.suppress(OSError):
            path.parent.rmdir()  # if it was the day's last file


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy(connection: duckdb.DuckDBPyConnection, query: str, target: Path) -> int:
    ((rows,),) = connection.execute(
        f"COPY ({query}) TO {quoted(target)} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROW_GROUP})"
    ).fetchall()
    return int(rows)


def _make_folder(folder: Path, within: Path) -> None:
    """Make a folder below another one, each of them on disk before anything is in it."""
    if folder.is_dir():
        return
    if folder != within:
        _make_folder(folder.parent, within)
    folder.mkdir(exist_ok=True)
    sync(folder.parent)
