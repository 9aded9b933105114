"""When the next check-in is expected: crontab and interval schedules, in a monitor's time zone.

Times are whole minutes since the epoch, UTC, unless they are called wall-clock minutes. The rules at changes
of daylight saving time, and why they are so, are in docs/schedules.md.
"""

from __future__ import annotations

from bisect import bisect_left
from datetime import timedelta
from functools import lru_cache
from typing import Protocol

from dateutil.relativedelta import relativedelta

from dataflow.monitors.crontab import Crontab
from dataflow.monitors.times import MINUTE_US, NO_MINUTE, Microseconds, Minute
from dataflow.monitors.zones import MINUTE, WALL_EPOCH, LocalTime

LAST_MINUTE = Minute(4_223_371_679)
"""9999-12-31 23:59, the end of the calendar: what would come later is said to come then."""
ELAPSED_MINUTES = {"minute": 1, "hour": 60}
"""The units of an interval that are elapsed time, in minutes."""
CALENDAR_DAYS = {"day": 1, "week": 7, "month": 28, "year": 365}
"""The units of an interval that are steps on the calendar, in days at the least."""


class Schedule(Protocol):
    """When check-ins are expected. Shared between monitors, and between threads."""

    def after(self, time_us: Microseconds) -> Minute:
        """The minute of the first expected time strictly after `time_us` (µs since the epoch)."""

    def resume(self, anchor_minute: Minute, tick_minute: Minute) -> Minute:
        """The first expected minute that is not before the tick, after a check-in failed at the tick.

        The anchor is what was expected last (`next_checkin`): an interval goes on counting from there. With
        NO_MINUTE it counts from the tick.
        """

    def early_for(self, began_us: Microseconds, expected_minute: Minute, tolerance_us: int) -> Minute:
        """The scheduled minute that a run counts for which began before it; NO_MINUTE if it was not early.

        Early is up to `tolerance_us` before the time, and never more than half of the schedule's gap before it.
        `expected_minute` is what was expected when the run began (NO_MINUTE: nothing): a run that is late for that
        is not early for the next time.
        """


@lru_cache(maxsize=65_536)
def schedule_for(schedule_type: str, schedule: str, zone: str) -> Schedule:
    """The schedule of a valid config. Raises ValueError or KeyError for what never was one."""
    if schedule_type == "crontab":
        return CrontabSchedule(Crontab(schedule), LocalTime.of(zone))
    if schedule_type != "interval":
        raise ValueError(f"no such type of schedule: {schedule_type}")
    number, unit = schedule.split()
    if unit in ELAPSED_MINUTES:
        return ElapsedSchedule(int(number) * ELAPSED_MINUTES[unit])
    return CalendarSchedule(int(number), unit, LocalTime.of(zone))


class NeverSchedule:
    """No check-in is ever expected."""

    __slots__ = ()

    def after(self, time_us: Microseconds) -> Minute:
        """See Schedule."""
        return LAST_MINUTE

    def resume(self, anchor_minute: Minute, tick_minute: Minute) -> Minute:
        """See Schedule."""
        return LAST_MINUTE

    def early_for(self, began_us: Microseconds, expected_minute: Minute, tolerance_us: int) -> Minute:
        """See Schedule."""
        return NO_MINUTE


NEVER = NeverSchedule()


class CrontabSchedule:
    """A crontab expression in a time zone."""

    __slots__ = ("_crontab", "_known", "_local")

    def __init__(self, crontab: Crontab, local: LocalTime) -> None:
        self._crontab = crontab
        self._local = local
        # One tuple, replaced as a whole: two threads may ask at once.
        self._known = (Minute(0), Minute(0))
        """The newest answer: from the first minute, and until the second, the next is the second."""

    def after(self, time_us: Microseconds) -> Minute:
        """See Schedule."""
        minute = time_us // MINUTE_US
        since, following = self._known
        if since <= minute < following:
            return following
        following = _following(self, minute)
        self._known = (minute, following)
        return following

    def resume(self, anchor_minute: Minute, tick_minute: Minute) -> Minute:
        """See Schedule; the anchor does not matter here."""
        return self.after((tick_minute - 1) * MINUTE_US)

    def early_for(self, began_us: Microseconds, expected_minute: Minute, tolerance_us: int) -> Minute:
        """See Schedule."""
        if NO_MINUTE != expected_minute <= began_us // MINUTE_US:
            return NO_MINUTE
        following = self.after(began_us)
        ahead_us = following * MINUTE_US - began_us
        # It is at least as near to the time that follows as to the one before: none lies as far back as that is ahead.
        if ahead_us > tolerance_us or self.after(began_us - ahead_us) != following:
            return NO_MINUTE
        return following

    def search(self, minute: Minute) -> Minute:
        """What `after` says, without memory: about 0.1 ms."""
        try:
            if self._crontab.follows_wall_clock:
                found = self._by_wall_clock(minute)
            else:
                found = self._by_elapsed_time(minute)
        except OverflowError:
            return LAST_MINUTE
        return LAST_MINUTE if found is None else min(Minute(found), LAST_MINUTE)

    def _by_wall_clock(self, minute: int) -> int | None:
        """Each named time once: at the first of two, and where it is skipped, as soon as the gap is over."""
        wall = self._crontab.after(self._local.wall(minute))
        while wall is not None:
            found = self._local.first_shown(wall)
            if found > minute:
                return found
            wall = self._crontab.after(wall)
        return None

    def _by_elapsed_time(self, minute: int) -> int | None:
        """Every minute at which the clocks show a named time: twice, if shown twice; never, if skipped."""
        now = self._local.wall(minute)
        wall = self._crontab.after(now)
        while wall is not None:
            early, late = self._local.minutes(wall)
            if early <= late:
                shown_once = early == late
                found = early if early > minute else late
                return min(found, self._second_time(minute, now, found)) if shown_once else found
            wall = self._crontab.after(wall)
        return None

    def _second_time(self, minute: int, now: int, otherwise: int) -> int:
        """The next named time among those that the clocks, about to be put back, will show a second time."""
        first_now, second_now = self._local.minutes(now)
        if not (minute == first_now < second_now):
            return otherwise
        wall = self._crontab.after(now - (second_now - first_now))
        while wall is not None and wall <= now:
            early, late = self._local.minutes(wall)
            if early < late:
                return late
            wall = self._crontab.after(wall)
        return otherwise


