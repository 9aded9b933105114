"""What the benchmarks read: made once, cached, the same for every contender."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

import msgspec

SEED = 20250303
START_S = 1_740_960_000
"""2025-03-03T00:00:00Z"""
SPAN_MINUTES = 25 * 60
"""How long a stream lasts, and the time before it in which its monitors are created."""
CACHE = Path(".cache/bench")
_GENERATION = 3
"""To be raised whenever what is generated changes."""
_PER_PROJECT = 50
_PER_ORGANIZATION = 1_000


class Input(NamedTuple):
    """One input on disk."""

    path: Path
    """JSON Lines."""
    projects: Path
    """Organizations of projects, as `CRONWAX_PROJECTS_PATH` takes them."""
    messages: int


class _Job(NamedTuple):
    number: int
    config: dict[str, object]
    sends_config: bool
    """With every start, not only with the first: what SDKs do."""
    starts: list[int]
    """Seconds after START_S."""
    margin_s: int


def replay(messages: int) -> Input:
    """A day of jobs, each run an `in_progress` and an `ok` or `error`: `messages` over a hundredth as many monitors.

    Half of the monitors run by crontab, half by interval; in a thousand runs about ten fail, two hang, two are
    late and two do not happen.
    """
    monitors = max(4, messages // 100)
    return _cached(f"replay-{messages}", monitors, lambda: _replay_events(monitors))


def setup(monitors: int) -> Input:
    """One `ok` for each monitor of `stream`, in the span before the stream begins; it creates the monitor."""
    return _cached(f"setup-{monitors}", monitors, lambda: _setup_events(monitors))


def stream(monitors: int, messages: int) -> Input:
    """`messages` check-ins over 25 hours, from monitors that `setup` created, each as often as that takes."""
    return _cached(f"stream-{monitors}-{messages}", monitors, lambda: _stream_events(monitors, messages))


def storm(monitors: int, fails: bool) -> Input:
    """Two check-ins of each monitor that `setup` created, in one minute and in another ten minutes later: an error
    and an ok, or two ok."""
    name = f"storm-{monitors}-{'fails' if fails else 'well'}"
    return _cached(name, monitors, lambda: _storm_events(monitors, fails))


def project_of(monitor: int) -> int:
    """The project that a monitor is of."""
    return 1 + monitor // _PER_PROJECT


_Event = tuple[int, int, bytes]
"""(time in ms after START_S, the monitor, the payload as JSON)."""


def _cached(name: str, monitors: int, events: Callable[[], Iterator[_Event]]) -> Input:
    folder = CACHE / f"{name}-v{_GENERATION}"
    path, projects, count = folder / "checkins.jsonl", folder / "projects.json", folder / "count"
    if not count.exists():
        print(f"generating {path}", flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        last = project_of(monitors - 1)
        organizations = {
            str(project): 1 + (project - 1) * _PER_PROJECT // _PER_ORGANIZATION
            for project in range(1, last + 1)
        }
        projects.write_text(json.dumps(organizations))
        count.write_text(str(_write(path, events())))
    return Input(path, projects, int(count.read_text()))


def _write(path: Path, events: Iterator[_Event]) -> int:
    ordered = sorted(events)
    with path.open("wb", buffering=1 << 20) as file:
        for at_ms, monitor, payload in ordered:
            at = f"{START_S + at_ms / 1000:.3f}".encode()
            received = f"{START_S + at_ms / 1000 + 0.02:.3f}".encode()
            file.write(
                b'{"ts":%b,"message":{"message_type":"check_in","payload":%b,"start_time":%b,'
                b'"project_id":%d,"sdk":"sentry.python/2.20.0","retention_days":90}}\n'
                % (received, payload, at, project_of(monitor))
            )
    return len(ordered)


def _replay_events(monitors: int) -> Iterator[_Event]:
    random = Random(SEED)
    for number in range(monitors):
        job = _job(number, random)
        for index, start_s in enumerate(job.starts):
            yield from _run(job, index, start_s, random)


def _job(number: int, random: Random) -> _Job:
    """Of four monitors two have 48 runs by crontab, one 48 and one 56 by interval: 50 each, as an average."""
    config: dict[str, object] = {"checkin_margin": 2, "max_runtime": 10}
    phase = random.randrange(25)
    if number % 4 < 2:
        config["schedule"] = {"type": "crontab", "value": f"{phase},{phase + 30} * * * *"}
        minutes = [half * 30 + phase for half in range(48)]
    else:
        period, runs = (30, 48) if number % 4 == 2 else (25, 56)
        config["schedule"] = {"type": "interval", "value": period, "unit": "minute"}
        minutes = [index * period + phase for index in range(runs)]
    if number % 10 == 0:
        config["failure_issue_threshold"], config["recovery_threshold"] = 2, 2
    if number % 7 == 0:
        config["timezone"] = "Europe/Vienna"
    return _Job(number, config, number % 2 == 0, [minute * 60 for minute in minutes], 120)


def _run(job: _Job, index: int, start_s: int, random: Random) -> Iterator[_Event]:
    chance = random.random()
    guid, trace = f"{random.getrandbits(128):032x}", f"{random.getrandbits(128):032x}"
    start_ms = start_s * 1000 + random.randrange(1_000, 20_000)
    if index and chance < 0.002:
        return  # it does not happen
    if index and chance < 0.004:
        start_ms += (job.margin_s + 60) * 1000
    config = job.config if job.sends_config or not index else None
    yield start_ms, job.number, _payload(job.number, guid, "in_progress", trace, config)
    if chance < 0.006 and chance >= 0.004:
        return  # it hangs
    status = "error" if 0.01 <= chance < 0.02 else "ok"
    end_ms = start_ms + random.randrange(500, 90_000)
    duration = (end_ms - start_ms) / 1000 if job.number % 3 else None
    yield end_ms, job.number, _payload(job.number, guid, status, trace, None, duration)


def _setup_events(monitors: int) -> Iterator[_Event]:
    random = Random(SEED)
    span_ms = SPAN_MINUTES * 60_000
    for number in range(monitors):
        guid = f"{random.getrandbits(128):032x}"
        # With periods of two spans nothing is missed: what is measured is the same for every number of monitors.
        schedule = {"type": "interval", "value": 2 * SPAN_MINUTES, "unit": "minute"}
        config = {"schedule": schedule, "checkin_margin": 5, "max_runtime": 30}
        yield number * span_ms // monitors - span_ms, number, _payload(number, guid, "ok", guid, config)


def _stream_events(monitors: int, messages: int) -> Iterator[_Event]:
    random = Random(SEED + 1)
    runs = messages // 2
    span_ms = SPAN_MINUTES * 60_000
    for run in range(runs):
        number = run * monitors // runs if runs < monitors else run % monitors
        guid, trace = f"{random.getrandbits(128):032x}", f"{random.getrandbits(128):032x}"
        start_ms = run * span_ms // runs
        yield start_ms, number, _payload(number, guid, "in_progress", trace, None)
        status = "error" if random.random() < 0.01 else "ok"
        end_ms = start_ms + random.randrange(500, 60_000)
        yield end_ms, number, _payload(number, guid, status, trace, None, (end_ms - start_ms) / 1000)


def _storm_events(monitors: int, fails: bool) -> Iterator[_Event]:
    random = Random(SEED + 2)
    for minute, status in ((1, "error" if fails else "ok"), (11, "ok")):
        for number in range(monitors):
            guid = f"{random.getrandbits(128):032x}"
            at_ms = 60_000 * minute + number * 60_000 // monitors
            yield at_ms, number, _payload(number, guid, status, guid, None)


_encode = msgspec.json.Encoder().encode


def _payload(
    monitor: int,
    guid: str,
    status: str,
    trace: str,
    config: dict[str, object] | None,
    duration: float | None = None,
) -> bytes:
    body: dict[str, object] = {
        "check_in_id": guid,
        "monitor_slug": f"job-{monitor:07d}",
        "status": status,
        "environment": "production",
        "contexts": {"trace": {"trace_id": trace}},
    }
    if duration is not None:
        body["duration"] = duration
    if config is not None:
        body["monitor_config"] = config
    return _encode(body)
