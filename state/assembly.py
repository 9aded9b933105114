"""From a copy of a writer's file to the file that analysts open."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from state.answers import apply_answers
from state.cold import LEDGER
from state.database import STORAGE_VERSION
from state.errors import StateError, reason
from state.snapshot_views import add_history
from state.tables import TABLES

_INFO = """
    INSERT INTO snapshot_info (published_at, event_clock, positions)
    SELECT ?, min(clock),
        coalesce(list({'topic': topic, 'partition': "partition", 'position': "position", 'clock': clock}
                      ORDER BY topic, "partition"), [])
    FROM partitions"""


def assemble(copy: Path, others: Iterable[Path], data_dir: Path, published_at: float, started: float) -> int:
    """Make a snapshot of a copy of one shard's file; returns its size in bytes.

    1. The rows of the `others`, files that other shards have published.
    2. Views over the history.
    3. The views and macros that answer questions.
    4. What it covers: `published_at` in seconds since the epoch; `started` is time.perf_counter() of when the work
       began.

    Raises StateError.
    """
    try:
        # Of a process that died here with an older copy; it would be applied to this one.
        copy.with_name(f"{copy.name}.wal").unlink(missing_ok=True)
        with duckdb.connect(copy, config={"storage_compatibility_version": STORAGE_VERSION}) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            for other in others:
                _take_over(connection, other)
            add_history(connection, data_dir)
            apply_answers(connection)
            connection.execute(_INFO, [datetime.fromtimestamp(published_at, UTC)])
            return _measure(connection, copy, started)
    except (duckdb.Error, OSError) as error:
        raise StateError(f"{copy}: cannot assemble the snapshot: {reason(error)}") from None


def _take_over(connection: duckdb.DuckDBPyConnection, other: Path) -> None:
    """Add the rows of another shard. Shards have no row in common: a monitor belongs to one."""
    connection.execute(f"ATTACH '{quoted(other)}' AS other (READ_ONLY)")
    try:
        for name in (*TABLES, *LEDGER):
            connection.execute(f"INSERT INTO {name} BY NAME SELECT * FROM other.main.{name}")  # noqa: S608
    finally:
        connection.execute("DETACH other")


def _measure(connection: duckdb.DuckDBPyConnection, copy: Path, started: float) -> int:
    """Write down time and size. Writing the size may change it, so it is written until it is the true one."""
    size = -1
    for _ in range(4):
        connection.execute("CHECKPOINT")
        if size == copy.stat().st_size:
            break
        size = copy.stat().st_size
        seconds = round(time.perf_counter() - started, 6)
        connection.execute("UPDATE snapshot_info SET publish_seconds = ?, size_bytes = ?", [seconds, size])
    return size


def quoted(path: Path) -> str:
    """A path within SQL quotes."""
    return str(path).replace("'", "''")