@lru_cache(maxsize=65_536)
def _following(schedule: CrontabSchedule, minute: Minute) -> Minute:
    return schedule.search(minute)


class ElapsedSchedule:
    """An interval of minutes or hours: elapsed time, whatever the clocks show."""

    __slots__ = ("_step_minutes",)

    def __init__(self, step_minutes: int) -> None:
        self._step_minutes = step_minutes

    def after(self, time_us: Microseconds) -> Minute:
        """See Schedule."""
        return min(time_us // MINUTE_US + self._step_minutes, LAST_MINUTE)

    def resume(self, anchor_minute: Minute, tick_minute: Minute) -> Minute:
        """See Schedule."""
        if anchor_minute == NO_MINUTE:
            return self.after(tick_minute * MINUTE_US)
        if anchor_minute >= tick_minute:
            return anchor_minute
        steps = -((anchor_minute - tick_minute) // self._step_minutes)
        return min(anchor_minute + steps * self._step_minutes, LAST_MINUTE)

    def early_for(self, began_us: Microseconds, expected_minute: Minute, tolerance_us: int) -> Minute:
        """See Schedule."""
        return _early_for_expected(began_us, expected_minute, tolerance_us, self._step_minutes)


class CalendarSchedule:
    """An interval of days or longer: the same time on the wall, some days, weeks, months or years later."""

    __slots__ = ("_least_minutes", "_local", "_number", "_unit")

    def __init__(self, number: int, unit: str, local: LocalTime) -> None:
        self._number = number
        self._unit = unit
        self._least_minutes = number * CALENDAR_DAYS[unit] * 24 * 60
        self._local = local

    def after(self, time_us: Microseconds) -> Minute:
        """See Schedule."""
        return self._stepped(time_us // MINUTE_US, 1)

    def resume(self, anchor_minute: Minute, tick_minute: Minute) -> Minute:
        """See Schedule. Counts all steps from the anchor, so that the 31st comes back after a short month."""
        if anchor_minute == NO_MINUTE:
            return self.after(tick_minute * MINUTE_US)
        if anchor_minute >= tick_minute:
            return anchor_minute
        enough = (tick_minute - anchor_minute) // self._least_minutes + 2
        steps = bisect_left(range(enough), tick_minute, key=lambda steps: self._stepped(anchor_minute, steps))
        return self._stepped(anchor_minute, steps)

    def early_for(self, began_us: Microseconds, expected_minute: Minute, tolerance_us: int) -> Minute:
        """See Schedule."""
        return _early_for_expected(began_us, expected_minute, tolerance_us, self._least_minutes)

    def _stepped(self, minute: Minute, steps: int) -> Minute:
        """The minute this many steps on; of two the first; one that is skipped, as if the clocks ran on."""
        number = steps * self._number
        try:
            wall = WALL_EPOCH + self._local.wall(minute) * MINUTE
            if self._unit == "month":
                wall += relativedelta(months=number)
            elif self._unit == "year":
                wall += relativedelta(years=number)
            else:
                wall += timedelta(days=number * CALENDAR_DAYS[self._unit])
            first, _ = self._local.minutes((wall - WALL_EPOCH) // MINUTE)
            return min(Minute(first), LAST_MINUTE)
        except (OverflowError, ValueError):
            return LAST_MINUTE


def _early_for_expected(
    began_us: Microseconds, expected_minute: Minute, tolerance_us: int, gap_minutes: int
) -> Minute:
    """See Schedule.early_for: an interval has no times of its own, only what was expected."""
    ahead_us = expected_minute * MINUTE_US - began_us
    if expected_minute == NO_MINUTE or not 0 < ahead_us <= min(tolerance_us, gap_minutes * MINUTE_US // 2):
        return NO_MINUTE
    return expected_minute
