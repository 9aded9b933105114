"""Silences: times in which people are not notified, and those in which misses and time-outs do not count.

A silence holds in its windows, from when it is announced to when somebody ends it: what lies before the announcement
stays as it was judged. So whether a tick lies in one does not depend on when the control is applied, as long as that is
before the first tick after it, which is what the order of the input sees to.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import NamedTuple

import msgspec
from dateutil.rrule import rrulestr

from dataflow.monitors.limits import Limit
from dataflow.monitors.times import MINUTE_US, NO_TIME, Microseconds, Minute
from state.zones import load_zone

SNOOZE, MAINTENANCE = "snooze", "maintenance"
NOT_KNOWN = -1
"""Stands for an organization that a snapshot of an earlier version does not name."""
KEPT_US = 60 * 24 * 60 * MINUTE_US
"""How long one that is over is remembered by the rules: longer than any margin or run that is worth asking about."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_BY = ("MONTH", "WEEKNO", "YEARDAY", "MONTHDAY", "DAY", "HOUR", "MINUTE", "SETPOS")
_PARTS = frozenset(("FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", *(f"BY{name}" for name in _BY)))
_FREQUENCIES = ("HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_HORIZON = timedelta(days=Limit.SILENCE_DAYS)
_CYCLE_YEARS = 400
"""After so many years the calendar is the same again, days of the week included."""
_LAST_START_YEAR = 9_990


class InvalidSilence(Exception):  # noqa: N818 - what it is, as InvalidRule
    """No silence can be made of what was asked for; the text says which part is wrong, and why."""


class Subject(NamedTuple):
    """What may be silenced: a monitor environment."""

    organization_id: int
    project_id: int
    slug: str
    environment: str
    owner: str | None


class Silence(msgspec.Struct, array_like=True, frozen=True):
    """What somebody has announced. In snapshots by position: new fields go to the end, with a default."""

    id: str
    kind: str
    """SNOOZE or MAINTENANCE."""
    organization_id: int
    announced_us: Microseconds
    start_us: Microseconds
    """When the first window begins, or from when on the rule is read."""
    duration_us: int
    """How long each window is."""
    project_id: int | None = None
    """None, as in what follows: whatever it is."""
    slug: str | None = None
    """A glob of `*` and `?`, as `environment` and `owner` are."""
    environment: str | None = None
    owner: str | None = None
    misses_count: bool = True
    """False: misses and time-outs in it become `unknown`."""
    rrule: str | None = None
    """When it recurs: a recurrence rule of RFC 5545, on the clocks of `zone`. None: it has one window."""
    zone: str = "UTC"
    who: str | None = None
    note: str | None = None
    ended_us: Microseconds = NO_TIME
    """When somebody ended it early."""

    def covers(self, subject: Subject) -> bool:
        """Whether it is about this monitor environment, at whatever time."""
        return self.covers_monitor(
            subject.organization_id, subject.project_id, subject.slug, subject.owner
        ) and (self.environment is None or fnmatchcase(subject.environment, self.environment))

    def covers_monitor(self, organization_id: int, project_id: int, slug: str, owner: str | None) -> bool:
        """Whether it is about this monitor, in whatever environment."""
        return (
            # A project is of one organization: so nobody needs to know which.
            (
                self.organization_id == organization_id
                if self.project_id is None
                else self.project_id == project_id
            )
            and (self.slug is None or fnmatchcase(slug, self.slug))
            and (self.owner is None or fnmatchcase(owner or "", self.owner))
        )

    def window(self, since_us: int, until_us: int) -> tuple[int, int] | None:
        """The last time in which it holds that has a moment in common with since (inclusive) to until (exclusive), in
        µs; None: there is none."""
        first_us = max(since_us, self.announced_us)
        last_us = until_us if self.ended_us == NO_TIME else min(until_us, self.ended_us)
        if first_us >= last_us:
            return None
        windows = windows_of(self)
        at = bisect_left(windows, (last_us,))  # the first that begins then or later
        if not at or windows[at - 1][1] <= first_us:
            return None
        start_us, end_us = windows[at - 1]
        return max(start_us, self.announced_us), end_us if self.ended_us == NO_TIME else min(
            end_us, self.ended_us
        )

    def over_us(self) -> int:
        """From when on it holds no more, in µs."""
        windows = windows_of(self)
        end_us = windows[-1][1] if windows else self.announced_us
        return end_us if self.ended_us == NO_TIME else min(end_us, self.ended_us)

    def ended(self, at_us: Microseconds) -> Silence:
        """The same, ended by somebody."""
        return msgspec.structs.replace(
            self, ended_us=at_us if at_us > self.announced_us else self.announced_us
        )


def silenced(silences: Iterable[Silence], subject: Subject, at_us: int) -> tuple[Silence, int] | None:
    """The silence in which a moment lies for a monitor environment, and until when: the one that ends last."""
    found = [
        (window[1], silence.id, silence)
        for silence in silences
        if silence.covers(subject) and (window := silence.window(at_us, at_us + 1)) is not None
    ]
    if not found:
        return None
    end_us, _, silence = max(found, key=lambda each: each[:2])
    return silence, end_us


def uncounted(
    silences: Iterable[Silence], subject: Subject, since_minute: Minute, tick: Minute
) -> Silence | None:
    """The maintenance for which a miss or a time-out does not count that a tick finds, where a check-in since a minute
    would have prevented it: one of which a part lies between them. Of several the one that was announced first."""
    since_us, tick_us = min(since_minute, tick - 1) * MINUTE_US, tick * MINUTE_US
    found = [
        silence
        for silence in silences
        if not silence.misses_count
        and silence.covers(subject)
        and silence.window(since_us, tick_us) is not None
    ]
    return min(found, key=lambda silence: (silence.announced_us, silence.id), default=None)


def announce(silences: list[Silence], silence: Silence, at_us: int) -> None:
    """Take a silence in, in place of what was known of it; forget what has been over for long."""
    silences[:] = [each for each in silences if each.id != silence.id and each.over_us() + KEPT_US > at_us]
    silences.append(silence)


def windows_of(silence: Silence) -> tuple[tuple[int, int], ...]:
    """The windows that were announced, in order and apart from each other, in µs."""
    try:
        return windows(silence.start_us, silence.duration_us, silence.rrule, silence.zone)
    except InvalidSilence:  # another release has taken it
        return ()


@lru_cache(maxsize=1_024)
def windows(start_us: int, duration_us: int, rrule: str | None, zone: str) -> tuple[tuple[int, int], ...]:
    """The windows of a rule, those that touch as one: beginnings and ends in µs. Raises InvalidSilence.

    Without a rule there is one. With one they are looked for in `Limit.SILENCE_DAYS` from the start, on the clocks of
    the zone; a time that these skip in spring is an hour later, and one that they show twice is the first of the two.
    """
    if rrule is None:
        return ((start_us, start_us + duration_us),)
    found: list[tuple[int, int]] = []
    for count, begin_us in enumerate(_beginnings(start_us, rrule, zone), 1):
        if count > Limit.SILENCE_WINDOWS:
            raise InvalidSilence(
                f"rrule: has more than {Limit.SILENCE_WINDOWS} windows in {Limit.SILENCE_DAYS} days: give it an "
                "UNTIL or a COUNT, or make it rarer"
            )
        if found and begin_us <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], begin_us + duration_us))
        else:
            found.append((begin_us, begin_us + duration_us))
    if not found:
        raise InvalidSilence(f"rrule: names no time in {Limit.SILENCE_DAYS} days from the start")
    return tuple(found)


