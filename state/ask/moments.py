"""Times as a person types them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta, tzinfo

from state.zones import load_zone

_AGO = re.compile(r"(\d+)\s*(m|min|minutes?|h|hours?|d|days?|w|weeks?)(\s+ago)?", re.IGNORECASE)
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DAYS = {"today": 0, "yesterday": 1}
EXAMPLES = "2025-03-03T08:00, 10:30, yesterday 3:00, 2 hours ago, now"


def read_zone(name: str) -> tzinfo:
    """A time zone by its IANA name. Raises ValueError."""
    if name.upper() in ("UTC", "Z"):
        return UTC
    try:
        return load_zone(name)
    except KeyError:
        raise ValueError(f"there is no time zone {name}; name one like Europe/Vienna") from None


def read_moment(words: str, now: datetime, zone: tzinfo = UTC) -> datetime:
    """The time that is meant; `now` is the snapshot's. Raises ValueError.

    ISO 8601, a time of the day (`10:30`, the newest one that is not after now), `yesterday 3:00`, `today`, `2 hours
    ago`, `now`; a zone's name may follow.
    """
    text = " ".join(words.split())
    if text.lower() == "now":
        return now
    if found := _AGO.fullmatch(text):
        return now - timedelta(**{_UNITS[found[2][0].lower()]: int(found[1])})
    *head, last = text.split(" ")
    if head and (last[0].isalpha() and last.lower() not in _DAYS):
        zone, text = read_zone(last), " ".join(head)
    try:
        return _in_zone(text, now.astimezone(zone), zone)
    except (ValueError, OverflowError):
        raise ValueError(f"{words} is not a time; write it like {EXAMPLES}") from None


def _in_zone(text: str, now: datetime, zone: tzinfo) -> datetime:
    day, _, clock = text.partition(" ")
    if day.lower() in _DAYS:
        date = (now - timedelta(days=_DAYS[day.lower()])).date()
        return datetime.combine(date, _clock(clock) if clock else time(), zone)
    if ":" in text and "-" not in text.split("T")[0]:
        moment = datetime.combine(now.date(), _clock(text), zone)
        return moment if moment <= now else moment - timedelta(days=1)
    moment = datetime.fromisoformat(f"{day}T{clock.rjust(5, '0')}" if clock and len(clock) < 5 else text)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)


def _clock(text: str) -> time:
    hours, _, rest = text.partition(":")
    return time.fromisoformat(f"{int(hours):02}:{rest or '00'}")
