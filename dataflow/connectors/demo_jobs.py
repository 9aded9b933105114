"""Who works in the demo: the projects of three organizations, and what their jobs are."""

from __future__ import annotations

from typing import Any, NamedTuple


class Project(NamedTuple):
    """One project of the demo."""

    project_id: int
    organization_id: int
    region: str
    """What some of its jobs carry in their names."""
    zone: str
    """The time zone of its crontabs."""
    sdk: str


class Job(NamedTuple):
    """A kind of job that projects have."""

    name: str
    schedule: str | tuple[int, str]
    """A crontab, or an interval as number and unit."""
    run_s: int
    """How long a run takes, about, in seconds."""
    reports: str
    """`result`: once it is over; `pair`: start and result; `beats`: start, signs of life, result; `nil`:
    start and result under the nil guid."""


PROJECTS = (
    Project(101, 1, "eu", "Europe/Berlin", "sentry.php/4.10.0"),
    Project(102, 1, "eu", "Europe/Paris", "sentry.python/2.22.0"),
    Project(103, 1, "us", "America/Chicago", "sentry.java/8.3.0"),
    Project(104, 1, "apac", "Asia/Kolkata", "sentry.python/2.22.0"),
    Project(201, 2, "us", "America/New_York", "sentry.javascript.node/9.3.0"),
    Project(202, 2, "us", "America/Los_Angeles", "sentry.ruby/5.22.4"),
    Project(203, 2, "apac", "Australia/Adelaide", "sentry.python/2.22.0"),
    Project(301, 3, "eu", "UTC", "sentry.go/0.31.1"),
    Project(302, 3, "us", "America/Sao_Paulo", "sentry.python/2.22.0"),
    Project(303, 3, "apac", "Asia/Tokyo", "sentry.javascript.node/9.3.0"),
)

JOBS = (
    Job("Nightly backup", "30 2 * * *", 1500, "beats"),
    Job("Billing run", "0 6 * * *", 900, "pair"),
    Job("Invoice export", "15 * * * *", 120, "pair"),
    Job("Exchange rates", "*/30 * * * *", 8, "pair"),
    Job("Card settlement", "0 */6 * * *", 600, "beats"),
    Job("Dunning letters", "0 9 * * 1-5", 300, "pair"),
    Job("Session cleanup", (10, "minute"), 15, "pair"),
    Job("Cache warmer", (15, "minute"), 40, "nil"),
    Job("Health probe", (5, "minute"), 1, "result"),
    Job("Queue depth", "*/5 * * * *", 1, "result"),
    Job("Search reindex", "5 */2 * * *", 1800, "beats"),
    Job("Sitemap", "@daily", 200, "pair"),
    Job("TLS certificates", "@hourly", 20, "result"),
    Job("Log rotation", "@hourly", 30, "pair"),
    Job("Stock levels", "*/15 * * * *", 60, "pair"),
    Job("Price feed import", "*/10 6-22 * * *", 45, "pair"),
    Job("Courier manifests", "0 7,12,16 * * *", 200, "pair"),
    Job("Weekly digest", "0 8 * * MON", 900, "pair"),
    Job("Push token pruning", "40 3 * * *", 240, "pair"),
    Job("Data export", (1, "hour"), 400, "pair"),
    Job("Warehouse load", "20 */3 * * *", 2400, "beats"),
    Job("KPI report", "45 5 * * *", 600, "pair"),
    Job("Risk model refresh", (6, "hour"), 1200, "beats"),
    Job("Sanction lists", "10 4,16 * * *", 90, "pair"),
    Job("Ledger balance", "*/20 * * * *", 30, "pair"),
    Job("Account deletion", "0 3 * * *", 700, "pair"),
    Job("Webhook retries", (5, "minute"), 10, "pair"),
    Job("Image thumbnails", (30, "minute"), 200, "pair"),
    Job("Feature flag sync", "*/15 * * * *", 3, "result"),
    Job("DNS check", (10, "minute"), 1, "result"),
    Job("Replica lag", (15, "minute"), 1, "result"),
    Job("Abandoned baskets", "25 * * * *", 80, "pair"),
    Job("Newsletter", "0 10 * * *", 1100, "pair"),
    Job("Partition maintenance", (1, "day"), 100, "pair"),
)
JOBS_PER_PROJECT = 30


class Trouble(NamedTuple):
    """Something that goes wrong in the demo."""

    monitors: int
    """So many monitors have it."""
    least_runs: int
    """A job that runs less often in a day is not picked."""
    ends: tuple[str, ...]
    """How one run after the other ends, from some point of the day on: see `demo_day.Run`."""
    config: dict[str, Any]
    """What such a monitor's config says besides."""


_PATIENT = {"failure_issue_threshold": 3}
_DISTRUSTFUL = {"failure_issue_threshold": 2, "recovery_threshold": 3}

TROUBLES = (
    Trouble(11, 3, ("error",), {}),
    Trouble(8, 24, ("error",) * 5, _PATIENT),
    Trouble(3, 90, ("error",) * 4 + ("ok", "error", "ok", "ok", "ok"), _DISTRUSTFUL),
    Trouble(6, 90, ("error", "ok", "ok", "error", "error", "ok") * 5, _PATIENT),
    Trouble(7, 8, ("hangs",), {}),
    Trouble(3, 8, ("overruns",), {}),
    Trouble(8, 24, ("absent",) * 4, {}),
    Trouble(3, 90, ("absent", "absent", "hangs", "error"), _PATIENT),
    Trouble(3, 24, ("absent",) * 500, {}),
    Trouble(4, 24, ("late",), {}),
)
"""Each row makes an incident of each of its monitors, but for the fourth: its rows of failures are too
short."""
