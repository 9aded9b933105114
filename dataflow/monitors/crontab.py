"""Crontab expressions: what is accepted, which wall-clock minutes it names, and the next one.

Wall-clock times are whole minutes since 1970-01-01 00:00 on the wall, whatever the zone; `schedule.py` makes
real times of them. The fields are read here, as Debian's cron and cronsim read them, and handed to croniter
as plain lists: its own reading differs in corners (hour `5-5` is every hour to it). See docs/schedules.md.
"""

from __future__ import annotations

import copy
import re
from typing import NamedTuple

from croniter import croniter

MAX_LENGTH = 1000
"""Characters of an expression; one that lists every minute, hour, day, month and weekday has 355."""
NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_SOME_WALL_MINUTE = 15_778_080
"""2000-01-01 00:00; an expression that names no time within 50 years of it names none at all."""
_MONTH_NAMES = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAY_NAMES = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_ITEM = re.compile(r"(?:\*|(\d{1,4}|[A-Z]{3})(?:-(\d{1,4}|[A-Z]{3}))?)(?:/(\d{1,4}))?", re.ASCII)
_NTH_WEEKDAY = re.compile(r"(\d{1,4}|[A-Z]{3})#([1-5])", re.ASCII)
_LAST_WEEKDAY = re.compile(r"(\d{1,4})L", re.ASCII)


class InvalidCrontab(ValueError):  # noqa: N818 - the field's term
    """The text is no crontab expression; the message is a reason that can be shown."""


class _Field(NamedTuple):
    name: str
    low: int
    high: int
    names: dict[str, int]


_MINUTE = _Field("minute", 0, 59, {})
_HOUR = _Field("hour", 0, 23, {})
_DAY = _Field("day of month", 1, 31, {})
_MONTH = _Field("month", 1, 12, {name: number for number, name in enumerate(_MONTH_NAMES, 1)})
_WEEKDAY = _Field("day of week", 0, 7, {name: number for number, name in enumerate(_WEEKDAY_NAMES)})
_FIELDS = (_MINUTE, _HOUR, _DAY, _MONTH, _WEEKDAY)


class Crontab:
    """A crontab expression of five fields."""

    __slots__ = ("_parts", "follows_wall_clock")

    follows_wall_clock: bool
    """Runs at fixed times of the day, as the wall clock shows them; else it follows elapsed time."""

    def __init__(self, text: str) -> None:
        """Read an expression as `normalise` returns it. Raises InvalidCrontab."""
        fields = text.upper().split()
        if len(fields) != len(_FIELDS):
            raise InvalidCrontab("must have exactly 5 fields")
        minute, hour, day, month, weekday = map(_expand, fields, _FIELDS)
        self.follows_wall_clock = not fields[0].startswith("*") and not fields[1].startswith("*")
        if fields[2].startswith("*") or fields[4].startswith("*"):
            days = [f"{day} {month} {weekday}"]
        else:  # either day is enough
            days = [f"{day} {month} *", f"* {month} {weekday}"]
        self._parts = [croniter(f"{minute} {hour} {part}", 0.0, day_or=False) for part in days]

    def after(self, wall: int) -> int | None:
        """The first wall-clock minute that the expression names strictly after `wall`, if there is one."""
        return min(
            (found for part in self._parts if (found := _step(part, wall, False)) is not None), default=None
        )

    def before(self, wall: int) -> int | None:
        """The last wall-clock minute that the expression names strictly before `wall`, if there is one."""
        return max(
            (found for part in self._parts if (found := _step(part, wall, True)) is not None), default=None
        )


def normalise(text: str) -> str:
    """The expression as it is stored: nicknames spelled out, single blanks. Raises InvalidCrontab."""
    if len(text) > MAX_LENGTH:
        raise InvalidCrontab(f"must not be longer than {MAX_LENGTH} characters")
    if not text.isascii():
        raise InvalidCrontab("must be plain ASCII")
    fields = text.split()
    if len(fields) == 1 and fields[0].startswith("@"):
        spelled_out = NICKNAMES.get(fields[0].lower())
        if spelled_out is None:
            raise InvalidCrontab(f"the nicknames are {', '.join(NICKNAMES)}")
        return spelled_out
    normal = " ".join(fields)
    crontab = Crontab(normal)
    if crontab.after(_SOME_WALL_MINUTE) is None or crontab.before(_SOME_WALL_MINUTE) is None:
        raise InvalidCrontab("names a date that does not exist")
    return normal


def _step(part: croniter, wall: int, is_previous: bool) -> int | None:
    """One step of croniter, which counts in seconds; None at the ends of the calendar too."""
    # A croniter remembers where it is; the copy keeps threads that share a schedule apart.
    walker = copy.copy(part)
    try:
        seconds = walker.get_prev(float, wall * 60) if is_previous else walker.get_next(float, wall * 60)
    except (ValueError, OverflowError):
        return None
    return int(seconds) // 60


def _expand(text: str, field: _Field) -> str:
    """A field as a plain list of numbers, and of the day forms that croniter reads as we do; or as `*`."""
    if text == "*":
        return text
    numbers: set[int] = set()
    others: set[str] = set()
    for item in text.split(","):
        if field is _DAY and item == "L":
            others.add("l")
        elif field is _WEEKDAY and (nth := _NTH_WEEKDAY.fullmatch(item)):
            others.add(f"{_number(nth[1], field) % 7}#{nth[2]}")
        elif field is _WEEKDAY and (last := _LAST_WEEKDAY.fullmatch(item)):
            others.add(f"l{_number(last[1], field) % 7}")
        else:
            numbers.update(_numbers(item, field))
    if field is _WEEKDAY:
        numbers = {number % 7 for number in numbers}
        if numbers and others:
            raise InvalidCrontab("day of week: DAY#N and DAYL cannot stand beside other days")
    return ",".join([*map(str, sorted(numbers)), *sorted(others)])


def _numbers(item: str, field: _Field) -> range:
    match = _ITEM.fullmatch(item)
    if match is None:
        raise InvalidCrontab(f"{field.name}: cannot be read")
    first, last, step = match[1], match[2], int(match[3] or 1)
    low = field.low if first is None else _number(first, field)
    if last is not None:
        high = _number(last, field)
    elif first is None or match[3] is not None:  # N/STEP goes on to the end
        high = field.high
    else:
        high = low
    if step < 1 or low > high:
        raise InvalidCrontab(f"{field.name}: {'step is 0' if step < 1 else 'range ends before it begins'}")
    return range(low, high + 1, step)


def _number(text: str, field: _Field) -> int:
    number = int(text) if text.isdigit() else field.names.get(text)
    if number is None or not field.low <= number <= field.high:
        raise InvalidCrontab(f"{field.name}: out of range")
    return number
