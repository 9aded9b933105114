"""Days with an outage: three ordinary ones to compare with, and a fourth that loses minutes."""

from __future__ import annotations

from typing import Any

from tests.builders import START_S, check_in, pulse
from tests.flow.memory import run

DAY_S = 86_400
USUAL = 12
"""Check-ins a minute on ordinary days, over all partitions."""
EVERY_MINUTE = {"schedule": {"type": "crontab", "value": "* * * * *"}, "max_runtime": 3}
EVERY_FIVE = {"schedule": {"type": "crontab", "value": "*/5 * * * *"}, "max_runtime": 4}
QUARTERLY = {"schedule": {"type": "crontab", "value": "*/15 * * * *"}, "failure_issue_threshold": 1}
RARE = {"schedule": {"type": "interval", "value": 1, "unit": "month"}}
RULES: dict[str, Any] = {"volume_minimum": 8, "volume_window": 4}
"""Twelve check-ins are judged; of twelve, less than two are too few beyond chance."""


def background(minute, count=USUAL, part=0, parts=1):
    """Check-ins that only make up the volume: of monitors that are due once a month."""
    return [
        check_in(60 * minute + 1, f"bg{n}", number=minute * 100 + n, project_id=9, config=RARE)
        for n in range(part, count, parts)
    ]


def history(minutes, part=0, parts=1) -> list[Any]:
    """Three ordinary days, of which these minutes have check-ins, and jumps of the clock between."""
    lines = []
    for day in range(3):
        for minute in minutes:
            lines += background(day * 1440 + minute, part=part, parts=parts)
    return lines


def today(minute):
    """That minute of the fourth day."""
    return 3 * 1440 + minute


def at(row_us):
    """A time of the fourth day as minutes."""
    return row_us // 60_000_000 - START_S // 60 - 3 * 1440


def decided(world):
    """The decisions of the fourth day by minute, as letters."""
    rows = {at(row["minute"]): row["decision"] for row in world.rows("clock_ticks")}
    return {minute: decision for minute, decision in sorted(rows.items()) if minute > 0}


def statuses(world, slug):
    rows = [row for row in world.rows("check_ins") if row["slug"] == slug]
    return [row["status"] for row in sorted(rows, key=lambda row: row["date_added"])]


def sent(world, slug=None):
    """(minute of detection, kind, reason) of all messages, by time; of one monitor, or of the flow itself."""
    found = []
    for row in world.rows("status_changes"):
        if row["slug"] == slug:
            found.append((at(row["created_at"]), row["payload_type"]))
    return sorted(found)


def by_time(lines: list[Any]) -> list[Any]:
    return sorted(lines, key=lambda line: line["ts"])


def day_with(lost, extra=(), until=60, **changes):
    """The fourth day: background in every minute but `lost` ones, and other lines."""
    lines = history(range(until + 1))
    for minute in range(until + 1):
        if minute not in lost:
            lines += background(today(minute))
        lines.append(pulse(60 * today(minute) + 30))
    lines += extra
    return run(by_time(lines), **{**RULES, **changes})


def runs_of(slug, minutes, config, status="ok", second=5, first=7000):
    return [
        check_in(60 * today(minute) + second, slug, status, first + minute, config=config)
        for minute in minutes
    ]


def assert_same(left, right):
    for table, rows in left.tables.items():
        assert right.tables[table] == rows, table
    assert left.messages == right.messages
