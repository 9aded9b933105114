"""Which rows are in files of the history already, though what comes now has another time.

Rows of one identity are one row. Of a row that is written again with the same time it is known from its time alone
whether it may be in a file (`state.write.late_rows`). But a job may use a guid again, years after the run that had it:
then its new row, of today, takes the place of the old one, wherever that is.

A filter beside the state (`RowFilter`) knows the identities of all rows in files. What it has never seen, nearly
everything, is new. Of the rest the files themselves are asked: those of the row's own day first, where a row is that is
only written again, and then all others. What is found there is noted as late, with its own time, and counts no more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from state.errors import StateError, reason
from state.history.history_files import NewFile
from state.history.history_tables import DAY_US, Part, cold_queries, delete_lengths_query, parts_query
from state.history.row_filter import FIRST_ROWS, RowFilter
from state.schema.catalogue import COLD_TABLES, TABLES
from state.schema.sql import column_list, quoted
from state.schema.table import Kind
from state.write.writer import StateWriter

_FLUSH_ROWS = 1_000_000
"""So many rows at least are added before a filter is flushed: it is written all over each time."""
_LIVE = "table_name = ? AND superseded_at IS NULL"


class MovedRows:
    """The rows of one shard that are in files. Methods may raise StateError or duckdb.Error."""

    def __init__(self, writer: StateWriter, data_dir: Path) -> None:
        self._writer = writer
        self._connection = writer.connection
        self._data_dir = data_dir
        self._filters: dict[str, RowFilter] = {}
        self._unflushed: dict[str, int] = {}
        self._connection.execute("SET arrow_lossless_conversion = true")  # UUIDs stay UUIDs
        for name in COLD_TABLES:
            self._open(name)

    def add(self, name: str, query: str, file: NewFile, flush: bool = False) -> None:
        """Note the rows that a query gives: they are in a file that is about to be listed.

        `flush`: wait until that is on disk. Else the file's rows are noted again after a crash; so it must be the one
        with the highest number.
        """
        try:
            if name not in self._filters:
                self._filters[name] = RowFilter(self._path(name), self._writer.mark.data_id)
            self._add(name, query)
            found = self._filters[name]
            found.covered = max(found.covered, file.file_id + 1)
            if flush or self._unflushed[name] >= _FLUSH_ROWS:
                self._flush(name)
        except OSError as error:
            raise self._error(name, error) from None

    def hide(self, name: str, incoming: Any) -> None:
        """Note as late what these rows (an Arrow table) take the place of in files, within their transaction."""
        known = self._filters.get(name)
        if known is None:
            return
        maybe = incoming.select(_columns(name)).filter(known.may_hold(self._hashes(name, incoming)))
        if maybe.num_rows:
            self._look_up(name, maybe)

    def close(self) -> None:
        """What was added is on disk."""
        for name in self._filters:
            try:
                self._flush(name)
                self._filters[name].close()
            except OSError as error:
                raise self._error(name, error) from None
        self._filters = {}

    def _open(self, name: str) -> None:
        """Take up the filter of a table, and add to it what is missing: all of it, if there is none."""
        ((rows,),) = self._connection.execute(
            f"SELECT sum(rows) FROM history_files WHERE {_LIVE}",  # noqa: S608 - our own names
            [name],
        ).fetchall()
        if not rows:
            return
        try:
            found = self._filters[name] = RowFilter(self._path(name), self._writer.mark.data_id)
            if found.rows > 2 * (rows + FIRST_ROWS):
                found.clear()  # most of what it knows is of files that are gone
            files = self._connection.execute(
                f"SELECT path, file_id FROM history_files WHERE {_LIVE} AND file_id >= ?",  # noqa: S608
                [name, found.covered],
            ).fetchall()
            if there := self._there([path for path, _ in files]):
                self._add(name, f"FROM read_parquet([{there}], hive_partitioning = false)")
            if files:
                found.covered = 1 + max(file_id for _, file_id in files)
                self._flush(name)
        except OSError as error:
            raise self._error(name, error) from None

    def _add(self, name: str, query: str) -> None:
        identities = f"SELECT {column_list(TABLES[name].identity)} FROM ({query})"  # noqa: S608 - our own names
        for batch in self._connection.sql(identities).to_arrow_reader(FIRST_ROWS):
            self._filters[name].add(self._hashes(name, pa.Table.from_batches([batch])))
            self._unflushed[name] = self._unflushed.get(name, 0) + batch.num_rows

    def _hashes(self, name: str, rows: Any) -> Any:
        """64 bits for each of these rows (an Arrow table), the same in every release: of what tells it from most
        others. An id is that; a text is digested first."""
        key = _KEYS.get(name)
        if key is not None:
            return _mixed(rows[key].combine_chunks())
        digest = f"md5_number_lower(concat_ws(chr(31), {column_list(TABLES[name].identity)}))"
        # By a cursor: the connection may be in the midst of reading what is digested here.
        with self._connection.cursor() as cursor:
            cursor.register("digested", rows)
            found = cursor.sql(f"SELECT {digest} AS hash FROM digested").to_arrow_table()  # noqa: S608
        return found["hash"].combine_chunks()

    def _flush(self, name: str) -> None:
        self._filters[name].flush()
        self._unflushed[name] = 0

    def _look_up(self, name: str, maybe: Any) -> None:
        """Look for rows in files, but for those that are in the database: what they took the place of is noted."""
        identity = column_list(TABLES[name].identity)
        time = f'"{COLD_TABLES[name].time}"'
        asked = self._fetch(f"FROM maybe ANTI JOIN {name} AS hot USING ({identity})", maybe=maybe)
        days = f"SELECT DISTINCT epoch_us({time}) // {DAY_US} * {DAY_US} AS day FROM asked"  # noqa: S608
        own = ", ".join(map(str, self._fetch(days, asked=asked)["day"].to_pylist())) or "NULL"
        for condition in (f"epoch_us(f.day) IN ({own})", f"epoch_us(f.day) NOT IN ({own})"):
            query = self._in_files(name, condition) if asked.num_rows else None
            if query is not None:
                found = self._fetch(f"FROM ({query}) SEMI JOIN asked USING ({identity})", asked=asked)
                late = f"SELECT {self._writer.shard}, {identity}, {time} FROM found"  # noqa: S608
                with self._registered(found=found):
                    self._connection.execute(f"INSERT INTO late_{name} {late}")
                asked = self._fetch(
                    f"FROM asked ANTI JOIN found USING ({identity})", asked=asked, found=found
                )

    def _in_files(self, name: str, condition: str) -> str | None:
        """The query for the rows in files of certain days (of `f`) that count; None if there are no files."""
        parts = [Part(*row) for row in self._connection.execute(parts_query(name, condition)).fetchall()]
        parts = [part for part in parts if (self._data_dir / part.path).exists()]
        lengths = [length for (length,) in self._connection.execute(delete_lengths_query(name)).fetchall()]
        queries = cold_queries(
            name, column_list(_columns(name)), parts, lengths, quoted(f"{self._data_dir}/")
        )
        return " UNION ALL ".join(queries) or None

    def _there(self, paths: Sequence[str]) -> str:
        """The files of these that nobody has taken away, as SQL."""
        return ", ".join(quoted(self._data_dir / path) for path in paths if (self._data_dir / path).exists())

    def _path(self, name: str) -> Path:
        return self._writer.path.with_name(f"{self._writer.path.stem}-{name}.filter")

    def _fetch(self, query: str, **tables: Any) -> Any:
        """What a query gives, as an Arrow table; so are the tables that it may name."""
        with self._registered(**tables):
            return self._connection.sql(query).to_arrow_table()

    @contextmanager
    def _registered(self, **tables: Any) -> Iterator[None]:
        for name, table in tables.items():
            self._connection.register(name, table)
        yield
        for name in tables:
            self._connection.unregister(name)

    def _error(self, name: str, error: OSError) -> StateError:
        return StateError(f"{self._path(name)}: cannot write: {reason(error)}")


def _columns(name: str) -> list[str]:
    return [*TABLES[name].identity, COLD_TABLES[name].time]


_KEYS = {
    name: key
    for name in COLD_TABLES
    if (
        key := next(
            (each for each in TABLES[name].identity if TABLES[name].column(each).kind is Kind.UUID), None
        )
    )
}
"""By table: the id among the columns of the identity."""


def _mixed(ids: Any) -> Any:
    """Hashes of ids of 16 bytes, which may be anything: random, or numbers that somebody counts up."""
    stored = ids.storage if isinstance(ids, pa.ExtensionArray) else ids
    words = pa.Array.from_buffers(
        pa.uint64(), 2 * len(stored), [None, stored.buffers()[1]], offset=2 * stored.offset
    )
    hashes = pa.scalar(0, pa.uint64())
    for first in (0, 1):
        hashes = pc.bit_wise_xor(words.take(pa.arange(first, len(words), 2)), hashes)
        for _ in range(2):
            hashes = pc.multiply(hashes, _ODD)
            hashes = pc.bit_wise_xor(hashes, pc.shift_right(hashes, _HALF))
    return hashes


_ODD = pa.scalar(0xFF51AFD7ED558CCD, pa.uint64())
_HALF = pa.scalar(32, pa.uint64())
