"""What the lines of the golden sets' stream are made of: times, schedules, numbers."""

from __future__ import annotations

from typing import Any

Line = dict[str, Any] | str
DAY_S = 86_400
STOP_DAY = 33
"""A Saturday: weekend days are compared with weekend days."""


def at(day: int, hour: int = 0, minute: int = 0, second: float = 0) -> float:
    """Seconds since the input's begin."""
    return day * DAY_S + hour * 3600 + minute * 60 + second


def crontab(value: str, **fields: Any) -> dict[str, Any]:
    return {"schedule": {"type": "crontab", "value": value}, **fields}


def every(value: int, unit: str, **fields: Any) -> dict[str, Any]:
    return {"schedule": {"type": "interval", "value": value, "unit": unit}, **fields}


class Numbers:
    """Guids, in order."""

    def __init__(self, last: int) -> None:
        self.last = last

    def next(self) -> int:
        self.last += 1
        return self.last
