"""What the page shows, read from a snapshot: the day before its event clock, and the week for the job lists."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import duckdb

from state.errors import StateError

DAY = timedelta(hours=24)
WEEK = 7 * DAY
FAILING = ("error", "missed", "timeout")
MOST_JOBS = 10
"""Bars in a chart of jobs."""

_JOBS = """
    SELECT s.project_id, s.slug, s.environment, s.status, s.since, s.last_run, s.next_expected, s.overdue_by, s.owner,
        s.is_muted, u.uptime, u.unknown
    FROM monitor_status AS s
    JOIN uptime($begins, $ends) AS u USING (project_id, slug, environment)
    ORDER BY s.project_id, s.slug, s.environment"""
_DISABLED = """
    SELECT e.project_id, e.slug, e.environment, d.began_at, coalesce(d.ended_at, $ends) AS ended_at
    FROM disabled_periods AS d JOIN monitor_environments AS e ON e.project_id = d.project_id AND e.slug = d.slug
    WHERE d.began_at < $ends AND (d.ended_at IS NULL OR d.ended_at > $begins)
    ORDER BY d.began_at"""
_INCIDENTS = """
    SELECT project_id, slug, environment, starting_timestamp, coalesce(resolving_timestamp, $ends) AS ended
    FROM incidents
    WHERE starting_timestamp < $ends AND (resolving_timestamp IS NULL OR resolving_timestamp > $begins)
    ORDER BY starting_timestamp, incident_id"""
_FAILURES = """
    SELECT project_id, slug, environment, date_added, status
    FROM check_ins
    WHERE status IN ('error', 'missed', 'timeout') AND date_added >= $begins AND date_added < $ends
    ORDER BY date_added, check_in_id"""
_HOURS = """
    SELECT (epoch_us(date_added) - epoch_us($begins)) // 3600000000 AS hour, status, count(*)
    FROM check_ins WHERE date_added >= $begins AND date_added < $ends
    GROUP BY ALL ORDER BY ALL"""
_SLOWEST = """
    SELECT project_id, slug, environment, p50_ms, p95_ms, max_ms FROM durations($since, $ends)
    WHERE max_ms IS NOT NULL ORDER BY p95_ms DESC, project_id, slug, environment LIMIT $most"""
_NOISIEST = """
    SELECT project_id, slug, environment, occurrences, resolutions FROM noisiest
    ORDER BY messages DESC, project_id, slug, environment LIMIT $most"""

Key = tuple[int, str, str]
"""Project, slug, environment."""


@dataclass(slots=True)
class Job:
    """A monitor environment and its last day; moments of the day are shares of it, 0 to 1."""

    key: Key
    status: str
    since: datetime | None
    last_run: datetime | None
    next_expected: datetime | None
    overdue_by: timedelta | None
    owner: str | None
    is_muted: bool
    uptime: float | None
    known_from: float
    disabled: list[tuple[float, float]] = field(default_factory=list)
    """From when to when its monitor was disabled, in order."""
    failing: list[tuple[float, float]] = field(default_factory=list)
    """Open incidents, from when to when."""
    failures: list[tuple[float, str]] = field(default_factory=list)
    """Check-ins that failed, when and how."""

    @property
    def is_troubled(self) -> bool:
        """Something went wrong within the day."""
        return self.status == "error" or bool(self.failing or self.failures)


class Durations(NamedTuple):
    """How long a job's runs of the last week took, in ms."""

    key: Key
    p50_ms: float
    p95_ms: float
    max_ms: int


class Messages(NamedTuple):
    """How many messages were sent about a job in the last week."""

    key: Key
    occurrences: int
    resolutions: int


@dataclass(slots=True)
class Day:
    """The last day of a snapshot."""

    begins: datetime
    ends: datetime
    """The event clock."""
    jobs: list[Job]
    hours: dict[str, list[int]]
    """By status: check-ins that began in each of the 24 hours."""
    slowest: list[Durations]
    noisiest: list[Messages]


def read_day(connection: duckdb.DuckDBPyConnection) -> Day:
    """Read the day before the event clock. Raises StateError if the clock has not begun, duckdb.Error."""
    ends = connection.execute("SELECT max(event_clock) FROM snapshot_info").fetchall()[0][0]
    if ends is None:
        raise StateError("nothing to report yet: the snapshot holds no input")
    span = {"begins": ends - DAY, "ends": ends}
    most = {"most": MOST_JOBS}
    hours: dict[str, list[int]] = defaultdict(lambda: [0] * 24)
    for hour, status, count in _rows(connection, _HOURS, span):
        hours[status][hour] = count
    week = {"since": ends - WEEK, "ends": ends}
    slowest = [Durations(_key(row[:3]), *row[3:]) for row in _rows(connection, _SLOWEST, most | week)]
    noisiest = [Messages(_key(row[:3]), *row[3:]) for row in _rows(connection, _NOISIEST, most)]
    return Day(ends - DAY, ends, _jobs(connection, span), dict(hours), slowest, noisiest)


def _jobs(connection: duckdb.DuckDBPyConnection, span: dict[str, datetime]) -> list[Job]:
    def share(moment: datetime) -> float:
        return min(max((moment - span["begins"]) / DAY, 0.0), 1.0)

    jobs: dict[Key, Job] = {}
    for *key, status, since, last_run, due, overdue, owner, is_muted, uptime, unknown in _rows(
        connection, _JOBS, span
    ):
        known = (status, since, last_run, due, overdue, owner, is_muted, uptime, unknown / DAY)
        job = Job(_key(key), *known)
        jobs[job.key] = job
    for *key, disabled_at, enabled_at in _rows(connection, _DISABLED, span):
        job = jobs[_key(key)]
        job.disabled.append((share(disabled_at), share(enabled_at)))
        if share(disabled_at) < job.known_from:
            job.known_from += share(enabled_at) - share(disabled_at)  # disabled time is not among the unknown
    for *key, starts, ended in _rows(connection, _INCIDENTS, span):
        failing = jobs.get(_key(key))
        if failing is not None:
            failing.failing.append((share(starts), share(ended)))
    for *key, moment, status in _rows(connection, _FAILURES, span):
        failed = jobs.get(_key(key))
        if failed is not None:
            failed.failures.append((share(moment), status))
    return list(jobs.values())


def _rows(
    connection: duckdb.DuckDBPyConnection, query: str, parameters: dict[str, Any]
) -> list[tuple[Any, ...]]:
    return connection.execute(query, parameters).fetchall()


def _key(values: Sequence[Any]) -> Key:
    project, slug, environment = values
    return project, slug, environment
