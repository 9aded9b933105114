"""History that stays cheap: rows of closed hours move to Parquet files, days are compacted, old days are dropped.

Each step first writes its file, under another name until it is complete and on disk, and then, in one transaction,
lists it and removes from the database what is in it. So whenever the process dies, each row is in one place; files
that are not listed are removed when the history is opened again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import duckdb

from state.errors import StateError, reason
from state.history.compaction import Compaction
from state.history.history_files import HistoryFiles, NewFile
from state.history.history_tables import DAY_US, HOUR_US, parts_query
from state.history.moved_rows import MovedRows
from state.history.retention import drop_old
from state.schema.catalogue import COLD_TABLES, TABLES
from state.schema.sql import column_list, without_late
from state.write.worked_off import event_clock_us
from state.write.writer import StateWriter

KEEP_SUPERSEDED = timedelta(hours=24)
"""So long do files stay that are no longer part of the history: for readers that hold an older snapshot."""


class Slots(NamedTuple):
    """By which pieces of time rows are moved, and when a piece is closed."""

    us: int
    margin_us: int
    """How long after its end: until then, most of what belongs to it has come."""


_MINUTE_US = HOUR_US // 60
_SLOTS = (
    (1, Slots(HOUR_US, HOUR_US)),
    (2, Slots(5 * _MINUTE_US, 10 * _MINUTE_US)),
    (4, Slots(2 * _MINUTE_US, 2 * _MINUTE_US)),
)
"""Of how many times the rows that may stay which slots are moved, where those before are not enough: of thousands of
check-ins a second two hours are tens of millions of rows, and fifteen minutes still seven, which each publishing would
copy and each commit look through."""
_MAX_PARTS = 4
"""A day that was compacted is compacted again when late rows have made it this many files."""


class Limits(NamedTuple):
    """How much stays, and for how long."""

    hot_rows: int = 500_000
    """Rows of a table that may stay in the database before closed hours of it are moved; of more, shorter times are
    moved, too."""
    retention_days: Mapping[str, int] = {}
    """By table: rows older than this many whole days before the event clock are dropped. Others stay for ever."""


class History:
    """The history of one shard. Every method may raise StateError; after that the writer can only be closed.

    `clock` gives seconds since the epoch; it only times for how long superseded files stay. What is moved and dropped
    goes by the event clock.
    """

    def __init__(
        self, writer: StateWriter, data_dir: Path, limits: Limits, clock: Callable[[], float]
    ) -> None:
        self._writer = writer
        self._connection = writer.connection
        self._limits = limits
        self._clock = clock
        self._day = -1
        """The event clock's day as of the last `maintain`; -1: none yet."""
        self._dirty_days: list[tuple[str, int]] = []
        self._superseded_at = 0
        """As of how many of the writer's commits files were last superseded."""
        self._compaction: Compaction | None = None
        self._data_dir = data_dir
        self._scratch = writer.path.with_suffix(".compaction")
        try:
            self._files = HistoryFiles(writer.connection, data_dir, writer.shard)
            self._moved = writer.moved = MovedRows(writer, data_dir)
        except duckdb.Error as error:
            raise StateError(f"{writer.path}: cannot open the history: {reason(error)}") from None

    def maintain(self, compacts: bool = True) -> bool:
        """Do what is due after a commit, at most one step of each kind; whether anything changed.

        Days are compacted in a thread; what came of it is taken over by a later call. `compacts`: begin with a day, if
        there is one; else `compact` does.
        """
        try:
            clock_us = event_clock_us(self._connection)
            if clock_us is None:
                return False
            changed = superseded = self._begin_day(clock_us) | self._finish_compaction()
            for name in COLD_TABLES:
                changed |= self._move(name, clock_us)
                self._note_late(name)
            if compacts:
                self._start_compaction()
            if changed:
                self._writer.history_moved()
            if superseded:
                self._superseded_at = self._writer.commits
        except duckdb.Error as error:
            raise StateError(f"{self._writer.path}: cannot move to the history: {reason(error)}") from None
        return changed

    def compact(self) -> None:
        """Begin to compact a day, if there is one: best at a time when nothing else needs much memory."""
        try:
            self._start_compaction()
        except duckdb.Error as error:
            raise StateError(f"{self._writer.path}: cannot move to the history: {reason(error)}") from None

    def wait(self) -> bool:
        """Wait for the thread that compacts a day; whether there was one."""
        if self._compaction is None:
            return False
        self._compaction.wait()
        return True

    def close(self) -> None:
        """Stop what the thread does; the day stays as it is."""
        if self._compaction is not None:
            self._compaction.abandon()
            self._compaction = None
        self._writer.moved = None
        self._moved.close()

    def clean_up(self, shown: int) -> int:
        """Remove files that have been superseded for long, if the published snapshot is without them: it is as of so
        many commits of the writer (`Publisher.take_shown`). Returns how many files there were."""
        if shown < self._superseded_at:
            return 0
        try:
            return self._files.remove_superseded(self._now() - KEEP_SUPERSEDED)
        except duckdb.Error as error:
            raise StateError(f"{self._writer.path}: cannot clean up: {reason(error)}") from None

    def _begin_day(self, clock_us: int) -> bool:
        """Once a day of the event clock: retention, and note the days whose files have rows to be left out."""
        day = clock_us // DAY_US
        if day == self._day:
            return False
        self._day = day
        with self._transaction():
            dropped = drop_old(self._connection, self._limits.retention_days, day * DAY_US, self._now())
        self._dirty_days = [(name, at) for name in COLD_TABLES for at in self._dirty(name)]
        return dropped

    def _note_late(self, name: str) -> None:
        """Do not wait for the next day when many rows are late."""
        (late,) = self._one(f"SELECT count(*) FROM late_{name}")  # noqa: S608 - our own names
        if late > self._limits.hot_rows // 2 and not self._dirty_days:
            self._dirty_days = [(name, at) for at in self._dirty(name)]

    def _dirty(self, name: str) -> list[int]:
        """The days that have such rows. What is late of a day without files is not: it can only be hot."""
        self._connection.execute(
            f"DELETE FROM late_{name} AS late WHERE NOT EXISTS (FROM history_files AS f"  # noqa: S608
            f" WHERE f.table_name = '{name}' AND f.superseded_at IS NULL"
            f" AND epoch_us(late.{COLD_TABLES[name].time}) - epoch_us(f.day) BETWEEN 0 AND {DAY_US - 1})"
        )
        rows = self._connection.execute(
            f"SELECT DISTINCT epoch_us(f.day) FROM history_files AS f JOIN ({parts_query(name)})"  # noqa: S608
            " AS parts(path, has_late, deleted_from) USING (path) WHERE has_late OR deleted_from IS NOT NULL ORDER BY 1"
        ).fetchall()
        return [day_us for (day_us,) in rows]

    def _move(self, name: str, clock_us: int) -> bool:
        """Move closed hours to files, oldest first, a quarter of the rows that may stay: that bounds the pause."""
        (hot,) = self._one(f"SELECT count(*) FROM {name}")  # noqa: S608 - our own names
        if hot <= self._limits.hot_rows:
            return False
        days: list[int] = []
        for times, slots in _SLOTS:
            if not days and hot > times * self._limits.hot_rows:
                days, until_us = self._choose(name, clock_us, hot, slots)
        if not days:
            return False
        files = [self._write_hours(name, day_us, until_us) for day_us in days]
        with self._transaction():
            for file in files:
                self._delete_moved(name, file, until_us)
            self._files.list_new(files, whole_day=False)
            self._connection.execute(
                "UPDATE history_progress SET moved_until = greatest(moved_until, make_timestamptz(?))"
                " WHERE table_name = ?",
                [until_us, name],
            )
        return True

    def _closed(self, name: str, clock_us: int, slots: Slots) -> list[tuple[int, int]]:
        """Closed slots by their beginning, and how many rows of each can be moved."""
        time = COLD_TABLES[name].time
        closed_us = (clock_us - slots.margin_us) // slots.us * slots.us
        return self._connection.execute(
            f"SELECT epoch_us({time}) // {slots.us} * {slots.us} AS slot, count(*)"  # noqa: S608
            f" FROM {self._movable(name, 0, closed_us)} GROUP BY slot ORDER BY slot"
        ).fetchall()

    def _choose(self, name: str, clock_us: int, hot: int, slots: Slots) -> tuple[list[int], int]:
        """Which days' rows to move, and until when.

        Days of a few rows, late ones mostly, are not worth a file unless they come to a lot.
        """
        limit = self._limits.hot_rows
        by_day: dict[int, int] = {}
        until_us = 0
        for slot_us, rows in self._closed(name, clock_us, slots):
            if hot - sum(by_day.values()) <= limit * 3 // 4:
                break
            day_us = slot_us // DAY_US * DAY_US
            by_day[day_us] = by_day.get(day_us, 0) + rows
            until_us = slot_us + slots.us
        few = {day_us: rows for day_us, rows in by_day.items() if rows < limit // 100}
        if sum(few.values()) <= limit // 4:
            by_day = {day_us: rows for day_us, rows in by_day.items() if day_us not in few}
        if sum(by_day.values()) < limit // 10:
            return [], 0
        return list(by_day), until_us

    def _write_hours(self, name: str, day_us: int, until_us: int) -> NewFile:
        source = self._movable(name, day_us, min(until_us, day_us + DAY_US))
        file = self._files.write(name, day_us, f"SELECT {self._columns(name)} FROM {source}")  # noqa: S608
        assert file is not None, "a day was chosen for its rows"
        self._moved.add(name, f"FROM {source}", file)
        return file

    def _delete_moved(self, name: str, file: NewFile, until_us: int) -> None:
        columns = column_list(TABLES[name].identity)
        source = self._movable(name, file.day_us, min(until_us, file.day_us + DAY_US))
        (deleted,) = self._one(
            f"DELETE FROM {name} WHERE ({columns}) IN (SELECT ({columns}) FROM {source})"  # noqa: S608
        )
        if deleted != file.rows:
            raise StateError(f"{file.path}: holds {file.rows} rows, {deleted} were to be moved")

    def _start_compaction(self) -> None:
        if self._compaction is not None:
            return
        for name, day_us in self._next_days():
            self._compaction = Compaction(
                self._connection, self._files, self._data_dir, name, day_us, self._scratch
            )
            return

    def _finish_compaction(self) -> bool:
        if self._compaction is None or not self._compaction.is_done:
            return False
        done, self._compaction = self._compaction, None
        with self._transaction():
            return done.finish(self._now(), self._moved)

    def _next_days(self) -> Iterator[tuple[str, int]]:
        """Closed days of several files, then those with many late rows."""
        for name in COLD_TABLES:
            rows = self._connection.execute(
                """
                SELECT epoch_us(day) FROM history_files
                WHERE table_name = $1 AND superseded_at IS NULL
                    AND epoch_us(day) + $2 <= (
                        SELECT epoch_us(moved_until) FROM history_progress WHERE table_name = $1)
                GROUP BY day
                HAVING count(*) >= $3 OR count(*) > 1 AND NOT bool_or(is_whole_day)
                ORDER BY day LIMIT 1""",
                [name, DAY_US, _MAX_PARTS],
            ).fetchall()
            yield from ((name, day_us) for (day_us,) in rows)
        while self._dirty_days:
            name, day_us = self._dirty_days.pop()
            if day_us in self._dirty(name):
                yield name, day_us

    def _movable(self, name: str, from_us: int, to_us: int) -> str:
        """SQL for the rows that can be moved as they are: those of this time, and in no file yet."""
        return without_late(name, self._hot(name, from_us, to_us))

    def _hot(self, name: str, from_us: int, to_us: int) -> str:
        table = COLD_TABLES[name]
        return (
            f"(SELECT * FROM {name} WHERE {table.movable} AND {table.time} >= make_timestamptz({from_us})"  # noqa: S608
            f" AND {table.time} < make_timestamptz({to_us})) AS hot"
        )

    def _columns(self, name: str) -> str:
        return column_list(TABLES[name].names)

    def _one(self, query: str) -> tuple[int, ...]:
        return self._connection.execute(query).fetchall()[0]

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._writer.take_memory()  # after publishing the database has less
        self._connection.begin()
        try:
            yield
        except BaseException:
            self._connection.rollback()
            raise
        self._connection.commit()
