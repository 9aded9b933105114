"""A simulated fleet of jobs over weeks: what they did, and which of their check-ins came through. Deterministic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from hashlib import blake2b
from random import Random
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

FIRST_DAY = date(2025, 3, 3)
"""A Monday. Daylight saving time begins on day 6 in New York and on day 27 in Berlin."""
ZONES = ("UTC", "UTC", "Europe/Berlin", "America/New_York")
PROJECTS = 50
SKIPPED = 0.0005
"""The share of runs that do not happen: true misses."""
FAILED = 0.001
"""The share of runs that the job reports as failed."""
HUNG = 0.0002
"""The share of long runs that never end: true time-outs."""


class Trouble(NamedTuple):
    """Something that goes wrong, or is out of the ordinary."""

    day: int
    start_minute: float
    """Of the day, UTC."""
    minutes: float
    share: float = 1.0
    """Of the check-ins that are lost."""


class Plan(NamedTuple):
    """What happens in these weeks."""

    monitors: int = 5_000
    days: int = 35
    alike: range = range(0)
    """Of these days no check-in is made up: they are counted as the day before them."""
    outage: Trouble = Trouble(15, 10 * 60 + 7.3, 20)
    """Nothing comes through. It begins and ends in the middle of a minute."""
    loss: Trouble = Trouble(17, 14 * 60, 60, 0.4)
    silent: Trouble = Trouble(19, 9 * 60, 180)
    """The jobs of one project do not run."""
    silent_project: int = 7
    holiday: int = 21
    """Nobody starts jobs by hand on this day, as on weekends."""
    ramp: range = range(8, 24)
    """On each of these days one in a hundred of the frequent monitors is given up (deleted)."""


class Sent(NamedTuple):
    """One check-in that a job sent."""

    received_us: int
    monitor: Job
    guid: bytes
    status: int
    """0 started, 1 ok, 2 failed."""
    came_through: bool


@dataclass(eq=False)
class Job:
    """One monitor, and its job."""

    number: int
    project_id: int
    slug: str
    config: dict[str, Any]
    kind: str
    """`frequent`, `hourly`, `daily`, `by hand`."""
    minute: int
    """Of its ten minutes, its hour, or its day in its zone."""
    zone: str
    reports_start: bool
    gone_on: int = 1_000_000
    """The day on which it is given up."""
    ran: dict[int, bytes] = field(default_factory=dict)
    """By scheduled minute since the epoch, the guid of each run that happened."""
    skipped: list[int] = field(default_factory=list)
    """The scheduled minutes of those that did not."""
    hung: set[bytes] = field(default_factory=set)
    """The guids of runs that never ended."""


def make_fleet(plan: Plan) -> list[Job]:
    """The monitors: of 50, 7 are due every ten minutes, 15 each hour, 27 each day, and one is run by hand."""
    random = Random(1)
    jobs = []
    for number in range(plan.monitors):
        kind = ("frequent",) * 7 + ("hourly",) * 15 + ("daily",) * 27 + ("by hand",)
        jobs.append(_make_job(number, kind[number // PROJECTS % 50], random))
    frequent = [job for job in jobs if job.kind == "frequent"]
    random.shuffle(frequent)
    a_day = len(frequent) // 100
    for at, day in enumerate(plan.ramp):
        for job in frequent[at * a_day : (at + 1) * a_day]:
            job.gone_on = day
    return jobs


def _make_job(number: int, kind: str, random: Random) -> Job:
    zone = random.choice(ZONES) if kind == "daily" else "UTC"
    margin = random.choice((1, 1, 2, 5, 5 if kind == "frequent" else 15))
    if kind == "frequent":
        minute = random.randrange(10)
        value = f"{minute}-59/10 * * * *"
    elif kind == "hourly":
        minute = random.choice((0, 0, 15, 30, random.randrange(60), random.randrange(60)))
        value = f"{minute} * * * *"
    else:
        minute = 60 * random.randrange(24) + random.choice((0, 0, 30, random.randrange(60)))
        value = f"{minute % 60} {minute // 60} * * *"
    schedule: dict[str, Any] = {"type": "crontab", "value": value}
    if kind == "by hand":
        schedule = {"type": "interval", "value": 1, "unit": "year"}
    config = {"schedule": schedule, "checkin_margin": margin, "max_runtime": 8, "timezone": zone}
    reports_start = kind != "by hand" and random.random() < 0.3
    return Job(number, number % PROJECTS, f"job-{number}", config, kind, minute, zone, reports_start)


def day_of(plan: Plan, jobs: list[Job], day: int) -> list[Sent]:
    """What the jobs send in a day (UTC) of broker time, in order; what does not come through too."""
    random = Random(1000 + day)
    sent: list[Sent] = []
    for job in jobs:
        if day < job.gone_on:
            for minute in _due(plan, job, day):
                sent += _run(plan, job, day, minute, random)
    sent.sort(key=lambda each: (each.received_us, each.monitor.number))
    return sent


@cache
def epoch_minute(day: int) -> int:
    """The first minute of a day, since the epoch."""
    return int(datetime.combine(FIRST_DAY + timedelta(days=day), datetime.min.time(), UTC).timestamp()) // 60


def _due(plan: Plan, job: Job, day: int) -> Iterator[int]:
    start = epoch_minute(day)
    if job.kind == "frequent":
        yield from range(start + job.minute, start + 1440, 10)
    elif job.kind == "hourly":
        yield from range(start + job.minute, start + 1440, 60)
    elif job.kind == "daily":
        for local_day in (day - 1, day, day + 1):
            on = FIRST_DAY + timedelta(days=local_day)
            minute = _at(on, job.minute, ZoneInfo(job.zone))
            if start <= minute < start + 1440:
                yield minute
    elif day != plan.holiday and (FIRST_DAY + timedelta(days=day)).weekday() < 5:
        yield from range(start + 7 * 60 + job.number % 4, start + 18 * 60, 4)


def _at(on: date, minute: int, zone: ZoneInfo) -> int:
    """When the clocks of a zone show a minute of a day, in minutes since the epoch; where daylight saving time skips
    it, when the gap is over."""
    local = datetime(on.year, on.month, on.day, minute // 60, minute % 60, tzinfo=zone)
    shown = local.astimezone(UTC).astimezone(zone)
    if shown.hour != local.hour:
        local = local.replace(hour=local.hour + 1, minute=0)
    return int(local.timestamp()) // 60


def _run(plan: Plan, job: Job, day: int, minute: int, random: Random) -> list[Sent]:
    skipped, failed, hung, jitter, length = (random.random() for _ in range(5))
    at_minute = minute - epoch_minute(day)
    silent = plan.silent
    if job.project_id == plan.silent_project and day == silent.day:
        skipped = 0 if 0 <= at_minute - silent.start_minute < silent.minutes else skipped
    if skipped < SKIPPED and job.kind != "by hand":
        job.skipped.append(minute)
        return []
    guid = blake2b(f"{job.number}/{minute}".encode(), digest_size=16).digest()
    job.ran[minute] = guid
    start_us = minute * 60_000_000 + int(1_000_000 * (25 * jitter**6 + 2 * jitter))
    end_us = start_us + int(1_000_000 * (0.5 + (240 if job.reports_start else 8) * length**3))
    status = 2 if failed < FAILED else 1
    sent = []
    if job.reports_start:
        sent.append(_send(plan, job, start_us, guid, 0, random))
        if hung < HUNG:
            job.hung.add(guid)
            return sent
    sent.append(_send(plan, job, end_us, guid, status, random))
    return sent


def _send(plan: Plan, job: Job, at_us: int, guid: bytes, status: int, random: Random) -> Sent:
    luck = random.random()
    lost = any(luck < trouble.share and _covers(trouble, at_us) for trouble in (plan.outage, plan.loss))
    return Sent(at_us, job, guid, status, not lost)


def _covers(trouble: Trouble, at_us: int) -> bool:
    start_us = (epoch_minute(trouble.day) + trouble.start_minute) * 60_000_000
    return 0 <= at_us - start_us < trouble.minutes * 60_000_000
