"""Which hours count: working hours of weekdays, without holidays, on the clocks of a time zone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr

from state.errors import StateError, reason

DAY = timedelta(days=1)
_RANGE = re.compile(r"(\d{4}-\d\d-\d\d)(?:\s*(?:\.\.|to|/)\s*(\d{4}-\d\d-\d\d))?(?:\s+(.*))?")
_PROPERTY = re.compile(r"([A-Z-]+)((?:;[^:]*)?):(.*)")
_MOST_DAYS = 4_000
"""More days of one event than this are a mistake."""


class Holiday(NamedTuple):
    """Days that do not count."""

    first: date
    last: date
    name: str


class Hours(NamedTuple):
    """When it counts. Without `opens` and `closes` at any time of the days."""

    zone: ZoneInfo
    days: frozenset[int] = frozenset(range(7))
    """Of the week; Monday is 0."""
    opens: time | None = None
    closes: time | None = None

    def spans(
        self, begins: datetime, ends: datetime, holidays: list[Holiday]
    ) -> Iterator[tuple[datetime, datetime]]:
        """From when to when it counts between two moments, in order."""
        free = {
            holiday.first + number * DAY
            for holiday in holidays
            for number in range((holiday.last - holiday.first).days + 1)
        }
        day = begins.astimezone(self.zone).date()
        while (midnight := datetime.combine(day, time(), self.zone)) < ends:
            if day.weekday() in self.days and day not in free:
                opens = midnight if self.opens is None else datetime.combine(day, self.opens, self.zone)
                closes = datetime.combine(day, self.closes or time(), self.zone)
                if self.closes is None:
                    closes = datetime.combine(day + DAY, time(), self.zone)
                first, last = max(opens, begins), min(closes, ends)
                if first < last:
                    yield first, last
            day += DAY


def read_holidays(path: Path, first: date, last: date) -> list[Holiday]:
    """The days of a calendar file between two days, both of them included.

    `.ics` is RFC 5545: each VEVENT stands for the days that it touches, with its RRULE (by days or longer). Anything
    else is plain text: a day or a range (`2025-12-24 .. 2025-12-26`) a line, then a name; `#` begins a comment.
    Raises StateError with the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise StateError(f"{path}: is not text in UTF-8") from None
    except OSError as error:
        raise StateError(f"{path}: cannot read: {reason(error)}") from None
    is_calendar = path.suffix.lower() == ".ics" or text.startswith("BEGIN:VCALENDAR")
    found = _events(path, text, first, last) if is_calendar else _ranges(path, text)
    return sorted(
        Holiday(max(each.first, first), min(each.last, last), each.name)
        for each in found
        if each.first <= last and each.last >= first
    )


def _ranges(path: Path, text: str) -> Iterator[Holiday]:
    for number, line in enumerate(text.splitlines(), 1):
        line = line.split("#")[0].strip()
        if not line:
            continue
        match = _RANGE.fullmatch(line)
        try:
            if match is None:
                raise ValueError
            begin = date.fromisoformat(match[1])
            end = date.fromisoformat(match[2] or match[1])
        except ValueError:
            raise StateError(
                f"{path}: line {number}: is not a day such as 2025-12-25, or a range of two"
            ) from None
        if not 0 <= (end - begin).days < _MOST_DAYS:
            raise StateError(f"{path}: line {number}: the range ends before it begins, or is too long")
        yield Holiday(begin, end, match[3] or "")


def _events(path: Path, text: str, first: date, last: date) -> Iterator[Holiday]:
    event: dict[str, tuple[int, str]] | None = None
    for number, line in _unfolded(text):
        match = _PROPERTY.fullmatch(line)
        if match is None:
            continue
        name, _, value = match.groups()
        if (name, value) == ("BEGIN", "VEVENT"):
            event = {}
        elif (name, value) == ("END", "VEVENT") and event is not None:
            yield from _days(path, event, first, last)
            event = None
        elif event is not None:
            event.setdefault(name, (number, value))


def _unfolded(text: str) -> Iterator[tuple[int, str]]:
    """Content lines with the number of their first line: those that begin with a blank go on."""
    number, pending = 0, ""
    for at, line in enumerate(text.splitlines(), 1):
        if line[:1] in (" ", "\t"):
            pending += line[1:]
            continue
        if pending:
            yield number, pending
        number, pending = at, line
    if pending:
        yield number, pending


def _days(path: Path, event: dict[str, tuple[int, str]], first: date, last: date) -> Iterator[Holiday]:
    number, begins = event.get("DTSTART", (0, ""))
    try:
        begin = _day(begins)
        length = (_day(event["DTEND"][1]) - begin).days if "DTEND" in event else 1
        length = max(1, length + ("T" in begins and "DTEND" in event))
        if length > _MOST_DAYS:
            raise ValueError
        starts = [begin]
        if "RRULE" in event:
            number, rule = event["RRULE"]
            if re.search(r"FREQ=(?:SECOND|MINUTE|HOUR)", rule.upper()):
                raise ValueError
            rules = rrulestr(
                re.sub(r"(UNTIL=\d{8})T\d{6}Z?", r"\1", rule), dtstart=datetime.combine(begin, time())
            )
            window = (datetime.combine(first - length * DAY, time()), datetime.combine(last, time()))
            starts = [found.date() for found in rules.between(*window, inc=True)]
    except (ValueError, TypeError, KeyError):
        raise StateError(f"{path}: line {number}: cannot be read as the days of an event") from None
    name = event.get("SUMMARY", (0, ""))[1].replace("\\,", ",").replace("\\;", ";")
    for start in starts:
        yield Holiday(start, start + (length - 1) * DAY, name)


def _day(text: str) -> date:
    return datetime.strptime(text[:8], "%Y%m%d").date()  # noqa: DTZ007 - a day has no zone
