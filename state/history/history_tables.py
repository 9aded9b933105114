"""Which tables have history: rows of closed hours that are in Parquet files instead of the writer's database.

A table's rows are those in the database (hot) and those in the files that its manifest, `history_files`, lists
as live (cold), without the cold rows that something later has replaced or deleted:

- `late_TABLE` holds identity and time of cold rows, or of hot ones that may be in a cold file too, of which another
  version counts: that in the database, or one of another time in another file.
- `deleted_TABLE` holds beginnings of identities that were deleted when they may have been in a cold file; they
  say nothing of files that were written later (`up_to_file`).

Rewriting a day's files leaves such rows out for good. The names of all tables and columns here are our own, so
statements are put together as text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from state.schema.catalogue import COLD_TABLES, TABLES
from state.schema.sql import column_list, without_late


class Part(NamedTuple):
    """A live Parquet file."""

    path: str
    """Relative to the data folder, with slashes."""
    has_late: bool
    """Some of its rows may have been replaced by hot ones."""
    deleted_from: int | None
    """Deletes whose `up_to_file` is at least this may hide rows of it; None: none does."""


HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US


def day_condition(column: str, day_us: int) -> str:
    """SQL: a time lies within a day."""
    return f"epoch_us({column}) - {day_us} BETWEEN 0 AND {DAY_US - 1}"


def cold_queries(
    name: str, columns: str, parts: Sequence[Part], lengths: Sequence[int], root: str, prefix: str = ""
) -> list[str]:
    """Queries that together give `columns` of all cold rows that are neither replaced nor deleted.

    Files that need no comparing are in a query without any, so that reading them costs nothing more. `lengths`
    are those of the beginnings in `deleted_TABLE`; `root` is a SQL expression: the data folder and a slash; `prefix`
    says where the tables of late and deleted rows are: a schema and a dot.
    """
    groups: dict[tuple[bool, int | None], list[str]] = {}
    for part in parts:
        groups.setdefault((part.has_late, part.deleted_from), []).append(part.path)
    return [
        f"SELECT {columns} FROM "  # noqa: S608
        + _counting(name, _files(name, paths, root), lengths, has_late, deleted_from, prefix)
        for (has_late, deleted_from), paths in groups.items()
    ]


def _files(name: str, paths: list[str], root: str) -> str:
    files = ", ".join(f"{root} || '{path}'" for path in paths)
    source = f"read_parquet([{files}], hive_partitioning = false)"
    table = TABLES[name]
    later = [column for column in table.columns if column.since.version > table.since]
    if later:  # files of earlier releases lack them, and a query that names them would find none
        empty = ", ".join(f'NULL::{column.kind.value} AS "{column.name}"' for column in later)
        source = (
            f"(FROM read_parquet([{files}], hive_partitioning = false, union_by_name = true)"
            f" UNION ALL BY NAME SELECT {empty} WHERE false)"
        )
    return source


def _counting(
    name: str, source: str, lengths: Sequence[int], has_late: bool, deleted_from: int | None, prefix: str
) -> str:
    """The rows of `source` that were neither replaced nor deleted."""
    if has_late:
        source = without_late(name, source, prefix)
    if deleted_from is not None:
        for length in lengths:
            columns = TABLES[name].identity[:length]
            source = (
                f"{source} ANTI JOIN (SELECT {column_list(columns)} FROM {prefix}deleted_{name}"  # noqa: S608
                f" WHERE up_to_file >= {deleted_from} AND {_has_length(name, length)})"
                f" USING ({column_list(columns)})"
            )
    return source


def delete_lengths_query(name: str) -> str:
    """How many columns the beginnings in `deleted_TABLE` have: one number a row."""
    cases = " ".join(f"WHEN {_has_length(name, length)} THEN {length}" for length in _lengths(name))
    return f"SELECT DISTINCT CASE {cases} END FROM deleted_{name} ORDER BY 1"  # noqa: S608


def _has_length(name: str, length: int) -> str:
    columns = TABLES[name].identity
    bounds = [f'"{columns[length - 1]}" IS NOT NULL']
    if length < len(columns):
        bounds.append(f'"{columns[length]}" IS NULL')
    return " AND ".join(bounds)


def _lengths(name: str) -> range:
    return range(1, len(TABLES[name].identity) + 1)


def parts_query(name: str, condition: str = "TRUE") -> str:
    """The columns of `Part` for each live file; `condition` narrows `f`, rows of history_files."""
    time = COLD_TABLES[name].time
    return f"""
        SELECT f.path,
            EXISTS (SELECT 1 FROM late_{name} AS late WHERE late.shard = f.shard
                AND epoch_us(late."{time}") - epoch_us(f.day) BETWEEN 0 AND {DAY_US - 1}),
            (SELECT min(d.up_to_file) FROM deleted_{name} AS d
                WHERE d.shard = f.shard AND d.up_to_file >= f.file_id)
        FROM history_files AS f
        WHERE f.table_name = '{name}' AND f.superseded_at IS NULL AND {condition}
        ORDER BY f.day, f.shard, f.file_id"""  # noqa: S608
