"""Whether a shard's file, the recovery store and the published snapshot belong together."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import NamedTuple

import duckdb

from state.errors import StateError
from state.schema.layout import stored_name
from state.schema.sql import quoted


class DataMark(NamedTuple):
    """A shard's file at some time of its life."""

    data_id: bytes
    """Made with the file; no other has it."""
    commits: int
    """How often records had been committed to it."""


def read_mark(connection: duckdb.DuckDBPyConnection, shard: int) -> DataMark:
    """The mark of a writer's file; a file of an earlier release gets one. Raises duckdb.Error."""
    if (mark := _find(connection, "data_info", shard)) is None:
        mark = DataMark(uuid.uuid4().bytes, 0)
        connection.execute(
            "INSERT INTO data_info (shard, data_id, commits) VALUES (?, ?, ?)",
            [shard, uuid.UUID(bytes=mark.data_id), mark.commits],
        )
    return mark


def published_mark(connection: duckdb.DuckDBPyConnection, snapshot: Path, shard: int) -> DataMark | None:
    """The mark of a shard's file when the published snapshot was made of it; None if that cannot be known."""
    if not snapshot.exists():
        return None
    try:
        connection.execute(f"ATTACH {quoted(snapshot)} AS published (READ_ONLY)")
    except duckdb.Error:
        return None  # damaged, of a later release, or opened by somebody for writing
    try:
        return _find(connection, stored_name(connection, "published", "data_info"), shard)
    except duckdb.Error:
        return None  # of an earlier release
    finally:
        connection.execute("DETACH published")


def check_mark(path: Path, mark: DataMark, other: DataMark, owner: str) -> None:
    """Compare a file's mark with what `owner` knows of it. Raises StateError if it is another file, or too old."""
    if other.data_id != mark.data_id:
        raise StateError(f"{path}: is not the file that {owner} belongs to; {_ADVICE}")
    if other.commits > mark.commits:
        raise StateError(
            f"{path}: is older than {owner}: {mark.commits} commits were made to it, {other.commits} are known;"
            f" {_ADVICE}"
        )


_ADVICE = (
    "put the right one back, make the tables again from the inputs (repair), or go on without what is missing with "
    "CRONWAX_ACCEPT_OTHER_DATA=true"
)


def _find(connection: duckdb.DuckDBPyConnection, table: str, shard: int) -> DataMark | None:
    row = connection.execute(
        f"SELECT data_id, commits FROM {table} WHERE shard = ?",  # noqa: S608 - our own names
        [shard],
    ).fetchone()
    return DataMark(row[0].bytes, row[1]) if row is not None else None
