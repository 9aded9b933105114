"""The demo's two weeks of ten troubles, 2025-03-17 to 2025-03-30 UTC: what an operator meets, one job or group each.

docs/troubles.md tells each of them, and the command that names it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from random import Random
from typing import Any, NamedTuple

import msgspec

from dataflow.monitors.config import ConfigUpdate, parse_config
from dataflow.monitors.times import MINUTE_US, Minute

TROUBLES_VERSION = 1
"""To be raised with every change of what the story holds."""
_SEED = 20250317
_MINUTE_MS = 60_000
_PULSE_MINUTES = 10
_DAYS = 14

Line = tuple[int, dict[str, Any]]
"""(broker's time in ms, the line without its `ts`)."""


class Job(NamedTuple):
    """A job of the story."""

    project: int
    slug: str
    schedule: str
    """A crontab, in UTC."""
    run_s: float = 60
    owner: str = "team:shop"
    margin: int = 5
    max_runtime: int = 30

    @property
    def config(self) -> dict[str, Any]:
        """Its monitor_config."""
        return {
            "schedule": {"type": "crontab", "value": self.schedule},
            "checkin_margin": self.margin,
            "max_runtime": self.max_runtime,
            "owner": self.owner,
        }


class Run(NamedTuple):
    """One run of a job; `status` None: it is not heard of again."""

    start_ms: int
    run_ms: int
    status: str | None = "ok"


def _at(text: str) -> int:
    return int(datetime.fromisoformat(f"2025-03-{text}+00:00").timestamp() * 1000)


START_MS = _at("17T00:00")
END_MS = START_MS + _DAYS * 24 * 60 * _MINUTE_MS
DEPLOY_MS = _at("26T14:05")
ZONE_MS = _at("24T00:00")
TWICE_MS = _at("22T09:30")
DIED_MS = _at("28T22:27")
NETWORK_MS = (_at("20T11:02"), _at("20T11:49"))
RENAMED_MS = _at("26T00:00")
MISTAKE_MS = _at("21T09:12")
MUTED_MS = _at("17T08:00")
FAILS_MS = _at("19T00:00")

DEPLOYED = [Job(401, f"sync-{what}", "0 * * * *") for what in ("orders", "prices", "stock")]
PAYROLL = Job(402, "payroll-export", "0 6 * * *", 300, "team:finance")
INVOICES = Job(402, "send-invoices", "0 * * * *", 120, "team:finance")
LEDGER = Job(402, "reconcile-ledger", "0 7 * * *", 240, "team:finance")
REINDEX = Job(401, "search-reindex", "*/30 * * * *", 480, max_runtime=60)
ON_MACHINES = [
    Job(404, "import-feeds", "*/20 * * * *", 90, "team:data"),
    Job(404, "resize-images", "*/20 * * * *", 600, "team:data"),
    Job(404, "rotate-logs", "*/20 * * * *", 5, "team:data"),
]
AT_WAREHOUSE = [
    Job(403, "print-queue", "*/15 * * * *", 3, "team:warehouse", 2),
    Job(403, "scan-labels", "*/15 * * * *", 20, "team:warehouse", 2),
    Job(403, "stock-count", "*/15 * * * *", 40, "team:warehouse", 2),
]
BACKUP, BACKUP_NOW = (
    Job(404, slug, "30 2 * * *", 1_500, "team:data") for slug in ("backup-db", "backup-database")
)
REPORT = Job(401, "nightly-report", "0 3 * * *", 600)
CLEANUP = Job(404, "cleanup-temp", "15 4 * * *", 30, "team:data")


@cache
def lines_of_troubles() -> tuple[list[bytes], ...]:
    """The lines of the one partition by their time; the same each time."""
    random = Random(_SEED)  # noqa: S311 - a simulation
    lines: list[Line] = []
    for story in _STORIES:
        lines.extend(story(random))
    pulse = {"message": {"message_type": "clock_pulse"}}
    lines.extend((at, pulse) for at in range(START_MS, END_MS + 1, _PULSE_MINUTES * _MINUTE_MS))
    lines.sort(key=lambda line: line[0])
    encode = msgspec.json.Encoder().encode
    return ([encode({"ts": at_ms / 1000, **line}) for at_ms, line in lines if at_ms <= END_MS],)


def _deploy(random: Random) -> Iterator[Line]:
    """1. Three jobs stop at a deploy."""
    for job in DEPLOYED:
        yield from _job(job, random, lambda at_ms: at_ms < DEPLOY_MS)


def _moved_zone(random: Random) -> Iterator[Line]:
    """2. The machine of a job moves to Berlin's time: it runs at six there, an hour before it is due, two from
    daylight saving time (the 30th) on."""
    yield _upsert(PAYROLL)
    for at_ms in _starts(PAYROLL):
        early_ms = 0 if at_ms < ZONE_MS else (1 if at_ms < _at("30T00:00") else 2) * 60 * _MINUTE_MS
        yield from _run(PAYROLL, _usual(PAYROLL, at_ms - early_ms, random), random)


def _runs_twice(random: Random) -> Iterator[Line]:
    """3. A second machine runs a job, too, some seconds after the first."""
    yield _upsert(INVOICES)
    for at_ms in _starts(INVOICES):
        yield from _run(INVOICES, _usual(INVOICES, at_ms, random), random)
        if at_ms > TWICE_MS:
            yield from _run(INVOICES, _usual(INVOICES, at_ms + 20_000, random), random)


def _creeps(random: Random) -> Iterator[Line]:
    """4. A job takes a little longer each day, until it is not over when the next run begins."""
    yield _upsert(REINDEX)
    for at_ms in _starts(REINDEX):
        days = (at_ms - START_MS) / 86_400_000
        run_ms = int((8 + 2 * days + random.uniform(-0.5, 0.5)) * _MINUTE_MS)
        yield from _run(REINDEX, Run(at_ms + random.randint(200, 5_000), run_ms), random)


def _machine_died(random: Random) -> Iterator[Line]:
    """5. One of two machines, each an environment, dies while it works."""
    for job in ON_MACHINES:
        yield _upsert(job)
        for machine in ("batch-1", "batch-2"):
            for at_ms in _starts(job):
                run = _usual(job, at_ms, random)
                if machine == "batch-2" and run.start_ms + run.run_ms > DIED_MS:
                    if run.start_ms > DIED_MS:
                        break
                    run = run._replace(status=None)
                yield from _run(job, run, random, machine)


def _mondays(random: Random) -> Iterator[Line]:
    """6. A job fails on Mondays."""
    yield _upsert(LEDGER)
    for at_ms in _starts(LEDGER):
        run = _usual(LEDGER, at_ms, random)
        is_monday = datetime.fromtimestamp(at_ms / 1000, UTC).weekday() == 0
        yield from _run(LEDGER, run._replace(status="error" if is_monday else "ok"), random)


def _lost_network(random: Random) -> Iterator[Line]:
    """7. A site is without network for three quarters of an hour; what its jobs send then is lost."""
    lost = range(*NETWORK_MS)
    for job in AT_WAREHOUSE:
        for at_ms, line in _job(job, random):
            if at_ms not in lost:
                yield at_ms, line


def _renamed(random: Random) -> Iterator[Line]:
    """8. A job gets another name."""
    yield from _job(BACKUP, random, lambda at_ms: at_ms < RENAMED_MS)
    is_first = True
    for at_ms in _starts(BACKUP_NOW):
        if at_ms >= RENAMED_MS:
            config = BACKUP_NOW.config if is_first else None
            yield from _run(BACKUP_NOW, _usual(BACKUP_NOW, at_ms, random), random, config=config)
            is_first = False


def _mistake(random: Random) -> Iterator[Line]:
    """9. Somebody tries a job in staging, with another schedule: a monitor has one config for all environments."""
    yield from _job(REPORT, random)
    config = REPORT._replace(schedule="*/30 * * * *").config
    yield from _run(REPORT, Run(MISTAKE_MS, 40_000), random, "staging", config)


def _muted_long_ago(random: Random) -> Iterator[Line]:
    """10. A job was muted for an afternoon and forgotten; later it begins to fail."""
    named = {"project_id": CLEANUP.project, "monitor_slug": CLEANUP.slug}
    yield _upsert(CLEANUP)
    yield MUTED_MS, {"control": {"type": "mute", **named, "muted": True}}
    for at_ms in _starts(CLEANUP):
        run = _usual(CLEANUP, at_ms, random)
        yield from _run(CLEANUP, run._replace(status="error" if at_ms > FAILS_MS else "ok"), random)


_STORIES: tuple[Callable[[Random], Iterator[Line]], ...] = (
    _deploy,
    _moved_zone,
    _runs_twice,
    _creeps,
    _machine_died,
    _mondays,
    _lost_network,
    _renamed,
    _mistake,
    _muted_long_ago,
)


def _job(job: Job, random: Random, runs: Callable[[int], bool] = lambda at_ms: True) -> Iterator[Line]:
    """A job that does what it should, at the times of which `runs` says so."""
    yield _upsert(job)
    for at_ms in _starts(job):
        if runs(at_ms):
            yield from _run(job, _usual(job, at_ms, random), random)


def _starts(job: Job) -> Iterator[int]:
    """When it is due within the two weeks, in ms since the epoch."""
    update = parse_config(msgspec.json.encode(job.config))
    assert isinstance(update, ConfigUpdate)
    schedule = update.merged_into(None).timing()
    minute = schedule.after(Minute(START_MS // _MINUTE_MS - 1) * MINUTE_US)
    while minute * _MINUTE_MS < END_MS:
        yield minute * _MINUTE_MS
        minute = schedule.after(Minute(minute) * MINUTE_US)


def _usual(job: Job, at_ms: int, random: Random) -> Run:
    return Run(at_ms + random.randint(200, 8_000), int(job.run_s * random.uniform(800, 1_200)))


def _run(
    job: Job,
    run: Run,
    random: Random,
    environment: str = "production",
    config: dict[str, Any] | None = None,
) -> Iterator[Line]:
    guid = f"{random.getrandbits(128):032x}"
    body: dict[str, Any] = {"check_in_id": guid, "monitor_slug": job.slug, "environment": environment}
    named = {} if config is None else {"monitor_config": config}
    yield _message(job, run.start_ms, {**body, "status": "in_progress", **named}, random)
    if run.status is not None:
        yield _message(job, run.start_ms + run.run_ms, {**body, "status": run.status}, random)


def _message(job: Job, at_ms: int, payload: dict[str, Any], random: Random) -> Line:
    message = {
        "message_type": "check_in",
        "payload": msgspec.json.encode(payload).decode(),
        "start_time": at_ms / 1000,
        "project_id": job.project,
        "sdk": None,
        "retention_days": 90,
    }
    return at_ms + random.randint(20, 400), {"message": message}


def _upsert(job: Job) -> Line:
    named = {"project_id": job.project, "monitor_slug": job.slug, "name": job.slug}
    return START_MS, {"control": {"type": "upsert_monitor", **named, "monitor_config": job.config}}
