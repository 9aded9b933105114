"""Six weeks of random check-ins of a dozen jobs, with everything that analysts trip over: runs that overlap, mutes, a
disabled week, a blind hour, jobs that become slower, changes of owner, deleted monitors, and both changes to daylight
saving time. And the published files that they come to: hot, and cold in two shards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any
from zlib import crc32

from bytewax.testing import run_main

from dataflow.endpoints import Endpoints
from dataflow.flow import build
from dataflow.settings import Settings
from state.history.history import History, Limits
from state.publish.publish import Publisher
from state.publish.shared_publish import SharedPublisher
from state.publish.snapshot_views import SNAPSHOT
from state.write.writer import StateWriter
from tests.builders import START_S, check_in, control, pulse
from tests.flow.memory import CollectSink, MemorySource, Plan

DAY_S = 86_400
DAYS = 42
BLIND_DAY = 9
"""A Wednesday."""
SETTINGS: dict[str, Any] = {
    "key_groups": 4,
    "volume_minimum": 6,
    "volume_window": 4,
    "rate_limit": 20,
    "sample_new_monitors": False,
}
NAME, BATCH = "checkins.jsonl", 200
COMMIT = 400
"""Records between two commits, so that a later one changes what an earlier one wrote."""
SDKS = ("sentry.python/2.20", "sentry-cli/2.40", None)

Line = dict[str, Any] | str
Timed = tuple[float, Line]


class _Stream:
    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.lines: list[Timed] = []
        self._number = 0

    def add(self, at_s: float, line: Line) -> None:
        self.lines.append((at_s, line))

    def report(self, at_s: float, slug: str, status: str, number: int = 0, **fields: Any) -> int:
        """A check-in; a new one without a number. At most half a minute on its way."""
        if not number:
            self._number += 1
            number = self._number
        at_s = round(at_s, 3)
        start_s = fields.pop("start_s", at_s)
        line = check_in(at_s, slug, status, number, start_s=start_s, **fields)
        line["message"]["sdk"] = SDKS[crc32(slug.encode()) % len(SDKS)]
        self.add(at_s, line)
        return number

    def run(self, at_s: float, slug: str, seconds: float, status: str = "ok", **fields: Any) -> None:
        """Begin and end of a run."""
        number = self.report(at_s, slug, "in_progress", **fields)
        fields.pop("config", None)
        self.report(at_s + seconds, slug, status, number, **fields)


def lines_of(seed: int = 7) -> list[Line]:
    """The lines of one file, in the order of their times."""
    stream = _Stream(seed)
    _half_hourly(stream)
    _long_ones(stream)
    _by_the_clock(stream)
    _intervals(stream)
    _two_environments(stream)
    _volume(stream)
    _by_hand(stream)
    begins, ends = at(BLIND_DAY, 12, 1), at(BLIND_DAY, 13, 1)
    kept = [
        (moment, line)
        for moment, line in stream.lines
        if not (begins <= moment < ends and _is_check_in(line))
    ]
    kept += [(minute * 600.0 + 1, pulse(minute * 600.0 + 1)) for minute in range(DAYS * 144)]
    kept += [(begins + minute * 60, pulse(begins + minute * 60)) for minute in range(61)]
    kept.sort(key=lambda timed: timed[0])
    return [line for _, line in kept]


def at(day: int, hour: float = 0, minute: float = 0) -> float:
    return day * DAY_S + hour * 3600 + minute * 60


def _with(config: dict[str, Any] | None) -> dict[str, Any]:
    return {} if config is None else {"config": config}


def _is_check_in(line: Line) -> bool:
    return isinstance(line, dict) and "control" not in line


def _half_hourly(stream: _Stream) -> None:
    """Every half hour: fails, is late, is missed, takes too long; half as fast again after the fifth week began."""
    config = {
        "schedule": {"type": "crontab", "value": "*/30 * * * *"},
        "checkin_margin": 2,
        "max_runtime": 15,
        "owner": "team:first",
    }
    for number in range(48 * DAYS):
        luck, begin = stream.random.random(), number * 1800 + stream.random.uniform(1, 40)
        seconds = stream.random.uniform(20, 200) * (3 if number > 48 * 35 else 1)
        given = _with(config) if number == 0 else {}
        if number == 48 * 20:
            given = _with({**config, "owner": "team:second"})
        if luck < 0.03:
            continue
        if luck < 0.07:
            begin += stream.random.uniform(120, 900)  # beyond its margin
        if luck < 0.12:
            stream.run(begin, "half-hourly", seconds, "error", **given)
        elif luck < 0.14:
            run = stream.report(begin, "half-hourly", "in_progress", **given)
            if luck < 0.13:
                stream.report(begin + stream.random.uniform(1000, 1500), "half-hourly", "ok", run)
            elif luck < 0.135:
                stream.report(begin + 300, "half-hourly", "in_progress", run)
        else:
            stream.run(begin, "half-hourly", seconds, **given)


def _long_ones(stream: _Stream) -> None:
    """Hourly runs of up to two hours: they overlap."""
    config = {"schedule": {"type": "crontab", "value": "0 * * * *"}, "max_runtime": 240, "checkin_margin": 5}
    for hour in range(24 * DAYS):
        given = _with(config | {"owner": "user:7"} if hour == 0 else None)
        if stream.random.random() < 0.97:
            seconds = stream.random.choice([600, 1500, 5000, 7000]) + stream.random.uniform(0, 99)
            stream.run(hour * 3600 + stream.random.uniform(0, 90), "long", seconds, **given)


def _by_the_clock(stream: _Stream) -> None:
    """Days in zones whose clocks change, and hours of one that begins at a quarter past."""
    for slug, zone, offsets, change in (
        ("vienna", "Europe/Vienna", (1, 2), 27),
        ("new-york", "America/New_York", (-5, -4), 6),
    ):
        config = {
            "schedule": {"type": "crontab", "value": "30 4 * * *"},
            "timezone": zone,
            "checkin_margin": 10,
            "max_runtime": 60,
            "owner": "team:night",
        }
        for day in range(DAYS):
            if stream.random.random() < 0.85:
                offset = offsets[day >= change]
                given = _with(config) if day == 0 else {}
                status = "error" if stream.random.random() < 0.15 else "ok"
                stream.run(at(day, 4.5 - offset) + 5, slug, stream.random.uniform(60, 900), status, **given)
    config = {
        "schedule": {"type": "crontab", "value": "15 * * * *"},
        "timezone": "America/New_York",
        "checkin_margin": 3,
        "failure_issue_threshold": 3,
        "recovery_threshold": 2,
        "owner": "team:first",
    }
    failing = False
    for hour in range(24 * DAYS):
        failing = stream.random.random() < (0.6 if failing else 0.06)
        given = _with(config) if hour == 0 else {}
        if stream.random.random() < 0.98:
            begin = hour * 3600 + 900 + stream.random.uniform(0, 60)
            stream.report(begin + 30, "quarter-past", "error" if failing else "ok", duration=30, **given)


def _intervals(stream: _Stream) -> None:
    """Two hours and a day after the last message."""
    for slug, hours, config in (
        (
            "each-two-hours",
            2,
            {"schedule": {"type": "interval", "value": 2, "unit": "hour"}, "checkin_margin": 10},
        ),
        ("each-day", 24, {"schedule": {"type": "interval", "value": 1, "unit": "day"}, "checkin_margin": 60}),
    ):
        moment = 1000.0
        while moment < DAYS * DAY_S - 7200:
            given = _with(config) if moment == 1000 else {}
            stream.run(moment, slug, 60, "error" if stream.random.random() < 0.05 else "ok", **given)
            moment += hours * 3600 + stream.random.choice([0, 60, 300, 4000, 9000]) * (
                stream.random.random() < 0.2
            )


def _two_environments(stream: _Stream) -> None:
    for environment, trouble in (("production", 0.02), ("staging", 0.3)):
        config = {
            "schedule": {"type": "crontab", "value": "5 */6 * * 1-5"},
            "checkin_margin": 5,
            "owner": "team:first",
        }
        for day in range(DAYS):
            for hour in (0, 6, 12, 18):
                if day % 7 < 5 and stream.random.random() > trouble / 2:
                    status = "error" if stream.random.random() < trouble else "ok"
                    given = _with(config) if day == hour == 0 else {}
                    begin = at(day, hour, 5) + stream.random.uniform(1, 50)
                    stream.run(begin, "both", 30, status, environment=environment, **given)


def _volume(stream: _Stream) -> None:
    """What makes up the noon of the days until the blind hour, so that it is noticed. Where it stops, that is noticed,
    too, for some days."""
    config = {"schedule": {"type": "interval", "value": 3, "unit": "month"}}
    for day in range(11):
        for minute in range(70):
            for each in range(18):
                given = _with(config) if day == minute == 0 else {}
                stream.report(at(day, 12, minute) + 3 + each, f"usual-{each}", "ok", project_id=9, **given)


def _by_hand(stream: _Stream) -> None:
    """What people do, and what is refused."""
    named = {"project_id": 1}
    for slug, day in (("short-lived", 3), ("short-lived", 20)):
        config = {"schedule": {"type": "crontab", "value": "0 9 * * *"}, "owner": "user:8"}
        stream.report(at(day, 8), slug, "ok", config=config)
        for later in range(day, day + 4):
            stream.run(at(later, 9) + 4, slug, 60)
        stream.add(at(day + 5, 1), control(at(day + 5, 1), "delete_monitor", monitor_slug=slug, **named))
    for moment, type_, fields in (
        (6, "mute", {"monitor_slug": "quarter-past", "muted": True}),
        (9, "mute", {"monitor_slug": "quarter-past", "muted": False}),
        (8, "mute", {"monitor_slug": "half-hourly", "environment": "production", "muted": True}),
        (8.5, "mute", {"monitor_slug": "half-hourly", "environment": "production", "muted": False}),
        (40, "mute", {"monitor_slug": "both", "environment": "staging", "muted": True}),
        (15, "set_monitor_status", {"monitor_slug": "each-two-hours", "status": "disabled"}),
        (22, "set_monitor_status", {"monitor_slug": "each-two-hours", "status": "active"}),
        (38, "set_monitor_status", {"monitor_slug": "each-day", "status": "disabled"}),
        (12, "reset", {"monitor_slug": "half-hourly"}),
        (
            25,
            "upsert_monitor",
            {
                "monitor_slug": "long",
                "name": "Long runs",
                "monitor_config": {
                    "schedule": {"type": "crontab", "value": "0 * * * *"},
                    "owner": "team:second",
                },
            },
        ),
    ):
        at_s = moment * DAY_S + 77
        stream.add(at_s, control(at_s, type_, **named, **fields))
    for third in range(0, DAYS, 3):
        stream.report(at(third, 3), "nobody-knows", "ok")
        bad = check_in(at(third, 4), "half-hourly", "fine", 900_000 + third)
        bad["message"]["sdk"] = SDKS[third % 2]
        stream.add(at(third, 4), bad)
    stream.add(at(5, 5), '{"ts": 1741')


def write(lines: list[Line], hot: Path, cold: Path) -> None:
    """Let the flow judge the lines, and publish what it writes: from one writer, and from two with history."""
    taken: list[None] = []
    writers = [StateWriter.open(hot), *(StateWriter.open(cold, shard, 2) for shard in range(2))]

    def take(records: Any) -> None:
        for writer, (rows, deletes) in zip(writers, _shares(records), strict=True):
            writer.write(rows, deletes)
        taken.append(None)
        if len(taken) % COMMIT == 0:
            for writer in writers:
                writer.commit()

    chosen = Settings(source="demo", **SETTINGS)
    source = MemorySource({NAME: lines}, {NAME: Plan([BATCH] * (len(lines) // BATCH))}, chosen.clock_delay_us)
    nothing = CollectSink(lambda _: None)
    run_main(
        build(chosen, Endpoints({"memory": source}, source.inputs, {}, CollectSink(take), nothing, nothing))
    )
    now = float(START_S + DAYS * DAY_S)
    for writer in writers:
        writer.commit()
    Publisher(writers[0], hot, 0, lambda: now).publish(force=True)
    histories = [History(writer, cold, Limits(100, {}), lambda: now) for writer in writers[1:]]
    for history in histories:
        while history.maintain() or history.wait():
            pass
        history.close()
    for publisher in [SharedPublisher(writer, cold, 0, lambda: now) for writer in writers[1:]]:
        publisher.publish(force=True)
    for writer in writers:
        writer.close()
    assert (hot / SNAPSHOT).exists()
    assert (cold / SNAPSHOT).exists()


def _shares(records: Any) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """What each of the three writers gets."""
    yield records.rows, records.deletes
    for shard in range(2):
        rows = {name: [row for row in some if _is_of(shard, row)] for name, some in records.rows.items()}
        yield rows, records.deletes


def _is_of(shard: int, row: Any) -> bool:
    if not hasattr(row, "slug"):
        return shard == 0 or hasattr(row, "position")
    return crc32((row.slug or "").encode()) % 2 == shard
