"""Tables in memory with the views over them, and rows in the fewest words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from uuid import UUID

import duckdb

from state.schema.sql import table_statements
from state.schema.views import apply_answers

START = datetime(2025, 3, 3, tzinfo=UTC)
"""A Monday."""


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def tables() -> duckdb.DuckDBPyConnection:
    """Empty tables in memory, with the views over them."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for statements in table_statements().values():
        connection.execute(";".join(statements))
    apply_answers(connection)
    return connection


@cache
def common_tables() -> duckdb.DuckDBPyConnection:
    """Tables for one world after the other, each in a transaction that is rolled back: to make them takes longer than
    an example of a property."""
    return tables().begin()


class World:
    """The tables of a snapshot whose event clock stands at `now` minutes; without a connection to tables of its own, in
    the place of the last one that was made so."""

    def __init__(self, now: float | None = 0, connection: duckdb.DuckDBPyConnection | None = None) -> None:
        self.connection = common_tables().rollback().begin() if connection is None else connection
        self.connection.execute("SET TimeZone = 'UTC'")
        self._ids = 0
        self.insert("snapshot_info", published_at=START, event_clock=None if now is None else at(now))

    def insert(self, table: str, **values: object) -> None:
        columns = ", ".join(f'"{name}"' for name in values)
        self.connection.execute(
            f"INSERT INTO {table} ({columns}) VALUES ({', '.join('?' * len(values))})", list(values.values())
        )

    def monitor(self, slug: str = "backup", environment: str = "production", **values: object) -> None:
        """A monitor with one environment; values of both, times in minutes."""
        names = {row[0] for row in self.connection.execute("DESCRIBE monitor_environments").fetchall()}
        states = {name: values.pop(name) for name in list(values) if name in names and name != "updated_at"}
        of_monitor = {"status": "active", "created_at": START, "is_muted": False} | values
        if "monitor_status" in of_monitor:
            of_monitor["status"] = of_monitor.pop("monitor_status")
        if not self.rows("SELECT 1 FROM monitors WHERE slug = $1", slug):
            self.insert("monitors", **({"project_id": 1, "slug": slug, "name": slug} | of_monitor))
        of_environment = {"project_id": 1, "slug": slug, "environment": environment, "is_muted": False}
        self.insert("monitor_environments", **(of_environment | {"status": "ok"} | states))

    def becomes(self, status: str, minutes: float, slug: str = "backup") -> None:
        """The monitor's status changes: active or disabled."""
        self.insert("monitor_status_history", project_id=1, slug=slug, changed_at=at(minutes), status=status)

    def check_in(self, minutes: float, status: str = "ok", **values: object) -> UUID:
        self._ids += 1
        row = {"project_id": 1, "slug": "backup", "environment": "production", "status": status}
        row |= {"check_in_id": UUID(int=self._ids), "date_added": at(minutes), "date_updated": at(minutes)}
        self.insert("check_ins", **(row | values))
        return UUID(int=self._ids)

    def incident(self, starts: float, resolved: float | None = None, **values: object) -> str:
        self._ids += 1
        row = {"project_id": 1, "slug": "backup", "environment": "production"}
        row |= {"incident_id": f"{self._ids:032x}", "starting_timestamp": at(starts)}
        row["resolving_timestamp"] = None if resolved is None else at(resolved)
        self.insert("incidents", **(row | values))
        return f"{self._ids:032x}"

    def rows(self, query: str, *parameters: object) -> list[tuple]:
        return self.connection.execute(query, list(parameters)).fetchall()

    def answer(self, columns: str, source: str, *parameters: object) -> list[tuple]:
        return self.rows(f"SELECT {columns} FROM {source} ORDER BY ALL", *parameters)

    def uptime(self, columns: str, starts: float, ends: float) -> list[tuple]:
        return self.answer(columns, "uptime($1, $2)", at(starts), at(ends))


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)
