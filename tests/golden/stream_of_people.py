"""The part of the golden sets' stream that people make: silences and acknowledgements."""

from __future__ import annotations

from typing import Any

from tests.builders import START_S, check_in, control
from tests.golden.lines import STOP_DAY, Line, Numbers, at, crontab


def people(numbers: Numbers) -> list[Line]:
    """What people silence and acknowledge: a maintenance every night that goes on, one of an owner, one that was ended,
    a snooze, and an incident that somebody sees to."""
    n = numbers.next
    day = STOP_DAY
    nightly = crontab("0 3 * * *", checkin_margin=5)
    quiet: dict[str, Any] = {"misses_count": False, "who": "ann", "note": "disks"}
    return [
        check_in(at(28, 3), "kept-quiet", "ok", n(), config=nightly),
        check_in(at(28, 3, 1), "kept-owned", "ok", n(), config=nightly | {"owner": "team:quiet"}),
        control(
            at(28, 9),
            "maintenance",
            silence_id="nights",
            project_id=1,
            slug="kept-q*",
            environment="prod*",
            start="2025-03-31T04:30:00",
            timezone="Europe/Berlin",
            rrule="FREQ=DAILY",
            duration_minutes=90,
            **quiet,
        ),
        control(
            at(28, 9, 1),
            "maintenance",
            organization_id=1,
            owner="team:q*",
            start=START_S + at(30),
            end=START_S + at(32),
            **quiet,
        ),
        control(
            at(28, 9, 2),
            "maintenance",
            silence_id="short",
            project_id=1,
            start=START_S + at(40),
            end=START_S + at(41),
            misses_count=False,
        ),
        control(at(28, 9, 3), "end_silence", project_id=1, silence_id="short"),
        control(
            at(day, 9, 36),
            "snooze",
            silence_id="open-known",
            project_id=1,
            monitor_slug="open",
            until=START_S + at(day, 18),
        ),
        control(
            at(day, 9, 37),
            "acknowledge_incident",
            project_id=1,
            monitor_slug="open",
            who="ann",
            note="on it",
        ),
    ]
