"""`why`, asked of what the flow in memory has written."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import duckdb

from cronwax.commands.scheduled import FlowSchedules
from state.ask.why import as_text, why
from state.ask.why.facts import Facts
from state.ask.why.reading import facts_of
from state.schema.catalogue import TABLES
from state.schema.table import Kind, Table
from tests.builders import START_S
from tests.flow.memory import World
from tests.state.answer_rows import common_tables

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(time_us: int) -> datetime:
    """A time in µs as a datetime."""
    return _EPOCH + timedelta(microseconds=time_us)


def second(at_s: float) -> datetime:
    """`at_s` seconds after the beginning of the builders' time."""
    return _EPOCH + timedelta(seconds=START_S + at_s)


_PYTHON: dict[Kind, Callable[[Any], Any]] = {
    Kind.TIME: moment,
    Kind.UUID: lambda value: UUID(bytes=value),
    Kind.JSON: lambda value: value.decode(),
    Kind.TEXTS: list,
}


def _row(table: Table, values: tuple[Any, ...]) -> list[Any]:
    return [
        value if value is None or column.kind not in _PYTHON else _PYTHON[column.kind](value)
        for column, value in zip(table.columns, values, strict=True)
    ]


def filled(world: World) -> duckdb.DuckDBPyConnection:
    """Tables in memory that hold what the flow has written, with the views over them; the next call empties them."""
    connection = common_tables().rollback().begin()
    for name, rows in world.tables.items():
        table = TABLES[name]
        if rows:
            marks = ", ".join("?" * len(table.columns))
            names = ", ".join(f'"{column.name}"' for column in table.columns)
            connection.executemany(
                f"INSERT INTO {name} ({names}) VALUES ({marks})",
                [_row(table, values) for values in rows.values()],
            )
    clocks = [row["clock"] for row in world.rows("partitions")]
    event_clock = None if not clocks or None in clocks else moment(min(clocks))
    positions = [
        {
            "topic": row["topic"],
            "partition": row["partition"],
            "position": row["position"],
            "clock": row["clock"],
        }
        for row in world.rows("partitions")
    ]
    for each in positions:
        each["clock"] = None if each["clock"] is None else moment(each["clock"])
    connection.execute(
        "INSERT INTO snapshot_info (published_at, event_clock, positions) VALUES (?, ?, ?)",
        [second(0), event_clock, positions],
    )
    return connection


class Asked:
    """The answers about what a run of the flow has written."""

    def __init__(self, world: World) -> None:
        self.connection = filled(world)

    def facts(
        self,
        slug: str = "m",
        at: datetime | None = None,
        environment: str = "production",
        project_id: int = 1,
    ) -> Facts:
        return facts_of(self.connection, project_id, slug, environment, at, FlowSchedules())

    def why(self, slug: str = "m", at: datetime | None = None, environment: str | None = None) -> str:
        """The whole answer, as a person reads it."""
        return "\n".join(as_text(why(self.connection, slug, None, environment, at, FlowSchedules())))

    def at(self, at_s: float, slug: str = "m", environment: str | None = None) -> str:
        """The answer as of `at_s` seconds after the beginning."""
        return self.why(slug, second(at_s), environment)
