"""Opening the published snapshot to read it, as analysts do."""

from __future__ import annotations

from pathlib import Path

import duckdb

from state.database import check_version
from state.errors import StateError, reason
from state.snapshot_views import SNAPSHOT


def open_snapshot(data_dir: Path) -> duckdb.DuckDBPyConnection:
    """The snapshot in a data folder, read-only, times in UTC.

    Raises StateError: nothing published yet, no DuckDB database, somebody has it open for writing, or a newer
    Cronwax wrote it.
    """
    path = data_dir / SNAPSHOT
    if not path.exists():
        raise StateError(f"{path}: nothing published yet; run the flow first")
    try:
        connection = duckdb.connect(path, read_only=True)
        connection.execute("SET TimeZone = 'UTC'")
        check_version(connection, path)
    except duckdb.Error as error:
        raise StateError(f"{path}: cannot open: {reason(error)}") from None
    return connection
