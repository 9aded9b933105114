"""Rows that nobody wants any more."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import duckdb

from state.history.history_tables import DAY_US
from state.schema.catalogue import COLD_TABLES, RETAINED


def drop_old(
    connection: duckdb.DuckDBPyConnection, days: Mapping[str, int], today_us: int, now: datetime
) -> bool:
    """Drop rows older than this many whole days (by table) before the event clock's day; within a transaction.

    Files are dropped whole; they stay for a while for readers of older snapshots, `now` being the machine's time.
    Runs that are still in progress stay until they end. Returns whether anything was dropped.
    """
    dropped = False
    for name, kept_days in days.items():
        cut_us = today_us - kept_days * DAY_US
        dropped |= _drop_rows(connection, name, cut_us)
        if name in COLD_TABLES:
            dropped |= _drop_files(connection, name, cut_us, now)
    return dropped


def _drop_rows(connection: duckdb.DuckDBPyConnection, name: str, cut_us: int) -> bool:
    movable = COLD_TABLES[name].movable if name in COLD_TABLES else "TRUE"
    ((deleted,),) = connection.execute(
        f"DELETE FROM {name} WHERE {movable} AND {RETAINED[name]} < make_timestamptz(?)",  # noqa: S608 - our own names
        [cut_us],
    ).fetchall()
    return bool(deleted)


def _drop_files(connection: duckdb.DuckDBPyConnection, name: str, cut_us: int, now: datetime) -> bool:
    dropped = connection.execute(
        "UPDATE history_files SET superseded_at = ?"
        " WHERE table_name = ? AND epoch_us(day) < ? AND superseded_at IS NULL RETURNING path",
        [now, name, cut_us],
    ).fetchall()
    connection.execute(
        f"DELETE FROM late_{name} WHERE {RETAINED[name]} < make_timestamptz(?)",  # noqa: S608
        [cut_us],
    )
    return bool(dropped)
