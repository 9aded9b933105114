"""Rows as the steps write them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from state.schema.layout import find_both
from state.schema.table import Row
from state.schema.tables.internal import PartitionRow
from state.schema.tables.monitors import EnvironmentRow, MonitorRow
from state.schema.tables.runs import CheckInRow
from state.write.writer import StateWriter

MINUTE_US = 60_000_000
START_US = 1_740_960_000_000_000
"""2025-03-03T00:00:00Z."""

R = TypeVar("R", bound=Row)


def row(kind: type[R], *values: Any, **named: Any) -> R:
    """A row of a table, by the values of its first columns or by their names; None in all others."""
    given = dict(zip(kind.__struct_fields__, values, strict=False)) | named
    return kind(**(dict.fromkeys(kind.__struct_fields__) | given))


def guid(number: int) -> bytes:
    return number.to_bytes(16, "big")


def check_in(
    number: int, status: str = "ok", project: int = 1, slug: str = "backup", minute: int = 0
) -> CheckInRow:
    at = START_US + minute * MINUTE_US
    return row(CheckInRow, guid(number), project, slug, "production", status, 120, at, at)


def monitor(project: int = 1, slug: str = "backup", name: str = "Backup") -> MonitorRow:
    return row(
        MonitorRow,
        *(project, 1, slug, guid(7), name, "active", False, None, "crontab", "*/5 * * * *", "UTC"),
        *(1, 30, 1, 1, START_US, START_US),
    )


def environment(
    project: int = 1, slug: str = "backup", status: str = "ok", incident: str | None = None
) -> EnvironmentRow:
    times = (START_US, START_US + MINUTE_US, START_US + 2 * MINUTE_US)
    state = (status, False, *times, incident, START_US, False)
    return row(EnvironmentRow, project, slug, "production", *state)


def partition(position: int, clock_minute: int = 0, number: int = 0) -> PartitionRow:
    return row(PartitionRow, "checkins", number, position, START_US + clock_minute * MINUTE_US)


def write(writer: StateWriter, **changes: Sequence[Row | tuple[Any, ...]]) -> None:
    """Write and commit rows, and deletes (tuples) in their midst."""
    take(writer, **changes)
    writer.commit()


def take(writer: StateWriter, **changes: Sequence[Row | tuple[Any, ...]]) -> None:
    for name, some in changes.items():
        for change in some:
            if isinstance(change, tuple):
                writer.write({}, {name: [change]})
            else:
                writer.write({name: [change]})


def answer(path: Path, query: str) -> list[tuple[Any, ...]]:
    """What a query gives, as any reader of a file sees it; what is not for people, too."""
    with duckdb.connect(path, read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        find_both(connection)
        return connection.execute(query).fetchall()
