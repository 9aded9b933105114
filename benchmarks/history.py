"""What history costs: a month of check-ins, most of it in Parquet files.

`--size` is check-ins a day, for 30 days of 10,000 environments; the contract's is 2,000,000. Figures of queries are of
a freshly opened snapshot, opening included. The rows are made by DuckDB itself: what is measured is what comes after.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import duckdb

from benchmarks.report import Report
from state.history.history import History, Limits
from state.publish.publish import Publisher
from state.publish.snapshot_views import SNAPSHOT
from state.schema.database import shard_path
from state.schema.tables.internal import PartitionRow
from state.write.writer import StateWriter

SIZE = 2_000_000
DAYS = 30
ENVIRONMENTS = 10_000
START = datetime(2025, 3, 3, tzinfo=UTC)
_HOUR = """
    INSERT INTO check_ins
    SELECT uuid(), (i % 100)::UBIGINT, 'monitor-' || (i % {environments}), 'production',
        CASE WHEN hash(i) % 100 = 0 THEN 'error' ELSE 'ok' END, (hash(i) % 60000)::BIGINT,
        added, added + INTERVAL 1 MINUTE, date_trunc('minute', added), NULL, uuid()
    FROM (
        SELECT range AS i, ?::TIMESTAMPTZ + to_microseconds(range * 3600000000 // {rows}) AS added
        FROM range({rows})
    )"""
_QUERIES = {
    "monitor_status, s": "SELECT count(*) FROM (FROM monitor_status)",
    "uptime of 30 days, s": "SELECT count(*), sum(uptime) FROM uptime(?, ?)",
    "run_durations, s": "SELECT count(*), sum(trend) FROM run_durations",
    "statuses of 30 days, s": "SELECT status, count(*) FROM check_ins GROUP BY status",
    "one monitor's 30 days, s": "SELECT status, count(*) FROM check_ins WHERE project_id = 7 AND slug = 'monitor-7'"
    " GROUP BY status",
}


def run(size: int, runs: int) -> Report:
    """Fill a month, then publish and ask."""
    report = Report("history", size, runs)
    with tempfile.TemporaryDirectory(prefix="cronwax-bench-") as name:
        folder = Path(name)
        publish_s, file_mb, moves = _fill(folder, size)
        figures = {
            "publish cycle, median, s": median(publish_s),
            "publish cycle, longest, s": max(publish_s),
            "writer's file, largest, MB": file_mb,
            "pause for history after an hour, median, s": median(moves),
            "pause for history after an hour, longest, s": max(moves),
            "history's files, MB": sum(f.stat().st_size for f in folder.glob("history/*/*/*")) / 1e6,
            "snapshot, MB": (folder / SNAPSHOT).stat().st_size / 1e6,
        }
        for name_, query in _QUERIES.items():
            parameters = [START, START + timedelta(days=DAYS)] if "?" in query else []
            figures[name_] = median(_seconds(_ask, folder, query, parameters) for _ in range(runs))
    report.figures["history"] = figures
    report.aim("publish cycle, longest, s", figures["publish cycle, longest, s"], "< 2")
    report.aim("monitor_status, s", figures["monitor_status, s"], "< 0.1")
    report.aim("uptime of 30 days, s", figures["uptime of 30 days, s"], "< 2")
    report.aim("writer's file, largest, MB", file_mb, "< 1000")
    return report


def _fill(folder: Path, size: int) -> tuple[list[float], float, list[float]]:
    """Every hour of the month; seconds of publishing (each sixth hour), the writer's largest MB, seconds of moving."""
    writer = StateWriter.open(folder)
    history = History(writer, folder, Limits(), time.time)
    publisher = Publisher(writer, folder, 0, time.time)
    _make_monitors(writer.connection)
    publish_s, moves, largest = [], [], 0
    for hour in range(DAYS * 24):
        at = START + timedelta(hours=hour)
        writer.connection.execute(_HOUR.format(environments=ENVIRONMENTS, rows=size // 24), [at])
        clock_us = round((at.timestamp() + 3600) * 1e6)
        position = PartitionRow(topic="checkins", partition=0, position=hour + 1, clock=clock_us)
        writer.write({"partitions": [position]})
        writer.commit()
        # A day is rewritten in the background; here an hour takes seconds, so the thread is waited for, untimed.
        history.wait()
        moves.append(_seconds(history.maintain))
        if hour % 6 == 5:
            publish_s.append(_seconds(publisher.publish))
        largest = max(largest, shard_path(folder, 0).stat().st_size)
    while history.wait():
        history.maintain()
    publisher.publish(force=True)
    writer.close()
    return publish_s, largest / 1e6, moves


def _make_monitors(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        """
        INSERT INTO monitors BY NAME
        SELECT (range % 100)::UBIGINT AS project_id, 1::UBIGINT AS organization_id, 'monitor-' || range AS slug,
            'monitor-' || range AS name, 'active' AS status, false AS is_muted, 'crontab' AS schedule_type,
            '*/5 * * * *' AS schedule, 'UTC' AS timezone, $1::TIMESTAMPTZ AS created_at, $1::TIMESTAMPTZ AS updated_at
        FROM range($2)""",
        [START, ENVIRONMENTS],
    )
    connection.execute(
        """
        INSERT INTO monitor_environments BY NAME
        SELECT project_id, slug, 'production' AS environment, 'ok' AS status, false AS is_muted, updated_at,
            created_at AS last_checkin, created_at + INTERVAL 5 MINUTE AS next_checkin FROM monitors"""
    )
    connection.execute(
        """
        INSERT INTO incidents BY NAME
        SELECT md5(slug || n) AS incident_id, project_id, slug, 'production' AS environment,
            $1::TIMESTAMPTZ + to_hours((n * 60 + hash(slug) % 50)::BIGINT) AS starting_timestamp,
            starting_timestamp + INTERVAL 1 HOUR AS resolving_timestamp
        FROM monitors, (SELECT range AS n FROM range(10))""",
        [START],
    )


def _ask(folder: Path, query: str, parameters: list[Any]) -> None:
    with duckdb.connect(folder / SNAPSHOT, read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(query, parameters).fetchall()


def _seconds(what: Callable[..., Any], *arguments: Any) -> float:
    started = time.perf_counter()
    what(*arguments)
    return time.perf_counter() - started
