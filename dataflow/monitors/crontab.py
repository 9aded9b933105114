"""Crontab expressions: what is accepted, which wall-clock minutes it names, and the next one.

Wall-clock times are whole minutes since 1970-01-01 00:00 on the wall, whatever the zone; `schedule.py` makes
real times of them. The fields are read here, as cronsim reads them, and handed to croniter as plain lists: its own
reading differs in corners (hour `5-5` is every hour to it). What croniter cannot say in one expression is several, of
which the first time counts. See docs/schedules.md.
"""

from __future__ import annotations

import copy
import re
from calendar import monthrange
from datetime import date, timedelta
from itertools import product
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
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_SOME_WALL_MINUTE = 15_778_080
"""2000-01-01 00:00; an expression that names no time within 50 years of it names none at all."""
_MONTH_NAMES = (
    *("JANUARY", "FEBRUARY", "MARCH", "APRIL", "MAY", "JUNE", "JULY"),
    *("AUGUST", "SEPTEMBER", "OCTOBER", "NOVEMBER", "DECEMBER"),
)
_WEEKDAY_NAMES = ("SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY")
_SHORT = 3
"""Letters of an abbreviated name."""
_ITEM = re.compile(r"(?:\*|(\d+|[A-Z]+)(?:-(\d+|[A-Z]+))?)(?:/(\d+))?", re.ASCII)
_LAST_DAY = re.compile(r"(LW?)(?:/(\d+))?", re.ASCII)
"""A step after it changes nothing."""
_NTH_WEEKDAY = re.compile(r"(\d+|[A-Z]+)#0*([1-5])", re.ASCII)
_LAST_OF_WEEKDAY = re.compile(r"(\d+)L", re.ASCII)
_LAST_WEEKDAY = "LW"
_DAYS_OF_LAST_WEEKDAY = "26-31"
"""Where the last day from Monday to Friday of any month is found."""
_DAY_MINUTES = 1440
_FAR_MINUTES = 50 * 366 * _DAY_MINUTES
"""Nothing is looked for beyond."""
_EPOCH = date(1970, 1, 1)
_SATURDAY = 5


class CalendarError(Exception):
    """The machine's calendar cannot be used; the text says why."""


class InvalidCrontab(ValueError):  # noqa: N818 - the field's term
    """The text is not a crontab expression; the message is a reason that can be shown."""


def _numbered(names: tuple[str, ...], first: int) -> dict[str, int]:
    """Names, in full and abbreviated, with their numbers."""
    numbers = {name: number for number, name in enumerate(names, first)}
    return numbers | {name[:_SHORT]: number for name, number in numbers.items()}


class _Field(NamedTuple):
    name: str
    low: int
    high: int
    names: dict[str, int]


_MINUTE = _Field("minute", 0, 59, {})
_HOUR = _Field("hour", 0, 23, {})
_DAY = _Field("day of month", 1, 31, {})
_MONTH = _Field("month", 1, 12, _numbered(_MONTH_NAMES, 1))
_WEEKDAY = _Field("day of week", 0, 7, _numbered(_WEEKDAY_NAMES, 0))
_FIELDS = (_MINUTE, _HOUR, _DAY, _MONTH, _WEEKDAY)


