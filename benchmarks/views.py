"""What analysts' questions cost: `--size` monitors with 30 days of history (`benchmarks/fleet.py`).

Each question is asked as people ask it, narrowed or added up: a view of millions of rows is not fetched whole. Each is
asked on a connection of its own, already open, of the published snapshot; the file system's cache is warm.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median

import duckdb

from benchmarks import fleet
from benchmarks.report import Report
from state.publish.snapshot_views import SNAPSHOT

SIZE = 100_000
AIM_MS = 200
_JOB = "project_id = 7 AND slug = 'job-7'"
_MONTH = "event_clock() - INTERVAL 720 HOUR, event_clock()"
MOST_USED = {
    "monitor_status: what fails": "FROM monitor_status WHERE status = 'error' ORDER BY since LIMIT 50",
    "uptime: the worst 50 of 30 days": f"FROM uptime({_MONTH}) ORDER BY uptime LIMIT 50",
    "uptime_daily: SLA of 30 days by owner": "SELECT owner, sum(ok_seconds) / sum(ok_seconds + failing_seconds)"
    " FROM uptime_daily WHERE days_ago BETWEEN 1 AND 30 GROUP BY owner",
    "incident_details: time to recover by owner": "SELECT owner, avg(lasted_seconds) FROM incident_details"
    " WHERE NOT is_open GROUP BY owner",
    "runs: one job's newest 50": f"FROM runs WHERE {_JOB} ORDER BY started_at DESC LIMIT 50",
    "run_durations: what became slower": "FROM run_durations WHERE trend > 1.5 ORDER BY trend DESC LIMIT 50",
    "late_starts: the latest 50": "FROM late_starts ORDER BY p95_late_seconds DESC LIMIT 50",
    "due_runs: the next hour": "SELECT owner, count(*) FROM due_runs WHERE due_in_seconds < 3600 GROUP BY owner",
    "collisions: the fullest minutes ahead": "FROM collisions WHERE is_ahead ORDER BY due DESC LIMIT 10",
    "silence: unheard for three periods": "FROM silence WHERE silent_periods > 3 ORDER BY silent_periods DESC LIMIT 50",
}
OTHERS = {
    "monitor_status, all": "SELECT status, count(*) FROM monitor_status GROUP BY status",
    "uptime: one job": f"FROM uptime({_MONTH}) WHERE {_JOB}",
    "uptime_daily: one job": f"FROM uptime_daily WHERE {_JOB}",
    "uptime_daily, all rows counted": "SELECT count(*), sum(ok_seconds) FROM uptime_daily",
    "incident_details: the newest 50": "FROM incident_details ORDER BY starting_timestamp DESC LIMIT 50",
    "timeline: one job's 30 days": f"FROM timeline(7, 'job-7', {_MONTH})",
    "due_runs: one job": f"FROM due_runs WHERE {_JOB}",
    "due_runs, all rows counted": "SELECT count(*) FROM due_runs",
    "messages_daily: by owner and week": "SELECT owner, week_of(day), sum(messages) FROM messages_daily GROUP BY ALL",
    "noisiest: the first 50": "FROM noisiest LIMIT 50",
    "flapping": "FROM flapping",
    "never_recovered": "FROM never_recovered",
    "mttr, all": "SELECT week, avg(mttr_seconds) FROM mttr GROUP BY week",
    "unexpected_runs": "SELECT count(*) FROM unexpected_runs",
    "rejections: by reason": "SELECT error_type, count(*) FROM rejections GROUP BY error_type",
    "config_periods: whose on a day": "SELECT owner, count(*) FROM config_periods WHERE began_at <= event_clock() - "
    "INTERVAL 480 HOUR AND coalesce(ended_at > event_clock() - INTERVAL 480 HOUR, true) GROUP BY owner",
    "runs_daily: the flakiest": "SELECT project_id, slug, environment, sum(failures) / sum(judged) AS share"
    " FROM runs_daily GROUP BY ALL ORDER BY share DESC LIMIT 50",
    "runs, all rows counted": "SELECT count(*), sum(late_seconds) FROM runs",
    "collisions, all": "SELECT max(due), max(running) FROM collisions",
    "concurrency: the most at once": "FROM concurrency ORDER BY running DESC LIMIT 1",
}


def run(size: int, runs: int) -> Report:
    """Write the fleet, then ask."""
    report = Report("views", size, runs)
    with tempfile.TemporaryDirectory(prefix="cronwax-bench-") as name:
        folder = Path(name)
        fleet.write(folder, size)
        figures = {question: ask(folder, query, runs) for question, query in (MOST_USED | OTHERS).items()}
    report.figures = {question: {"ms": ms} for question, ms in figures.items()}
    slowest = max(figures[question] for question in MOST_USED)
    report.aim("the slowest of the ten most used, ms", slowest, f"< {AIM_MS}")
    return report


def ask(folder: Path, query: str, runs: int) -> float:
    """The median of some askings, in milliseconds."""
    found = []
    for _ in range(runs):
        with duckdb.connect(folder / SNAPSHOT, read_only=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute("SELECT count(*) FROM snapshot_info").fetchall()
            started = time.perf_counter()
            connection.execute(query).fetchall()
            found.append(1000 * (time.perf_counter() - started))
    return median(found)
