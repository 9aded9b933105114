"""Opening the published snapshot to read it, as analysts do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import duckdb

from state.errors import StateError, reason
from state.publish.snapshot_views import SNAPSHOT
from state.schema.database import check_version
from state.schema.layout import find_both

_ATTEMPTS = 100
"""So often in a row can no snapshot be replaced while it is opened."""


def open_snapshot(data_dir: Path, config: dict[str, Any] | None = None) -> duckdb.DuckDBPyConnection:
    """The snapshot in a data folder, read-only, times in UTC; `config` is DuckDB's.

    Raises StateError: nothing published yet, no DuckDB database, somebody has it open for writing, or a newer
    Cronwax wrote it.
    """
    path = data_dir / SNAPSHOT
    if not path.exists():
        raise StateError(f"{path}: nothing published yet; run the flow first")
    try:
        connection = _open(path, config or {})
        connection.execute("SET TimeZone = 'UTC'")
        check_version(connection, path)
        find_both(connection)
    except duckdb.Error as error:
        raise StateError(f"{path}: cannot open: {reason(error)}") from None
    return connection


def _open(path: Path, config: dict[str, Any]) -> duckdb.DuckDBPyConnection:
    """Open one and the same file. DuckDB 2.0 opens a path three times, and reads the header by the second and all
    else by the third: where another snapshot is published in between, the one does not fit the other."""
    for _ in range(_ATTEMPTS):
        connection = None
        before = _identity(path)
        try:
            connection = duckdb.connect(path, read_only=True, config=config)
        except duckdb.Error:
            if before == _identity(path):
                raise
        if connection is not None:
            if before == _identity(path):
                return connection
            connection.close()
    raise duckdb.IOException("it is replaced faster than it can be opened")


def _identity(path: Path) -> tuple[int, ...] | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