class _Part(NamedTuple):
    """An expression that croniter can read; a time counts if one of the parts names it."""

    walker: croniter
    is_last_weekday: bool
    """Only on the last day from Monday to Friday of a month."""


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
        (minute,), (hour,), days, (month,), weekdays = map(_expand, fields, _FIELDS)
        self.follows_wall_clock = not fields[0].startswith("*") and not fields[1].startswith("*")
        if fields[2].startswith("*") or fields[4].startswith("*"):
            pairs = list(product(days, weekdays))
        else:  # either day is enough
            pairs = [(day, "*") for day in days] + [("*", weekday) for weekday in weekdays]
        self._parts = [_part(minute, hour, day, month, weekday) for day, weekday in pairs]

    def after(self, wall: int) -> int | None:
        """The first wall-clock minute that the expression names strictly after `wall`, if there is one."""
        return min(
            (found for part in self._parts if (found := _find(part, wall, False)) is not None), default=None
        )

    def before(self, wall: int) -> int | None:
        """The last wall-clock minute that the expression names strictly before `wall`, if there is one."""
        return max(
            (found for part in self._parts if (found := _find(part, wall, True)) is not None), default=None
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


def _part(minute: str, hour: str, day: str, month: str, weekday: str) -> _Part:
    is_last_weekday = day == _LAST_WEEKDAY
    text = f"{minute} {hour} {_DAYS_OF_LAST_WEEKDAY if is_last_weekday else day} {month} {weekday}"
    return _Part(croniter(text, 0.0, day_or=False), is_last_weekday)


def _find(part: _Part, wall: int, is_previous: bool) -> int | None:
    """The next time, or the one before, that a part names; None at the ends of the calendar."""
    found = _step(part.walker, wall, is_previous)
    while found is not None and part.is_last_weekday and not _is_last_weekday(found):
        midnight = found - found % _DAY_MINUTES
        found = _step(part.walker, midnight if is_previous else midnight + _DAY_MINUTES - 1, is_previous)
        if (
            found is not None and abs(found - wall) > _FAR_MINUTES
        ):  # a Saturday that is a last weekday never comes
            return None
    return found


def _is_last_weekday(wall: int) -> bool:
    """Whether a wall-clock minute is on the last day from Monday to Friday of its month."""
    day = _EPOCH + timedelta(days=wall // _DAY_MINUTES)
    first_weekday, last = monthrange(day.year, day.month)
    past_friday = max(0, (first_weekday + last - 1) % 7 - _SATURDAY + 1)
    return day.day == last - past_friday


def _step(part: croniter, wall: int, is_previous: bool) -> int | None:
    """One step of croniter, which counts in seconds; None at the ends of the calendar too."""
    # A croniter remembers where it is; the copy keeps threads that share a schedule apart.
    walker = copy.copy(part)
    try:
        seconds = walker.get_prev(float, wall * 60) if is_previous else walker.get_next(float, wall * 60)
    except (ValueError, OverflowError):
        return None
    found = int(seconds) // 60
    if found >= wall if is_previous else found <= wall:  # with TZ=right/UTC the C library counts leap seconds
        raise CalendarError(
            "this machine's calendar counts leap seconds (TZ=right/...): use another time zone"
        )
    return found


def _expand(text: str, field: _Field) -> list[str]:
    """A field as what croniter reads as we do, of which one must match: `*`, or lists; or "LW"."""
    if text == "*":
        return [text]
    numbers: set[int] = set()
    others: set[str] = set()
    for item in text.split(","):
        if field is _DAY and (last := _LAST_DAY.fullmatch(item)):
            _check_step(last[2], field)
            others.add(last[1])
        elif field is _WEEKDAY and (nth := _NTH_WEEKDAY.fullmatch(item)):
            others.add(f"{_number(nth[1], field) % 7}#{nth[2]}")
        elif field is _WEEKDAY and (last := _LAST_OF_WEEKDAY.fullmatch(item)):
            others.add(f"l{_number(last[1], field) % 7}")
        else:
            numbers.update(_numbers(item, field))
    if field is not _WEEKDAY:
        plain = [*map(str, sorted(numbers)), *(["l"] if "L" in others else [])]
        return ([",".join(plain)] if plain else []) + ([_LAST_WEEKDAY] if _LAST_WEEKDAY in others else [])
    plain = [str(number) for number in sorted({number % 7 for number in numbers})]
    return [",".join(days) for days in (plain, sorted(others)) if days]


def _numbers(item: str, field: _Field) -> range:
    match = _ITEM.fullmatch(item)
    if match is None:
        raise InvalidCrontab(f"{field.name}: cannot be read")
    first, last, step = match[1], match[2], _check_step(match[3], field)
    low = field.low if first is None else _number(first, field)
    if last is not None:
        high = _number(last, field)
    else:
        high = field.high if first is None else low
    if low > high:
        raise InvalidCrontab(f"{field.name}: range ends before it begins")
    if match[3] is not None and low == high:  # N/STEP goes on to the end, N-N/STEP as well
        high = field.high
    return range(low, high + 1, step)


def _check_step(step: str | None, field: _Field) -> int:
    """A step as a number; 1 without one."""
    if step is not None and not int(step):
        raise InvalidCrontab(f"{field.name}: step is 0")
    return int(step or 1)


def _number(text: str, field: _Field) -> int:
    number = int(text) if text.isdigit() else field.names.get(text)
    if number is None or not field.low <= number <= field.high:
        raise InvalidCrontab(f"{field.name}: out of range")
    return number
