"""The views and macros that answer analysts' questions: schema/views/*.sql, laid over the tables by their names."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

import duckdb

from state.schema.sql import quoted

_FILES = (
    "helpers.sql",
    "internal.sql",
    "periods.sql",
    "status.sql",
    "incidents.sql",
    "runs.sql",
    "due.sql",
    "messages.sql",
    "timeline.sql",
    "anomalies.sql",
    "monitors.sql",
    "notifications.sql",
)
"""In this order: later ones use what earlier ones define."""
_KEYS = re.compile(r"^-- keys of (\w+): (.+)$", re.MULTILINE)
"""A line that gives columns of a view the comments that they have everywhere."""
_COMMON = {
    "project_id": "The project that the monitor belongs to.",
    "slug": "The monitor.",
    "environment": "The environment.",
    "organization_id": "The organization of the project.",
    "name": "The monitor's name for people.",
    "owner": "user:... or team:..., NULL if nobody owns the monitor.",
    "incident_id": "The incident (incidents.incident_id).",
    "check_in_id": "The run (check_ins.check_in_id).",
    "day": "The day, in UTC.",
    "days_ago": "How many days before the event clock's own day it was: 1 is the last whole day.",
    "event_clock": "The snapshot's now, up to which it knows everything.",
    "published_at": "When the snapshot was published.",
    "age_seconds": "How many seconds ago that was, by the clock of the machine that asks: a wall may show what is old.",
}


def apply_answers(connection: duckdb.DuckDBPyConnection) -> None:
    """Create all views and macros, with their comments, in place of those of the same names.

    The tables of the catalogue must exist, as tables or as views. Raises duckdb.Error, and
    then nothing has changed.
    """
    connection.begin()
    try:
        for statements in _statements():
            connection.execute(statements)
        connection.commit()
    except duckdb.Error:
        connection.rollback()
        raise


@cache
def _statements() -> tuple[str, ...]:
    folder = files("state.schema").joinpath("views")
    return tuple(_KEYS.sub(_comments, folder.joinpath(name).read_text(encoding="utf-8")) for name in _FILES)


def _comments(found: re.Match[str]) -> str:
    view, columns = found.groups()
    return "\n".join(
        f'COMMENT ON COLUMN {view}."{column}" IS {quoted(_COMMON[column])};' for column in columns.split(", ")
    )
