"""The views and macros that answer analysts' questions: schema/views/*.sql, laid over the tables by their names."""

from __future__ import annotations

from importlib.resources import files

import duckdb

_FILES = (
    "helpers.sql",
    "status.sql",
    "incidents.sql",
    "runs.sql",
    "messages.sql",
    "timeline.sql",
    "anomalies.sql",
)
"""In this order: later ones use what earlier ones define."""


def apply_answers(connection: duckdb.DuckDBPyConnection) -> None:
    """Create all views and macros, with their comments, in place of those of the same names.

    The tables of the catalogue must exist, as tables or as views. Raises duckdb.Error, and
    then nothing has changed.
    """
    connection.begin()
    try:
        for name in _FILES:
            connection.execute(files("state.schema").joinpath("views", name).read_text(encoding="utf-8"))
        connection.commit()
    except duckdb.Error:
        connection.rollback()
        raise
