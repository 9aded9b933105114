"""The data dictionary, from the catalogue and the views: `python -m state.schema.dictionary > docs/tables.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import duckdb

from state.schema.sql import table_statements
from state.schema.views import apply_answers

_HEAD = """\
# Tables, views and macros

What `monitors.duckdb` holds. This page is made from `state/schema/`
(`python -m state.schema.dictionary > docs/tables.md`); any DuckDB client shows the same comments in `duckdb_tables()`,
`duckdb_views()`, `duckdb_columns()` and `duckdb_functions()`. [Worked questions](questions.md) show them in use.

Times are TIMESTAMPTZ, in UTC. The snapshot's "now" is `snapshot_info.event_clock`: no view asks the wall clock.
Tables that are not for people are in the schema `internal`; they may change without notice.
Whoever attaches the file under a name must `USE` it before calling a macro: a macro looks for its tables there.
"""
_SOURCES = {
    "Views": "SELECT view_name, comment FROM duckdb_views() WHERE schema_name = 'main' AND NOT internal"
    " ORDER BY view_name",
    "Tables": "SELECT table_name, comment FROM duckdb_tables() WHERE NOT internal"
    " AND comment NOT LIKE 'Internal:%' ORDER BY table_name",
}
_COLUMNS = """
    SELECT column_name, data_type, comment FROM duckdb_columns()
    WHERE schema_name = 'main' AND NOT internal AND table_name = $name ORDER BY column_index"""
_MACROS = """
    SELECT function_name, parameters, comment FROM duckdb_functions()
    WHERE NOT internal AND function_name NOT LIKE 'cronwax_%' ORDER BY function_type DESC, function_name"""


def dictionary() -> str:
    """The whole page."""
    with duckdb.connect() as connection:
        for statements in table_statements().values():
            for statement in statements:
                connection.execute(statement)
        apply_answers(connection)
        return "\n".join(
            [_HEAD, *_relations(connection, "Views"), *_macros(connection), *_relations(connection, "Tables")]
        )


def _relations(connection: duckdb.DuckDBPyConnection, kind: str) -> Iterator[str]:
    yield f"## {kind}\n"
    for name, comment in connection.execute(_SOURCES[kind]).fetchall():
        yield f"### {name}\n{comment}\n"
        yield "| column | type | meaning |\n|---|---|---|"
        for column, type_, meaning in connection.execute(_COLUMNS, {"name": name}).fetchall():
            yield f"| `{column}` | {type_} | {_cell(meaning)} |"
        yield ""


def _macros(connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
    yield "## Macros\n\n| macro | meaning |\n|---|---|"
    for name, parameters, comment in connection.execute(_MACROS).fetchall():
        yield f"| `{name}({', '.join(parameters)})` | {_cell(comment)} |"
    yield ""


def _cell(meaning: str | None) -> str:
    return (meaning or "").replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(dictionary())
