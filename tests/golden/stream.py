"""The fixed input of the golden sets: two files, thirty-three days, and a day on which the flow is stopped.

It brings about as many kinds of stored state as one flow can hold at one moment. There are two such moments, a batch
apart. At the first the clock of `first.jsonl` stands at 10:03 of the last day, in the middle of a system incident
that is not decided yet; at the second it is decided, and is about to be over. By then `second.jsonl`, which is short,
has been read to its end: what it holds about later minutes waits.

A set keeps the input that it was made of. So this file may grow; older sets do not change with it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from tests.builders import check_in, control, pulse
from tests.golden.lines import STOP_DAY, Line, Numbers, at, crontab, every
from tests.golden.stream_of_people import people

FIRST, SECOND = "first.jsonl", "second.jsonl"
BATCH = 16
"""Lines of a batch; the flow can stop between two of them."""
WEEKEND_DAYS = (5, 6, 12, 13, 19, 20, 26, 27, 33)
LATER_WEEKEND_DAYS = (34, 40, 41)
OUTAGE_DAYS = (13, 33)
USUAL = 16
"""Check-ins in each of the minutes 10:00 to 10:03 of a weekend day; but in an outage none come in the last two."""
NIL = 0
"""The number of the nil guid: the latest run that is in progress."""
PROJECTS = {"20": 2, "30": 3}
SETTINGS: dict[str, Any] = {
    "rate_limit": 6,
    "base_sample_rate": 0.02,
    "volume_minimum": 8,
    "volume_window": 4,
    "early_tolerance_seconds": 30,
    "flapping_changes": 2,
    "key_groups": 16,
    "history_hot_rows": 100,
    "publish_interval": 0,
}


def as_object(line: dict[str, Any]) -> dict[str, Any]:
    """A check-in whose payload is an object instead of text that holds one."""
    message = line["message"]
    return {**line, "message": {**message, "payload": json.loads(message["payload"])}}


def _usual(numbers: Numbers, days: Sequence[int]) -> list[Line]:
    """What makes up the volume of the weekends."""
    lines: list[Line] = []
    for day in days:
        for minute in range(2 if day in OUTAGE_DAYS else 4):
            for each in range(USUAL):
                config = every(1, "month") if day == WEEKEND_DAYS[0] and not minute else None
                begin, number = at(day, 10, minute, each), numbers.next()
                lines.append(check_in(begin, f"usual-{each}", "ok", number, project_id=9, config=config))
    return lines


def _nightly(numbers: Numbers) -> list[Line]:
    """A job with all fields of a config, over a change to daylight saving time; each fifth run fails, twice in a
    row once, and one takes too long."""
    config = crontab(
        "30 2 * * *",
        timezone="Europe/Berlin",
        checkin_margin=5,
        max_runtime=60,
        failure_issue_threshold=2,
        recovery_threshold=2,
        owner="team:ops",
    )
    lines: list[Line] = []
    for day in range(1, STOP_DAY + 1):
        number, begin = numbers.next(), at(day, 1 if day < 27 else 0, 30, 2)
        trace = {"trace": {"trace_id": f"{number:032x}"}}
        lines.append(
            check_in(
                begin, "nightly", "in_progress", number, config=config if day == 1 else None, contexts=trace
            )
        )
        if day != 18:
            status = "error" if day % 5 == 0 or day == 21 else "ok"
            lines.append(check_in(begin + 300, "nightly", status, number, duration=300.25))
    return lines


def _long_lived(numbers: Numbers) -> list[Line]:
    """Monitors that are set up on the first day: what people do with them, and what becomes of them in weeks."""
    n = numbers.next
    lines: list[Line] = [
        check_in(at(0, 1), "broken", "error", n(), config=every(3, "day", owner="user:7")),
        check_in(at(0, 1, 1), "breaks-later", "ok", n(), config=every(2, "day", failure_issue_threshold=2)),
        check_in(at(0, 1, 2), "weekly", "ok", n(), config=every(1, "week", checkin_margin=90)),
        control(at(0, 1, 3), "mute", project_id=1, monitor_slug="weekly", muted=True),
        check_in(
            at(0, 1, 4),
            "monthly",
            "ok",
            n(),
            config=crontab(
                "0 6 1 * *",
                timezone="America/New_York",
                checkin_margin=45,
                max_runtime=720,
                failure_issue_threshold=4,
                recovery_threshold=3,
                owner="team:12",
            ),
        ),
        control(
            at(0, 1, 5),
            "upsert_monitor",
            project_id=1,
            monitor_slug="by-control",
            name="Made by a control",
            monitor_config=every(1, "year", max_runtime=40_320, owner="user:jane@example.org"),
        ),
        check_in(at(0, 1, 6), "paused", "in_progress", n(), config=every(1, "day", max_runtime=90)),
        control(at(0, 1, 30), "set_monitor_status", project_id=1, monitor_slug="paused", status="disabled"),
        control(at(1, 1, 30), "set_monitor_status", project_id=1, monitor_slug="paused", status="active"),
        control(at(1, 1, 40), "set_monitor_status", project_id=1, monitor_slug="paused", status="disabled"),
        check_in(at(0, 1, 7), "deleted", "ok", n(), config=every(1, "day")),
        control(at(0, 9), "delete_monitor", project_id=1, monitor_slug="deleted"),
        check_in(at(0, 1, 8), "changed", "ok", n(), config=every(5, "week", checkin_margin=9)),
        check_in(at(0, 2), "changed", "ok", n(), config=crontab("15 3 2 * *", owner="team:new")),
    ]
    for environment in ("production", "staging", "development"):
        lines.append(
            check_in(at(0, 3), "several", "ok", n(), environment=environment, config=every(2, "month"))
        )
    lines += [
        control(at(0, 3, 1), "mute", project_id=1, monitor_slug="several", environment="staging", muted=True),
        control(
            at(0, 3, 2), "delete_monitor", project_id=1, monitor_slug="several", environment="development"
        ),
        check_in(at(0, 3, 3), "several", "error", n(), environment="staging"),
        # Elsewhere known, and finished already.
        check_in(at(0, 3, 4), "several", "ok", numbers.last, environment="production"),
        check_in(at(0, 3, 5), "several", "ok", numbers.last, environment="staging"),
    ]
    return lines


def _organizations(numbers: Numbers) -> list[Line]:
    """One that is switched off, and one with two seats."""
    n = numbers.next
    lines: list[Line] = [
        check_in(at(0, 4), "switched-off", "ok", n(), project_id=20, config=every(1, "year")),
        control(at(0, 4, 1), "set_killswitch", organization_id=2, enabled=True),
        check_in(at(0, 4, 2), "switched-off", "error", n(), project_id=20),
        control(at(0, 4, 3), "set_seats", organization_id=3, seats=2),
    ]
    for number, slug in enumerate(("seat-1", "seat-2", "no-seat", "no-seat")):
        lines.append(check_in(at(0, 4, 4 + number), slug, "ok", n(), project_id=30, config=every(1, "year")))
    return lines


def _bad(_: Numbers) -> list[Line]:
    """What is rejected, and what cannot be read as a message."""
    place: dict[str, Any] = {"project_id": 1}
    texts: dict[str, Any] = {"status": "fine", "duration": "long"}
    return [
        check_in(at(0, 5), "unknown", "ok", 900_001),
        check_in(at(0, 5, 1), "bad-config", "ok", 900_002, config=crontab("* * 31 2 *")),
        check_in(at(0, 5, 2), "nightly", "ok", 900_003, check_in_id="no guid"),
        check_in(at(0, 5, 3), "nightly", **texts),
        check_in(at(0, 5, 4), "weekly", "ok", 900_004, environment="a/b"),
        control(at(0, 5, 5), "mute", monitor_slug="nobody", muted=True, **place),
        control(at(0, 5, 6), "explode"),
        "no JSON at all",
        '{"ts": 1740979000, "message": {"message_type": "check_in", "payload": 5}}',
        '{"message": {"message_type": "clock_pulse"}}',
    ]


def _sampling(_: Numbers) -> list[Line]:
    """Rules of people: one that has ended, one that is full, one that goes on."""
    common: dict[str, Any] = {
        "organization_id": 1,
        "query": "golden",
        "sample_rate": 1.0,
        "start": "2025-03-03T00:00:00Z",
    }
    glob = {"op": "glob", "name": "monitor.slug", "value": "usual-*"}
    either = {"op": "or", "inner": [glob, {"op": "gt", "name": "duration", "value": 250}]}
    slow = {"op": "not", "inner": {"op": "lt", "name": "duration", "value": 300}}
    return [
        control(
            at(0, 6),
            "upsert_sampling_rule",
            project_ids=[1],
            condition=slow,
            end="2025-03-10T00:00:00Z",
            num_samples=100,
            created_by_id=11,
            **common,
        ),
        control(
            at(0, 6, 1),
            "upsert_sampling_rule",
            project_ids=[],
            condition=either,
            end="2026-01-01T00:00:00Z",
            num_samples=20,
            **common,
        ),
        control(
            at(0, 6, 2),
            "upsert_sampling_rule",
            project_ids=[9, 1, 2],
            condition={"op": "eq", "name": "environment", "value": "production"},
            end="2025-12-01T00:00:00Z",
            num_samples=100_000,
            **(common | {"sample_rate": 0.05}),
        ),
    ]


def _first_outage(numbers: Numbers) -> list[Line]:
    """A job that is due, and one that is running, while check-ins are lost; and one that ends after all."""
    n = numbers.next
    day = OUTAGE_DAYS[0]
    lines: list[Line] = [
        check_in(at(day, 9, 50), "lost-run", "in_progress", n(), config=every(2, "month", max_runtime=11)),
        check_in(at(day, 9, 51), "lost-end", "in_progress", n(), config=every(2, "month", max_runtime=11)),
        check_in(at(day, 9, 52), "lost-due", "ok", n(), config=crontab("0 10 * 1-3 0", checkin_margin=2)),
    ]
    end = check_in(at(day, 10, 20), "lost-end", "ok", n() - 2)
    clock: list[Line] = [pulse(at(day, 10, minute, 30)) for minute in range(16)]
    return [*lines, *clock, end]


def _last_day(numbers: Numbers) -> list[Line]:
    """The hour before the flow stops."""
    n = numbers.next
    day = STOP_DAY
    rare = every(3, "month")
    strikes = every(3, "month", failure_issue_threshold=3, recovery_threshold=3)
    lines: list[Line] = []
    for number, status in enumerate(("ok", "error", "ok", "error", "ok", "error", "ok")):
        trace = {"trace": {"trace_id": f"{number + 1:032x}"}}
        lines.append(
            check_in(at(day, 9, 20 + 5 * number), "flapping", status, n(), config=rare, contexts=trace)
        )
    for number in range(2):
        lines.append(check_in(at(day, 9, 30, number), "two-strikes", "error", n(), config=strikes))
    for number, status in enumerate(("error", "error", "error", "ok", "ok")):
        lines.append(check_in(at(day, 9, 31, number), "recovering", status, n(), config=strikes))
    lines += [
        check_in(at(day, 9, 32), "open", "error", n(), config=rare),
        check_in(at(day, 9, 33), "open", "error", n()),
        check_in(at(day, 9, 34), "timed-out", "in_progress", n(), config=every(3, "month", max_runtime=5)),
        check_in(at(day, 9, 50), "running", "in_progress", n(), config=every(3, "month", max_runtime=720)),
        check_in(at(day, 9, 55), "running", "in_progress", numbers.last),
        check_in(at(day, 9, 56), "running", "in_progress", n(), environment="staging"),
        check_in(at(day, 9, 40), "held-run", "in_progress", n(), config=every(3, "month", max_runtime=22)),
        check_in(at(day, 9, 41), "held-miss", "ok", n(), config=crontab("0 10 * * *", checkin_margin=2)),
        check_in(at(day, 9, 42), "held-ok", "ok", n(), config=crontab("0 10 * * *", checkin_margin=2)),
        check_in(at(day, 9, 43), "held-late", "in_progress", n(), config=every(3, "month", max_runtime=19)),
        check_in(at(day, 10, 3, 9), "held-late", "ok", numbers.last),
        check_in(at(day, 10, 3, 10), "held-ok", "ok", n()),
    ]
    for each in range(9):
        lines.append(check_in(at(day, 10, 1, 20 + each), "chatty", "ok", n(), config=rare))
    clock: list[Line] = [pulse(at(day, 10, minute, 30)) for minute in range(4)]
    return [*lines, *clock]


def _after_the_stop(numbers: Numbers) -> list[Line]:
    """The same day on, and eleven days more: everything that waited ends."""
    n = numbers.next
    day = STOP_DAY
    rare = ("flapping", "two-strikes", "recovering", "open", "chatty")
    decided: list[Line] = [pulse(at(day, 10, 4, 30))] * (BATCH - 2)
    lines: list[Line] = [*decided, *(pulse(at(day, 10, minute, 30)) for minute in range(5, 20))]
    lines += [check_in(at(day, 10, 20, each), slug, "ok", n()) for each, slug in enumerate(rare)]
    lines += [
        check_in(at(day, 10, 21), "two-strikes", "error", n()),
        check_in(at(day, 10, 22), "running", "ok", NIL),
        check_in(at(day, 10, 23), "timed-out", "ok", NIL),
        check_in(at(day, 10, 24), "held-run", "ok", NIL),
        check_in(at(day, 10, 25), "held-miss", "error", n()),
        check_in(at(day, 10, 26), "seat-3", "ok", n(), project_id=30, config=every(3, "month")),
        control(at(day, 10, 27), "delete_monitor", project_id=30, monitor_slug="seat-1"),
        check_in(at(day, 10, 28), "no-seat", "ok", n(), project_id=30),
        control(at(day, 10, 29), "set_killswitch", organization_id=2, enabled=False),
        check_in(at(day, 10, 30), "switched-off", "error", n(), project_id=20),
        control(at(day, 10, 31), "set_monitor_status", project_id=1, monitor_slug="paused", status="active"),
        control(at(day, 10, 32), "mute", project_id=1, monitor_slug="weekly", muted=False),
        control(at(day, 10, 33), "end_silence", project_id=1, silence_id="nights"),
        pulse(at(day, 12)),
        *_usual(numbers, LATER_WEEKEND_DAYS),
        check_in(at(day + 11, 1), "broken", "ok", n()),
        pulse(at(day + 11, 2)),
    ]
    return lines


def _second(numbers: Numbers) -> list[Line]:
    """The other file: an hour of the last day, which is ahead of the first file's clock when the flow stops."""
    n = numbers.next
    day = STOP_DAY
    five = crontab("*/5 * * * *", max_runtime=4)
    place: dict[str, Any] = {"project_id": 2}
    lines: list[Line] = [
        pulse(at(0)),
        check_in(at(0, 0, 1), "b-rare", "ok", n(), config=every(3, "month"), **place),
    ]
    for minute in (50, 55):
        for slug in ("b-waits", "b-changes", "b-deleted", "b-muted"):
            lines.append(check_in(at(day, 9, minute, 5), slug, "ok", n(), config=five, **place))
    lines += [
        check_in(at(day, 10, 1, 5), "b-waits", "in_progress", n(), **place),
        check_in(at(day, 10, 12), "b-waits", "ok", numbers.last, **place),
        check_in(at(day, 10, 13), "b-waits", "error", n(), environment="staging", **place),
        check_in(at(day, 10, 14), "b-changes", "error", n(), config=crontab("*/7 * * * *"), **place),
        check_in(at(day, 10, 15), "b-changes", "ok", n(), config=five, **place),
        check_in(at(day, 10, 15, 30), "b-new", "ok", n(), config=five, **place),
        control(
            at(day, 10, 16), "mute", monitor_slug="b-muted", environment="production", muted=True, **place
        ),
        check_in(at(day, 10, 17), "b-muted", "error", n(), **place),
        check_in(at(day, 10, 18), "b-deleted", "error", n(), **place),
        control(at(day, 10, 19), "delete_monitor", monitor_slug="b-deleted", **place),
        control(
            at(day, 10, 20),
            "upsert_sampling_rule",
            organization_id=1,
            project_ids=[2],
            condition={"op": "eq", "name": "status", "value": "error"},
            start="2025-04-05T10:00:00Z",
            end="2025-04-06T00:00:00Z",
            num_samples=3,
            sample_rate=1.0,
            query="",
        ),
        as_object(check_in(at(day, 10, 21), "b-waits", "error", n(), **place)),
    ]
    for slug in ("b-waits", "b-changes", "b-muted", "b-new"):
        lines.append(
            control(at(day, 11), "set_monitor_status", monitor_slug=slug, status="disabled", **place)
        )
    # Lines act in the order of their times: only what has acted moves a clock, and this one must not hold the other up.
    clock: list[Line] = [pulse(at(day, 10, minute, 20)) for minute in range(2, 12)]
    return _in_order([*lines, *clock, pulse(at(day, 12)), pulse(at(day + 11, 2))])


def _in_order(lines: list[Line]) -> list[Line]:
    """By time; text has the time of what it stands after."""
    times = accumulate((line["ts"] if isinstance(line, dict) else 0.0 for line in lines), _latest_known)
    return [line for _, line in sorted(zip(times, lines, strict=True), key=lambda pair: pair[0])]


def _latest_known(before: float, time: float) -> float:
    return time or before


def stream() -> tuple[dict[str, list[Line]], dict[int, int]]:
    """The lines of each file; and by number of state shards, how many of the first file are read before the flow
    stops."""
    numbers = Numbers(1_000)
    before = _usual(numbers, WEEKEND_DAYS)
    for part in (_nightly, _long_lived, _organizations, _bad, _sampling, _first_outage, _last_day, people):
        before += part(numbers)
    before = _in_order(before)
    # The flow stops between two batches.
    before = [*[pulse(at(0))] * (-len(before) % BATCH), *before]
    after = _in_order(_after_the_stop(numbers))
    files = {FIRST: before + after, SECOND: _second(Numbers(500_000))}
    return files, {1: len(before), 2: len(before) + BATCH}
