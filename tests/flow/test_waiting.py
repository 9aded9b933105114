"""What waits for a tick that is not decided yet, beside what comes from slower partitions."""

from __future__ import annotations

from dataflow.monitors.changes import MonitorChanged
from dataflow.monitors.check_in import MINUTE_US, NO_MINUTE, OK, CheckIn
from dataflow.monitors.config import MonitorConfig
from dataflow.monitors.times import Microseconds
from dataflow.steps.transition import Transition
from dataflow.stream.items import Chunk, Ticks

START = 29_016_000
"""2025-03-03T00:00:00Z, in minutes."""
COLUMNS = ("environment", "status", "date_added")


def created():
    config = MonitorConfig("crontab", "*/10 * * * *")
    return MonitorChanged(
        1, "m", "m", False, False, config, Microseconds(START * MINUTE_US), NO_MINUTE, False
    )


def check_in(number, minute, environment, source, clock):
    at_us = (START + minute) * MINUTE_US + 30_000_000
    clock_minute = START + clock if clock != NO_MINUTE else NO_MINUTE
    return CheckIn(
        1, 1, "m", environment, bytes([number]) * 16, OK, None, None, None, None, at_us, at_us,
        clock_minute, "t", source, number, source, b"{}",
    )  # fmt: skip


def applied(*steps):
    """The check-ins (environment, status, minute) after chunks of items and a clock, ticks decided behind each."""
    step = Transition(True, lambda: True, None)
    rows = {}
    for items, clock in steps:
        for chunk in (Chunk(0, 0, items, START + clock), Ticks(0, [], START + clock, NO_MINUTE)):
            for out in step.apply([chunk]):
                for row in getattr(out, "rows", {}).get("check_ins", []):
                    rows[row.check_in_id] = (
                        row.environment,
                        row.status,
                        row.date_added // MINUTE_US - START,
                    )
    return sorted(rows.values())


def test_what_waits_behind_a_check_in_of_a_faster_partition_was_in_time():
    first = [created(), check_in(1, 0, "a", 1, NO_MINUTE), check_in(2, 0, "b", 2, NO_MINUTE)]
    ahead = [check_in(3, 20, "b", 2, 19)]  # waits for the tick of minute 19, by which b has missed one
    assert applied(
        (first, 1),
        (ahead, 2),
        ([check_in(4, 10, "a", 1, 9)], 15),
        ([check_in(5, 20, "a", 1, 15)], 25),
    ) == [
        ("a", "ok", 0),
        ("a", "ok", 10),
        ("a", "ok", 20),
        ("b", "missed", 10),
        ("b", "ok", 0),
        ("b", "ok", 20),
    ]
