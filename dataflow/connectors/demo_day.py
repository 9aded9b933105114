"""The demo's day, 2025-03-03 UTC: every message that its jobs send, made at each start and the same each time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from random import Random
from typing import Any, NamedTuple

import msgspec

from dataflow.connectors.demo_jobs import JOBS, JOBS_PER_PROJECT, PROJECTS, TROUBLES, Job, Project, Trouble
from dataflow.monitors.config import ConfigUpdate, parse_config
from dataflow.monitors.fields import slugify
from dataflow.monitors.times import MINUTE_US, Minute
from dataflow.stream.key_groups import monitor_group

PARTITIONS = 4
DAY_VERSION = 1
"""To be raised with every change of what the day holds: a position in one is none in another."""
START_MS = 1_740_960_000_000
"""2025-03-03T00:00:00Z"""
DAY_MS = 24 * 60 * 60_000
_SEED = 20250303
_MINUTE_MS = 60_000

Event = tuple[int, dict[str, Any]]
"""(broker's time in ms, the line without its `ts`)."""


class Monitor(NamedTuple):
    """One monitor of the demo."""

    project: Project
    job: Job
    name: str
    slug: str
    config: dict[str, Any]
    """Its monitor_config as it is sent."""
    starts: tuple[int, ...]
    """The minutes of the day in which its runs begin."""
    ends: tuple[str, ...] = ()
    """How runs end from some point of the day on; empty: no trouble."""

    @property
    def partition(self) -> int:
        """Where all its messages are."""
        return monitor_group(self.project.project_id, self.slug, PARTITIONS)


class Run(NamedTuple):
    """One run of a job."""

    start_ms: int
    end: str
    """`ok`; `error`; `hangs`: starts and is not heard of again; `overruns`: ends after it has timed out;
    `absent`: does not run; `late`: starts behind the margin."""
    config: dict[str, Any] | None


@cache
def lines_of_day() -> tuple[list[bytes], ...]:
    """The lines of each partition by their time; a monitor is in one partition. Takes a second, once."""
    random = Random(_SEED)  # noqa: S311 - a simulation
    monitors = _monitors(random)
    partitions: list[list[Event]] = [[] for _ in range(PARTITIONS)]
    for monitor in monitors:
        events = partitions[monitor.partition]
        events.extend(_upsert(monitor))
        for environment in _environments(monitor, random):
            events.extend(_check_ins(monitor, environment, random))
    for partition, event in _oddities([monitor for monitor in monitors if not monitor.ends]):
        partitions[partition].append(event)
    pulse = {"message": {"message_type": "clock_pulse"}}
    for events in partitions:
        events.extend((START_MS + minute * _MINUTE_MS, pulse) for minute in range(DAY_MS // _MINUTE_MS + 1))
        events.sort(key=lambda event: event[0])
    return tuple(_lines(events) for events in partitions)


def _lines(events: list[Event]) -> list[bytes]:
    encode = msgspec.json.Encoder().encode
    end_ms = START_MS + DAY_MS
    return [
        line["raw"] if "raw" in line else encode({"ts": _iso(at_ms), **line})
        for at_ms, line in events
        if at_ms <= end_ms
    ]


def _monitors(random: Random) -> list[Monitor]:
    well = [
        _monitor(project, job, random)
        for project in PROJECTS
        for job in random.sample(JOBS, JOBS_PER_PROJECT)
    ]
    picked = random.sample(range(len(well)), len(well))
    for trouble in TROUBLES:
        fit = [index for index in picked if _has(well[index], trouble)]
        for index in fit[: trouble.monitors]:
            picked.remove(index)
            config = {**well[index].config, **trouble.config}
            well[index] = well[index]._replace(config=config, ends=trouble.ends)
    return well


def _monitor(project: Project, job: Job, random: Random) -> Monitor:
    name = f"{job.name} {project.region.upper()}" if random.random() < 0.3 else job.name
    config: dict[str, Any] = {"timezone": project.zone}
    if isinstance(job.schedule, str):
        config["schedule"] = {"type": "crontab", "value": job.schedule}
    else:
        config["schedule"] = {"type": "interval", "value": job.schedule[0], "unit": job.schedule[1]}
    config["checkin_margin"] = 2 if job.run_s < 100 else 10
    config["max_runtime"] = 15 if job.reports == "beats" else max(3, math.ceil(job.run_s / 20))
    if random.random() < 0.5:
        config["owner"] = f"team:{project.project_id}"
    starts = tuple(_starts(job, config, random.randrange(5)))
    return Monitor(project, job, name, slugify(name), config, starts)


def _has(monitor: Monitor, trouble: Trouble) -> bool:
    """Whether a monitor can have this trouble: only what reports its start can hang."""
    hangs = "hangs" in trouble.ends or "overruns" in trouble.ends
    if hangs and monitor.job.reports in ("result", "nil"):
        return False
    return len(monitor.starts) >= trouble.least_runs


def _starts(job: Job, config: dict[str, Any], first_minute: int) -> Iterator[int]:
    """The minutes of the day in which a run begins; intervals count from the first."""
    update = parse_config(msgspec.json.encode(config))
    assert isinstance(update, ConfigUpdate)
    schedule = update.merged_into(None).timing()
    start_minute = START_MS // _MINUTE_MS
    minute = start_minute + first_minute
    if isinstance(job.schedule, str):
        minute = schedule.after(Minute(start_minute - 1) * MINUTE_US)
    while minute < start_minute + DAY_MS // _MINUTE_MS:
        yield minute - start_minute
        minute = schedule.after(Minute(minute) * MINUTE_US)


def _environments(monitor: Monitor, random: Random) -> list[str]:
    others = [("staging", 0.3), ("dev", 0.1)] if monitor.job.run_s >= 30 and not monitor.ends else []
    return ["production", *(name for name, share in others if random.random() < share)]


def _upsert(monitor: Monitor) -> Iterator[Event]:
    """The first organization makes its monitors beforehand; those of the others come with their check-ins."""
    if monitor.project.organization_id == 1:
        body = {"type": "upsert_monitor", "project_id": monitor.project.project_id, "name": monitor.name}
        yield (
            START_MS,
            {"control": {**body, "monitor_slug": monitor.slug, "monitor_config": monitor.config}},
        )


def _check_ins(monitor: Monitor, environment: str, random: Random) -> Iterator[Event]:
    troubled_from = random.randint(len(monitor.starts) // 5, len(monitor.starts) // 2)
    sends_config = monitor.project.organization_id != 1
    for number, minute in enumerate(monitor.starts):
        end = "ok"
        if 0 <= number - troubled_from < len(monitor.ends):
            end = monitor.ends[number - troubled_from]
        start_ms = _at(minute) + random.randint(200, 20_000)
        if end == "late":
            # An interval counts from the last result, so the length of a run comes on top of the margin.
            start_ms += (monitor.config["checkin_margin"] + 1) * _MINUTE_MS + monitor.job.run_s * 1_500
        run = Run(start_ms, end, monitor.config if sends_config else None)
        for at_ms, payload in _reports(monitor.job, run, random):
            yield (
                at_ms + random.randint(20, 900),
                _message(monitor, at_ms, {**payload, "environment": environment}),
            )


def _reports(job: Job, run: Run, random: Random) -> Iterator[tuple[int, dict[str, Any]]]:
    """What the job sends about one run, and when."""
    if run.end == "absent":
        return
    guid = "0" * 32 if job.reports == "nil" else f"{random.getrandbits(128):032x}"
    body: dict[str, Any] = {"check_in_id": guid}
    if random.random() < 0.6:
        body["contexts"] = {"trace": {"trace_id": f"{random.getrandbits(128):032x}"}}
    config = {} if run.config is None else {"monitor_config": run.config}
    run_ms = int(job.run_s * random.uniform(600, 1_400))
    end_ms = run.start_ms + run_ms
    status = "error" if run.end == "error" else "ok"
    if job.reports == "result":
        yield end_ms, {**body, "status": status, "duration": run_ms / 1_000, **config}
        return
    yield run.start_ms, {**body, "status": "in_progress", **config}
    if job.reports == "beats":
        for beat_ms in range(run.start_ms + 300_000, end_ms, 300_000):
            yield beat_ms, {**body, "status": "in_progress"}
    if run.end == "overruns":
        end_ms += 2 * max(3 * _MINUTE_MS, job.run_s * 3_000)
    if run.end != "hangs":
        yield end_ms, {**body, "status": status}


def _message(monitor: Monitor, at_ms: int, payload: dict[str, Any]) -> dict[str, Any]:
    body = {"monitor_slug": monitor.slug, **payload}
    return {
        "message": {
            "message_type": "check_in",
            "payload": msgspec.json.encode(body).decode(),
            "start_time": at_ms / 1_000,
            "project_id": monitor.project.project_id,
            "sdk": monitor.project.sdk,
            "retention_days": 90,
        }
    }


def _oddities(well: list[Monitor]) -> Iterator[tuple[int, Event]]:
    """What people do, and what is not as it should be, by partition; about monitors that are else without
    trouble."""
    by_job = {monitor.job.name: monitor for monitor in well if monitor.project.organization_id == 1}
    probe, tokens, mailing = (by_job[name] for name in ("Health probe", "Push token pruning", "Newsletter"))
    for minute in (620, 785, 1060):
        for second in range(15):
            yield _odd(probe, minute, {"status": "ok"}, second)
    for minute in range(95, 1400, 240):
        yield _odd(tokens, minute, {"status": "ok", "monitor_slug": "retired-importer"})
    broken = {"schedule": {"type": "crontab", "value": "61 * * * *"}}
    yield _odd(tokens, 130, {"status": "ok", "monitor_config": broken, "monitor_slug": "misspelled"})
    yield _odd(mailing, 600, {"status": "ok", "monitor_config": broken})
    yield _odd(mailing, 601, {"status": "ok", "check_in_id": "run-42"})
    yield _odd(mailing, 602, {"status": "success", "duration": -3})
    yield _odd(mailing, 603, {"status": "ok", "environment": "feature/login"})
    yield _odd(tokens, 420, {"status": "ok", "check_in_id": "1" * 32})
    yield _odd(tokens, 421, {"status": "error", "check_in_id": "1" * 32})
    for minute in (77, 503, 911):
        raw = msgspec.json.encode({"ts": _iso(_at(minute)), **_message(probe, _at(minute), {"status": "ok"})})
        yield probe.partition, (_at(minute), {"raw": raw[: 60 + minute // 10]})
    yield probe.partition, (_at(640), {"message": {"message_type": "check_out", "project_id": 101}})
    yield from _controls(by_job)


def _odd(monitor: Monitor, minute: int, payload: dict[str, Any], second: int = 30) -> tuple[int, Event]:
    at_ms = _at(minute) + second * 1_000
    guid = f"{at_ms:032x}"
    return monitor.partition, (at_ms, _message(monitor, at_ms, {"check_in_id": guid, **payload}))


def _controls(by_job: dict[str, Monitor]) -> Iterator[tuple[int, Event]]:
    """Somebody stops and starts a monitor, mutes one, deletes one, asks for samples, and mistypes."""

    def about(job: str, minute: int, kind: str, **body: Any) -> tuple[int, Event]:
        monitor = by_job[job]
        named = {"project_id": monitor.project.project_id, "monitor_slug": monitor.slug}
        return monitor.partition, (_at(minute), {"control": {"type": kind, **named, **body}})

    yield about("Queue depth", 540, "set_monitor_status", status="disabled")
    yield about("Queue depth", 660, "set_monitor_status", status="active")
    yield about("DNS check", 120, "mute", muted=True)
    yield about("DNS check", 900, "mute", muted=False)
    yield about("Newsletter", 1200, "delete_monitor")
    yield about("DNS check", 901, "restart_monitor")
    rule = {
        "type": "upsert_sampling_rule",
        "organization_id": 2,
        "project_ids": [201],
        "condition": {"op": "eq", "name": "status", "value": "error"},
        "start": _iso(_at(60)),
        "end": _iso(_at(1200)),
        "num_samples": 50,
        "sample_rate": 1.0,
        "query": "status:error",
    }
    yield 0, (_at(55), {"control": rule})


def _at(minute: int) -> int:
    return START_MS + minute * _MINUTE_MS


def _iso(at_ms: int) -> str:
    moment = datetime.fromtimestamp(at_ms / 1_000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
