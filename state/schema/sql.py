"""SQL made from the catalogue. The names of all tables and columns are our own, so statements are put together as
text."""

from __future__ import annotations

from collections.abc import Iterable

from state.schema.catalogue import COLD_TABLES, FILES, INFO, TABLES
from state.schema.table import Column, Kind, Since, Table

_SHARD = Column("shard", Kind.SMALL_INT, "The shard of the state.", Since(1))
_UP_TO_FILE = Column(
    "up_to_file", Kind.INT, "Files with higher numbers were written later: they are not meant.", Since(1)
)


def quoted(text: object) -> str:
    """A text, or None, as a SQL literal."""
    return "NULL" if text is None else "'" + str(text).replace("'", "''") + "'"


def column_list(names: Iterable[str]) -> str:
    """Columns as SQL."""
    return ", ".join(f'"{name}"' for name in names)


def without_late(name: str, source: str, prefix: str = "") -> str:
    """SQL for the rows of `source` that are not in `late_TABLE`; `prefix` says where that is: a schema and a dot."""
    return f"{source} ANTI JOIN {prefix}late_{name} USING ({late_columns(name)})"


def only_late(name: str, source: str) -> str:
    """SQL for the rows of `source` that are in `late_TABLE`."""
    return f"{source} SEMI JOIN late_{name} USING ({late_columns(name)})"


def late_columns(name: str) -> str:
    """What a row is known by in `late_TABLE`: identity and time. Of two of one identity, one may count."""
    return column_list([*TABLES[name].identity, COLD_TABLES[name].time])


def table_statements(prefix: str = "") -> dict[str, list[str]]:
    """What creates each table, with its comments, by the table's name; `prefix` says where: a schema and a dot."""
    statements = {
        table.name: _create(f"{prefix}{table.name}", table.columns, table.comment)
        for table in (*INFO.values(), *TABLES.values(), *FILES.values())
    }
    for name, history in COLD_TABLES.items():
        table = TABLES[name]
        late = (*table.identity, history.time)
        statements[f"late_{name}"] = _create(
            f"{prefix}late_{name}",
            [_SHARD, *(_as_in(table, column) for column in late)],
            f"Internal: identities of rows of {name} that were written again after they had been moved to a file.",
        )
        statements[f"deleted_{name}"] = _create(
            f"{prefix}deleted_{name}",
            [_SHARD, _UP_TO_FILE, *(_as_in(table, column) for column in table.identity)],
            f"Internal: beginnings of identities of rows of {name} that were deleted after they may have been moved;"
            " NULL: all.",
        )
    return statements


def comment_on_column(table: str, column: str, comment: str | None) -> str:
    """The statement that gives a column its comment."""
    return f'COMMENT ON COLUMN {table}."{column}" IS {quoted(comment)}'


def _create(name: str, columns: Iterable[Column], comment: str) -> list[str]:
    columns = list(columns)
    definitions = ", ".join(f'"{column.name}" {column.kind.value}' for column in columns)
    return [
        f"CREATE TABLE {name} ({definitions})",
        f"COMMENT ON TABLE {name} IS {quoted(comment)}",
        *(comment_on_column(name, column.name, column.comment) for column in columns),
    ]


def _as_in(table: Table, name: str) -> Column:
    return table.column(name)._replace(comment=f"As in {table.name}.")
