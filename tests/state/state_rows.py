"""Rows as the steps write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

from state.write.writer import StateWriter

MINUTE_US = 60_000_000
START_US = 1_740_960_000_000_000
"""2025-03-03T00:00:00Z."""

Row = tuple[Any, ...]


def guid(number: int) -> bytes:
    return number.to_bytes(16, "big")


def check_in(number: int, status: str = "ok", project: int = 1, slug: str = "backup", minute: int = 0) -> Row:
    at = START_US + minute * MINUTE_US
    return (project, slug, "production", guid(number), status, 120, at, at, None, None, None)


def monitor(project: int = 1, slug: str = "backup", name: str = "Backup") -> Row:
    return (
        *(project, slug, 1, guid(7), name, "active", False, None, "crontab", "*/5 * * * *", "UTC"),
        *(1, 30, 1, 1, START_US, START_US),
    )


def environment(
    project: int = 1, slug: str = "backup", status: str = "ok", incident: str | None = None
) -> Row:
    times = (START_US, START_US + MINUTE_US, START_US + 2 * MINUTE_US)
    return (project, slug, "production", status, False, *times, incident, START_US, False)


def partition(position: int, clock_minute: int = 0, number: int = 0) -> Row:
    return ("checkins", number, position, START_US + clock_minute * MINUTE_US)


def write(writer: StateWriter, **rows: list[Row]) -> None:
    writer.write(rows)
    writer.commit()


def answer(path: Path, query: str) -> list[Row]:
    """What a query gives, as any reader of a file sees it."""
    with duckdb.connect(path, read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.execute(query).fetchall()
