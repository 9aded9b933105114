"""One new file for all of a day's, made in a thread while the flow goes on.

The work is done by a DuckDB of its own, from Parquet files, which do not change, and from what the writer's database
says about their rows at the start. What has changed since is sorted out when the file becomes part of the history:

- Rows written since are hot, and noted as late: the new file's versions of them do not count.
- Deletes since hold for files up to the newest number; the new file has its number from the start.
- If one of the day's files has ceased to count since, by retention, the new one is dropped.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from state.errors import StateError, reason
from state.history.history_files import HistoryFiles, NewFile
from state.history.history_tables import (
    Part,
    cold_queries,
    day_condition,
    delete_lengths_query,
    parts_query,
)
from state.history.moved_rows import MovedRows
from state.schema.catalogue import COLD_TABLES, TABLES
from state.schema.sql import column_list, late_columns, only_late, quoted

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    # One thread, as the flow needs the others.
    "threads": 1,
    # Sorting takes that for a day of some 60,000 messages, or millions of check-ins; beyond it, it is left out.
    "memory_limit": "250MB",
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}


class Compaction:
    """The rewriting of one day of one table. All but the thread's work is done in the writer's turn.

    1. Construction: notes what the rows of the day's files are worth now, and starts the thread.
    2. `is_done`: the file is complete and on disk.
    3. `finish`: within a transaction, the file takes the place of the others.

    Methods may raise duckdb.Error or StateError.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        files: HistoryFiles,
        data_dir: Path,
        name: str,
        day_us: int,
        scratch: Path,
    ) -> None:
        self.name = name
        self._connection = connection
        self._files = files
        self._columns = column_list(TABLES[name].names)
        self._identity = column_list(TABLES[name].identity)
        parts = [
            Part(*row)
            for row in connection.execute(parts_query(name, day_condition("f.day", day_us))).fetchall()
        ]
        self._paths = [part.path for part in parts]
        connection.execute("SET arrow_lossless_conversion = true")
        self._late = self._fetch(f"FROM late_{name} WHERE {day_condition(COLD_TABLES[name].time, day_us)}")
        self._hot = self._fetch(f"SELECT {self._columns} FROM {self._movable(day_us)}")  # noqa: S608 - our own names
        self._deleted = self._fetch(f"FROM deleted_{name}")
        lengths = [length for (length,) in connection.execute(delete_lengths_query(name)).fetchall()]
        root = quoted(f"{data_dir}/")
        queries = cold_queries(name, self._columns, parts, lengths, root)
        self._query = " UNION ALL ".join([*queries, f"SELECT {self._columns} FROM hot_{name}"])  # noqa: S608
        self._reserved = files.reserve(name, day_us)
        self._engine = duckdb.connect(config={**_CONFIG, "temp_directory": str(scratch)})
        self._file: NewFile | None = None
        self._failure: str | None = None
        self._thread = threading.Thread(target=self._write, name="compaction", daemon=True)
        self._thread.start()

    @property
    def is_done(self) -> bool:
        """The thread has ended."""
        return not self._thread.is_alive()

    def wait(self) -> None:
        """Wait for the thread."""
        self._thread.join()

    def abandon(self) -> None:
        """Let the history be as it is; what was written is removed."""
        with contextlib.suppress(duckdb.ConnectionException):  # it has ended
            self._engine.interrupt()
        self._thread.join()
        self._drop()

    def finish(self, now: datetime, moved: MovedRows) -> bool:
        """Let the new file take the place of the day's files; False if it came too late. Within a transaction."""
        (live,) = self._one(
            "SELECT count(*) FROM history_files WHERE path IN (SELECT unnest(?)) AND superseded_at IS NULL",
            self._paths,
        )
        if live < len(self._paths):
            self._drop()
            return False
        if self._failure is not None:
            raise StateError(self._failure)
        self._connection.execute(
            "UPDATE history_files SET superseded_at = ? WHERE path IN (SELECT unnest(?))", [now, self._paths]
        )
        with self._registered(was_hot=self._hot, was_late=self._late):
            if self._file is not None:
                moved.add(self.name, "FROM was_hot", self._file, flush=True)
            self._take_off_hot()
        self._files.list_new([self._file] if self._file is not None else [], whole_day=True)
        # Deletes that all files are younger than.
        self._connection.execute(
            f"DELETE FROM deleted_{self.name} WHERE up_to_file < (SELECT coalesce(min(file_id), 1::BIGINT << 60)"  # noqa: S608
            f" FROM history_files WHERE table_name = '{self.name}' AND superseded_at IS NULL)"
        )
        return True

    def _take_off_hot(self) -> None:
        """Rows that are in the file as they are now are hot no more; the others stay, and stay late."""
        name, columns = self.name, TABLES[self.name].names
        same = " AND ".join(f'hot."{column}" IS NOT DISTINCT FROM was_hot."{column}"' for column in columns)
        self._connection.execute(f"DELETE FROM {name} AS hot USING was_hot WHERE {same}")  # noqa: S608
        late = late_columns(name)
        self._connection.execute(
            f"DELETE FROM late_{name} WHERE ({late}) IN (SELECT ({late}) FROM was_late)"  # noqa: S608
            f" AND ({late}) NOT IN (SELECT ({late}) FROM was_hot"
            f" SEMI JOIN {name} AS hot USING ({self._identity}))"
        )

    def _write(self) -> None:
        name = self.name
        try:
            with self._engine as engine:
                engine.execute("SET TimeZone = 'UTC'")
                for table, rows in ((f"late_{name}", self._late), (f"deleted_{name}", self._deleted)):
                    engine.register(table, rows)
                engine.register(f"hot_{name}", self._hot)
                self._file = self._files.fill(engine, self._reserved, self._query)
        except StateError as error:
            self._failure = str(error)
        except (duckdb.Error, OSError) as error:
            self._failure = f"{self._reserved.path}: cannot write: {reason(error)}"

    def _movable(self, day_us: int) -> str:
        table = COLD_TABLES[self.name]
        source = f"(FROM {self.name} WHERE {table.movable} AND {day_condition(table.time, day_us)}) AS hot"
        return only_late(self.name, source)

    def _drop(self) -> None:
        if self._file is not None:
            with contextlib.suppress(StateError):
                self._files.remove(self._file.path)

    def _fetch(self, query: str) -> Any:
        return self._connection.sql(query).to_arrow_table()

    @contextlib.contextmanager
    def _registered(self, **tables: Any) -> Iterator[None]:
        for name, table in tables.items():
            self._connection.register(name, table)
        try:
            yield
        finally:
            for name in tables:
                self._connection.unregister(name)

    def _one(self, query: str, *parameters: Sequence[str]) -> tuple[int, ...]:
        return self._connection.execute(query, list(parameters)).fetchall()[0]
