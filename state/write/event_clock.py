"""The event clock of tables: up to when everything was read."""

from __future__ import annotations

import duckdb


def event_clock_us(connection: duckdb.DuckDBPyConnection, prefix: str = "") -> int | None:
    """Of tables whose names begin with `prefix`, in µs since the epoch: the slowest partition's; None: there is none
    yet. Raises duckdb.Error."""
    row = connection.execute(f"SELECT epoch_us(min(clock)) FROM {prefix}partitions").fetchone()  # noqa: S608
    return row[0] if row is not None else None
