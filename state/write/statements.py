"""The SQL of a commit, made from the tables once: all of it works off an Arrow table called `incoming`."""

from __future__ import annotations

from collections.abc import Sequence

from state.schema.catalogue import TABLES
from state.schema.sql import column_list
from state.schema.table import Column, Kind, Table


def _delete_matching(name: str, columns: Sequence[str]) -> str:
    matches = " AND ".join(f'old."{column}" = incoming."{column}"' for column in columns)
    return f"DELETE FROM {name} AS old USING incoming WHERE {matches}"  # noqa: S608 - names of our own tables


def _insert(table: Table) -> str:
    values = ", ".join(_value(column) for column in table.columns)
    return f"INSERT INTO {table.name} ({column_list(table.names)}) SELECT {values} FROM incoming"  # noqa: S608


def _value(column: Column) -> str:
    name = f'"{column.name}"'
    if column.kind is not Kind.JSON:
        return name
    # What some parsers take for JSON and DuckDB does not is kept as a JSON string.
    return f"coalesce(try_cast({name} AS JSON), to_json({name}))"


DELETE_REPLACED = {name: _delete_matching(name, table.identity) for name, table in TABLES.items()}
"""By table: remove the rows that `incoming` replaces."""
INSERT = {name: _insert(table) for name, table in TABLES.items()}
"""By table: add the rows of `incoming`."""


def delete_starting_with(name: str, length: int) -> str:
    """Remove the rows whose identities begin with the `length` columns of `incoming`, at least one."""
    return _delete_matching(name, TABLES[name].identity[:length])
