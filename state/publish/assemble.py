"""From a copy of a writer's file to the file that analysts open."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from state.errors import StateError, reason
from state.publish.snapshot_views import add_history, put_away
from state.schema.database import STORAGE_VERSION
from state.write.worked_off import event_clock_us

_INFO = """
    INSERT INTO snapshot_info (published_at, event_clock, positions)
    SELECT ?, make_timestamptz(?),
        coalesce(list({'topic': topic, 'partition': "partition", 'position': "position", 'clock': clock}
                      ORDER BY topic, "partition"), [])
    FROM partitions"""


class MemoryLimitError(StateError):
    """The limit that was given may be below what a snapshot needs."""


@contextmanager
def opened(copy: Path, memory_mb: int | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A copy of a writer's file, to make a snapshot of it. Raises StateError for whatever goes wrong meanwhile.

    `memory_mb`: what DuckDB may take for it. A checkpoint takes all that it may have as a cache.
    """
    try:
        # Of a process that died here with an older copy; it would be applied to this one.
        copy.with_name(f"{copy.name}.wal").unlink(missing_ok=True)
        with duckdb.connect(copy, config={"storage_compatibility_version": STORAGE_VERSION}) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            # Row groups stay as the writer has them: each checkpoint here would merge some of them.
            connection.execute("SET max_vacuum_tasks = 0")
            if memory_mb is not None:
                connection.execute(f"SET memory_limit = '{memory_mb}MB'")
            yield connection
    except (duckdb.Error, OSError) as error:
        # A checkpoint for which it is not enough is a FatalException.
        is_memory = isinstance(error, duckdb.OutOfMemoryException | duckdb.FatalException)
        if is_memory and memory_mb is not None:
            raise MemoryLimitError(f"{copy}: {reason(error)}") from None
        raise StateError(f"{copy}: cannot assemble the snapshot: {reason(error)}") from None


def assemble(
    connection: duckdb.DuckDBPyConnection, copy: Path, data_dir: Path, published_at: float, started: float
) -> int:
    """Make a snapshot of an opened copy; returns its size in bytes.

    1. What it covers: `published_at` in seconds since the epoch; `started` is time.perf_counter() of when the work
       began.
    2. What is not for people goes into a schema of its own.
    3. Views over the history. The views and macros that answer questions are there already: the writer's file has them.

    Raises duckdb.Error or OSError.
    """
    clock_us = event_clock_us(connection)
    connection.execute("DELETE FROM snapshot_info")  # the writers' rows
    connection.execute(_INFO, [datetime.fromtimestamp(published_at, UTC), clock_us])
    put_away(connection)
    add_history(connection, data_dir)
    return _measure(connection, copy, started)


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