def _beginnings(start_us: int, rrule: str, zone: str) -> list[int]:
    """At most one more than may be: µs, growing."""
    place = load_zone(zone)
    start = (_EPOCH + start_us * _MICROSECOND).astimezone(place).replace(tzinfo=None, fold=0)
    parts = _parts(rrule)
    until = min(_until(parts.pop("UNTIL", None), zone, start), start + _HORIZON)
    # A rule that matches nothing is followed to the year 9999. So it is read at the end of the calendar.
    years = (_LAST_START_YEAR - start.year) // _CYCLE_YEARS * _CYCLE_YEARS
    text = ";".join(f"{name}={value}" for name, value in parts.items())
    try:
        found: set[int] = set()
        last = until.replace(year=until.year + years)
        for time in rrulestr(text, dtstart=start.replace(year=start.year + years)):
            if time > last or len(found) > Limit.SILENCE_WINDOWS:
                break
            shown = time.replace(year=time.year - years, tzinfo=place)
            found.add((shown - _EPOCH) // _MICROSECOND)
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError):
        raise InvalidSilence("rrule: must be a recurrence rule of RFC 5545") from None
    return sorted(found)


def _parts(rrule: str) -> dict[str, str]:
    """The parts of a rule by their names. Raises InvalidSilence."""
    parts: dict[str, str] = {}
    for part in rrule.upper().removeprefix("RRULE:").split(";"):
        name, _, value = part.partition("=")
        if not value or name in parts:
            raise InvalidSilence("rrule: must be parts NAME=VALUE, each once, with semicolons between them")
        if name not in _PARTS:
            raise InvalidSilence(f"rrule: {name[:20]} is not one of {', '.join(sorted(_PARTS))}")
        parts[name] = value
    if parts.get("FREQ") not in _FREQUENCIES:
        raise InvalidSilence(f"rrule: FREQ must be one of {', '.join(_FREQUENCIES)}")
    if parts["FREQ"] == "HOURLY" and "BYSETPOS" in parts:  # it could be looked for, in vain, for seconds
        raise InvalidSilence("rrule: BYSETPOS means nothing with HOURLY")
    for name in ("INTERVAL", "COUNT"):
        if name in parts and not (parts[name].isdecimal() and 0 < int(parts[name][:9]) <= 10_000):
            raise InvalidSilence(f"rrule: {name} must be a whole number from 1 to 10000")
    return parts


def _until(text: str | None, zone: str, start: datetime) -> datetime:
    """UNTIL on the clocks of the zone; a day is meant to its end."""
    if text is None:
        return start + _HORIZON
    try:
        if len(text) == 8:
            day = datetime.strptime(text, "%Y%m%d")  # noqa: DTZ007 - on the clocks of the zone
            return day + timedelta(days=1) - _MICROSECOND
        if text.endswith("Z"):
            moment = datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            return moment.astimezone(load_zone(zone)).replace(tzinfo=None, fold=0)
        return datetime.strptime(text, "%Y%m%dT%H%M%S")  # noqa: DTZ007 - as above
    except (ValueError, OverflowError):
        raise InvalidSilence("rrule: UNTIL must be a time such as 20261231T235959Z, or a day") from None
