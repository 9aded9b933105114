"""The tables of a published file whose rows are partly in Parquet files: views of the same names over both."""

from __future__ import annotations

from pathlib import Path

import duckdb

from state.history.history_tables import Part, cold_queries, delete_lengths_query, parts_query
from state.schema.catalogue import COLD_TABLES
from state.schema.layout import HOT, INTERNAL, PUT_AWAY, find_both
from state.schema.sql import column_list, comment_on_column, quoted

SNAPSHOT = "monitors.duckdb"
"""The published file's name in the data folder."""

_ROOT = "cronwax_data_dir()"
# A view cannot ask where its own file is, but DuckDB derives a setting from it: the folder for temporary files is
# the opened file's name with .tmp behind it, all releases from 1.2 to 2.0. So a snapshot that is opened finds
# its history wherever both are. One that is attached to another database cannot know: then it is the folder
# where it was published, unless the variable says another.
_ROOT_MACRO = """
CREATE OR REPLACE MACRO cronwax_data_dir() AS coalesce(
    rtrim(getvariable('cronwax_data_dir'), '/') || '/',
    nullif(regexp_extract(current_setting('temp_directory'), '^(.*[/\\\\]){snapshot}\\.tmp$', 1), ''),
    '{folder}/'
)"""


def add_history(connection: duckdb.DuckDBPyConnection, data_dir: Path) -> None:
    """Put views in the place of the tables of a copy that have history; without any, tables stay tables.

    The tables of the hot rows stay in `main` under another name: DuckDB moves no table to another schema, and to copy
    them, 380,000 check-ins for example, takes twice as long as all else. `data_dir` is the folder where the snapshot is
    published. Raises duckdb.Error.
    """
    cold = {name: _parts(connection, name) for name in COLD_TABLES}
    if not any(cold.values()):
        return
    folder = str(data_dir.absolute()).replace("'", "''")
    meanings = _meanings(connection)
    connection.begin()
    connection.execute(_ROOT_MACRO.format(snapshot=SNAPSHOT.replace(".", "\\."), folder=folder))
    for name, parts in cold.items():
        if parts:
            _lay_view(connection, name, parts, meanings[name])
    connection.commit()


def put_away(connection: duckdb.DuckDBPyConnection) -> None:
    """Move what is not for people out of `main`, so that clients do not list it; by their names alone, this connection
    finds the tables there, too. Raises duckdb.Error."""
    views = connection.execute(
        "SELECT view_name FROM duckdb_views() WHERE schema_name = ? AND database_name = current_database()",
        [INTERNAL],
    ).fetchall()
    meanings = _meanings(connection)
    statements = ["BEGIN", f"CREATE SCHEMA IF NOT EXISTS {INTERNAL}"]
    statements += [f"DROP VIEW {INTERNAL}.{name}" for (name,) in views if name in PUT_AWAY]
    for name in PUT_AWAY:
        statements += [
            f"CREATE TABLE {INTERNAL}.{name} AS FROM main.{name}",
            f"COMMENT ON TABLE {INTERNAL}.{name} IS {quoted(meanings[name])}",
            f"DROP TABLE main.{name}",
        ]
    connection.execute(";".join([*statements, "COMMIT"]))
    find_both(connection)


def _meanings(connection: duckdb.DuckDBPyConnection) -> dict[str, str | None]:
    """The comments of tables."""
    # Copies of other shards may be attached, with tables of the same names.
    rows = connection.execute(
        "SELECT table_name, comment FROM duckdb_tables() WHERE schema_name = 'main'"
        " AND database_name = current_database()"
    ).fetchall()
    return dict(rows)


def _parts(connection: duckdb.DuckDBPyConnection, name: str) -> list[Part]:
    return [Part(*row) for row in connection.execute(parts_query(name)).fetchall()]


def _lay_view(
    connection: duckdb.DuckDBPyConnection, name: str, parts: list[Part], meaning: str | None
) -> None:
    described = connection.execute(
        "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = ? AND schema_name = 'main'"
        " AND database_name = current_database() ORDER BY column_index",
        [name],
    ).fetchall()
    columns = column_list(column for column, _ in described)
    lengths = [length for (length,) in connection.execute(delete_lengths_query(name)).fetchall()]
    queries = [f"SELECT {columns} FROM {name}{HOT}"]  # noqa: S608 - our own names
    queries += cold_queries(name, columns, parts, lengths, _ROOT, f"{INTERNAL}.")
    connection.execute(f"ALTER TABLE {name} RENAME TO {name}{HOT}")
    connection.execute(f"CREATE VIEW {name} AS {' UNION ALL '.join(queries)}")
    connection.execute(f"COMMENT ON VIEW {name} IS {quoted(meaning)}")
    connection.execute(
        f"COMMENT ON TABLE {name}{HOT} IS 'Internal: the newer rows of {name}; the others are in Parquet files.'"
    )
    for column, comment in described:
        connection.execute(comment_on_column(name, column, comment))
