"""The SQL of a commit, made from the tables once: all of it works off an Arrow table called `incoming`."""

from __future__ import annotations

from state.schema.catalogue import TABLES, Table


def _delete_replaced(name: str, table: Table) -> str:
    return _delete_matching(name, [column for column, _ in table.columns[: table.identity]])


def _delete_matching(name: str, columns: list[str]) -> str:
    matches = " AND ".join(f'old."{column}" = incoming."{column}"' for column in columns)
    return f"DELETE FROM {name} AS old USING incoming WHERE {matches}"  # noqa: S608 - names of our own tables


def _insert(name: str, table: Table) -> str:
    columns = ", ".join(f'"{column}"' for column, _ in table.columns)
    values = ", ".join(_value(f'"{column}"', kind) for column, kind in table.columns)
    return f"INSERT INTO {name} ({columns}) SELECT {values} FROM incoming"  # noqa: S608


def _value(column: str, kind: str) -> str:
    if kind != "json":
        return column
    # What some parsers take for JSON and DuckDB does not is kept as a JSON string.
    return f"CASE WHEN json_valid({column}) THEN {column}::JSON ELSE to_json({column}) END"


DELETE_REPLACED = {name: _delete_replaced(name, table) for name, table in TABLES.items()}
"""By table: remove the rows that `incoming` replaces."""
INSERT = {name: _insert(name, table) for name, table in TABLES.items()}
"""By table: add the rows of `incoming`."""


def delete_starting_with(name: str, length: int) -> str:
    """Remove the rows that begin with the `length` columns of `incoming`, at least one."""
    return _delete_matching(name, [column for column, _ in TABLES[name].columns[:length]])
