"""Where a published file has its tables. People find theirs in `main`; what is not for them is in `internal`.

A writer's own file has all tables in `main`, and so had the snapshots that earlier code published. Our own readers take
either: unqualified names find a table in both (`find_both`), and `stored_name` says where it is.
"""

from __future__ import annotations

import duckdb

from state.schema.catalogue import INFO, LEDGER, TABLES

INTERNAL = "internal"
"""The schema of a published file for tables that are not for people."""
HOT = "_hot"
"""What is put at the end of the name of a table that a view over its hot and cold rows takes the place of. It stays in
`main`: moving a table means copying it, with every snapshot."""
PUT_AWAY = (
    *(table.name for table in (*TABLES.values(), *INFO.values()) if table.comment.startswith("Internal:")),
    *LEDGER,
)
"""The tables that a published file has in `internal`."""


def find_both(connection: duckdb.DuckDBPyConnection) -> None:
    """Let unqualified names find tables in either schema of an opened file. Raises duckdb.Error."""
    found = connection.execute(
        "SELECT 1 FROM duckdb_schemas() WHERE database_name = current_database() AND schema_name = ?",
        [INTERNAL],
    ).fetchone()
    if found:
        connection.execute(f"SET search_path = 'main,{INTERNAL}'")


def shown_name(connection: duckdb.DuckDBPyConnection, catalog: str, name: str) -> str:
    """Where an attached snapshot, old or new, has all rows of a table, those in Parquet files, too. Raises
    duckdb.Error."""
    found = connection.execute(
        "SELECT 1 FROM duckdb_tables() WHERE database_name = ? AND schema_name = ? AND table_name = ?",
        [catalog, INTERNAL, name],
    ).fetchone()
    return f"{catalog}.{INTERNAL if found else 'main'}.{name}"


def stored_name(connection: duckdb.DuckDBPyConnection, catalog: str, name: str) -> str:
    """Where an attached snapshot, old or new, has the rows of a table that the file itself holds: of a table with
    history only the hot ones. Raises duckdb.Error."""
    found = connection.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = $1 AND table_name IN ($2, $3)"
        " ORDER BY table_name = $3 DESC LIMIT 1",
        [catalog, name, name + HOT],
    ).fetchone()
    schema, table = found or ("main", name)
    return f"{catalog}.{schema}.{table}"
