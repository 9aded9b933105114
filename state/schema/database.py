"""Opening the writer's own database file, and everything that can be wrong with it."""

from __future__ import annotations

import fcntl
import os
import re
import time
from pathlib import Path

import duckdb

from state.errors import StateError, reason
from state.schema.catalogue import FILES, INFO, SCHEMA_VERSION, TABLES
from state.schema.sql import comment_on_column, quoted, table_statements
from state.schema.views import apply_answers

STORAGE_VERSION = "v1.0.0"
"""The file format: analysts' tools of DuckDB 1.x read it; the newest format only DuckDB 2 does."""
ROW_GROUP = 30_720
"""Rows of a row group, a quarter of DuckDB's own: a checkpoint has some in memory, and writes again what is in one that
is not full."""
_NAME = "shard"
_HEADERS_BYTES = 3 * 4096
"""The least that a DuckDB file has."""
_MAKING_SECONDS = 1.0
"""Longer than it takes to write them."""

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "threads": 2,
    "memory_limit": "1GB",
    # Publishing checkpoints often enough; checkpoints between are only needed when nothing is published.
    "checkpoint_threshold": "256MB",
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}


def shard_path(data_dir: Path, shard: int) -> Path:
    """The file that one shard's writer owns; no other process can open it meanwhile."""
    return data_dir / "state" / f"shard-{shard:03d}.duckdb"


def open_database(path: Path, shard: int, shards: int) -> duckdb.DuckDBPyConnection:
    """Open or create a shard's file, with the current schema.

    Raises StateError: folder or file cannot be written, another process holds it, it is not a DuckDB database, a
    newer Cronwax wrote it, or the state is split into another number of shards.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StateError(
            f"{error.filename or path.parent}: cannot make the folder: {reason(error)}"
        ) from None
    try:
        _remove_half_made(path)
        connection = _attached(path)
    except OSError as error:
        raise StateError(f"{path}: cannot open: {reason(error)}") from None
    except duckdb.Error as error:
        raise _cannot_open(path, error) from None
    try:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET enable_progress_bar = false")  # it would be drawn over the flow's own
        _apply_schema(connection, path, shard, shards)
        # Once a start, not once a snapshot: every copy has them. They are bound by name whenever they are asked.
        apply_answers(connection)
    except duckdb.Error as error:
        connection.close()
        raise StateError(f"{path}: {reason(error)}") from None
    except StateError:
        connection.close()
        raise
    return connection


def _attached(path: Path) -> duckdb.DuckDBPyConnection:
    """A connection whose own tables are those of the file. It is attached, as row groups have another size only so."""
    connection = duckdb.connect(config={**_CONFIG, "temp_directory": f"{path}.tmp"})
    version = "" if path.exists() else f", STORAGE_VERSION '{STORAGE_VERSION}'"
    try:
        connection.execute(f"ATTACH {quoted(path)} AS {_NAME} (ROW_GROUP_SIZE {ROW_GROUP}{version})")
        connection.execute(f"USE {_NAME}")
    except duckdb.Error:
        connection.close()
        raise
    return connection


def _remove_half_made(path: Path) -> None:
    """Remove a file that somebody died over who was about to make it: DuckDB reads none that lacks a header, and there
    is nothing in it. Raises OSError."""
    if not _is_short(path):
        return
    time.sleep(_MAKING_SECONDS)
    if not _is_short(path):
        return  # another process was making it
    with path.open("r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # as DuckDB itself locks it
        except BlockingIOError:
            return
        begin = file.read(_HEADERS_BYTES)
        is_ours = not begin or begin[8:12] == b"DUCK"
        if is_ours and len(begin) < _HEADERS_BYTES and os.path.samestat(os.fstat(file.fileno()), path.stat()):
            path.unlink()


def _is_short(path: Path) -> bool:
    return path.exists() and path.stat().st_size < _HEADERS_BYTES


def check_version(connection: duckdb.DuckDBPyConnection, path: Path) -> tuple[int, int] | None:
    """Shard and number of shards of a file; None if it is empty.

    Raises StateError if it is somebody else's, or a newer Cronwax wrote it.
    """
    tables = {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    if not tables:
        return None
    row = None
    if "schema_info" in tables:
        row = connection.execute("SELECT version, shard, shards FROM schema_info").fetchone()
    if row is None:
        raise StateError(f"{path}: is a DuckDB database, but not one of Cronwax")
    version, shard, shards = row
    if version > SCHEMA_VERSION:
        raise StateError(
            f"{path}: has schema version {version}, this Cronwax knows versions up to {SCHEMA_VERSION}:"
            " use a newer one"
        )
    return shard, shards


def _apply_schema(connection: duckdb.DuckDBPyConnection, path: Path, shard: int, shards: int) -> None:
    found = check_version(connection, path)
    if found is None:
        connection.begin()
        _create_tables(connection)
        connection.execute("INSERT INTO schema_info VALUES (?, ?, ?)", [SCHEMA_VERSION, shard, shards])
        connection.commit()
    elif found != (shard, shards):
        raise StateError(
            f"{path}: is shard {found[0]} of {found[1]}, not shard {shard} of {shards}:"
            " the number of shards is fixed for the life of a data folder"
        )
    else:
        _upgrade(connection)


def _upgrade(connection: duckdb.DuckDBPyConnection) -> None:
    """Bring a file of an older version to the current one."""
    connection.begin()
    (version,) = connection.execute("SELECT version FROM schema_info").fetchone() or (SCHEMA_VERSION,)
    if version == SCHEMA_VERSION:
        connection.rollback()
        return
    _create_tables(connection)
    _add_columns(connection, version)
    if version < 3:
        connection.execute(
            "INSERT INTO monitor_status_history SELECT project_id, slug, updated_at, status FROM monitors"
            " WHERE status = 'disabled'"
        )
    connection.execute("UPDATE schema_info SET version = ?", [SCHEMA_VERSION])
    connection.commit()


def _create_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the tables that are not there yet."""
    there = {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    for name, statements in table_statements().items():
        if name not in there:
            for statement in statements:
                connection.execute(statement)


def _add_columns(connection: duckdb.DuckDBPyConnection, version: int) -> None:
    """Add the columns that came after this version."""
    there = set(connection.execute("SELECT table_name, column_name FROM duckdb_columns()").fetchall())
    for table in (*INFO.values(), *TABLES.values(), *FILES.values()):
        for column in table.columns:
            if column.since.version > version and (table.name, column.name) not in there:
                name = f'"{column.name}"'
                connection.execute(f"ALTER TABLE {table.name} ADD COLUMN {name} {column.kind.value}")
                connection.execute(f"UPDATE {table.name} SET {name} = {column.since.fill}")  # noqa: S608 - our own
                connection.execute(comment_on_column(table.name, column.name, column.comment))


def _cannot_open(path: Path, error: duckdb.Error) -> StateError:
    text = reason(error)
    if "Could not set lock" in text:
        holder = re.search(r"\(PID (\d+)\)", text)
        process = f" (process {holder[1]})" if holder else ""
        return StateError(f"{path}: another flow{process} seems to be running on this data folder")
    if "not a valid DuckDB database" in text:
        return StateError(f"{path}: is not a DuckDB database")
    return StateError(f"{path}: cannot open: {text}")
