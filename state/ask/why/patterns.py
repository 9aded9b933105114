"""What incidents and runs have in common: the same hour, a change of the clocks, the same half hour. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo

from state.ask.why.facts import MISSED, UNKNOWN, Neighbours, Recurrence, Run, Shift

_SAME_TIME = timedelta(minutes=15)
"""Incidents that begin no further apart on the clock began at the same time of the day."""
_LEAST_RECURRENCES = 3
_HALF_AN_HOUR = timedelta(minutes=30)
_LEAST_NEIGHBOURS = 3
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_ABOUT_AN_HOUR = (timedelta(minutes=50), timedelta(minutes=75))
_ON_TIME = timedelta(minutes=30)
_THAT_NIGHT = timedelta(hours=6)
"""For this long after the change hours are skipped or come twice, and a run may be off by another time."""
_SHIFT_DAYS = 45
"""For this long after a change of the clocks it is worth mentioning."""
_BEFORE_DAYS = 21


def recurrence(starts: Sequence[datetime], zone: tzinfo) -> Recurrence | None:
    """What the newest incident has in common with those before it; `starts` is when they began, oldest first.

    At least three in a row, on different days, at the same time of the day in the monitor's zone: all on the same
    weekday, or else on any.
    """
    local = [start.astimezone(zone) for start in starts]
    if not local:
        return None
    newest = local[-1]
    same_hour: list[datetime] = []
    for each in reversed(local):
        is_other_day = not same_hour or each.date() != same_hour[-1].date()
        if not is_other_day or not _is_same_time(each, newest):
            break
        same_hour.append(each)
    same_day = 0
    for each in same_hour:
        if each.weekday() != newest.weekday():
            break
        same_day += 1
    if same_day >= _LEAST_RECURRENCES:
        return Recurrence(same_day, _WEEKDAYS[newest.weekday()], f"{newest:%H:%M}")
    if len(same_hour) >= _LEAST_RECURRENCES:
        return Recurrence(len(same_hour), None, f"{newest:%H:%M}")
    return None


def _is_same_time(one: datetime, other: datetime) -> bool:
    apart = abs((one.hour * 60 + one.minute) - (other.hour * 60 + other.minute))
    return timedelta(minutes=min(apart, 24 * 60 - apart)) <= _SAME_TIME


def neighbours(own: tuple[str, datetime], others: Sequence[tuple[str, datetime]]) -> Neighbours | None:
    """The monitors whose incidents began within the same half hour as this one: the half hour with most of them.

    `others`: slug and begin of incidents of the same project.
    """
    slug = own[0]
    around = sorted({*others, own}, key=lambda each: (each[1], each[0]))
    best: list[tuple[str, datetime]] = []
    for _, first in around:
        within = [each for each in around if first <= each[1] <= first + _HALF_AN_HOUR]
        if own in within and len({name for name, _ in within}) > len({name for name, _ in best}):
            best = within
    names = {name for name, _ in best}
    if len(names) < _LEAST_NEIGHBOURS:
        return None
    rest = list(dict.fromkeys(name for name, _ in best if name != slug))
    return Neighbours(best[0][1], best[-1][1], (slug, *rest))


def shift(at: datetime, zone: tzinfo, zone_name: str, runs: Sequence[Run]) -> Shift | None:
    """Whether the runs have come about an hour late or early since the clocks were changed, and were on time before.

    `runs` are those known by then, oldest first. A run that came after a miss is late for the one that was missed.
    """
    change = _last_change(at, zone)
    if change is None:
        return None
    moment, is_forward = change
    late = [(run.began, by) for run, by in _lateness(runs)]
    least, most = _ABOUT_AN_HOUR
    since = [
        by
        for began, by in late
        if began >= moment and (least <= abs(by) <= most or began >= moment + _THAT_NIGHT)
    ]
    before = [by for began, by in late if moment - timedelta(days=_BEFORE_DAYS) <= began < moment]
    if not since or not before or any(abs(by) > _ON_TIME for by in before):
        return None
    if any(not least <= abs(by) <= most for by in since) or len({by > timedelta() for by in since}) > 1:
        return None
    return Shift(moment, zone_name, is_forward, since[0] > timedelta(), len(since))


def _lateness(runs: Sequence[Run]) -> list[tuple[Run, timedelta]]:
    """How late each run began for the time that it was meant for; negative: early."""
    found: list[tuple[Run, timedelta]] = []
    missed: Run | None = None
    for run in runs:
        if run.status == MISSED:
            missed = run
        elif run.status != UNKNOWN:
            meant = [
                each for each in (run.expected, None if missed is None else missed.began) if each is not None
            ]
            if meant:
                found.append((run, min((run.began - moment for moment in meant), key=abs)))
            missed = None
    return _without_catching_up(found)


def _without_catching_up(found: list[tuple[Run, timedelta]]) -> list[tuple[Run, timedelta]]:
    """A run hours before its time was started by somebody, and says nothing about the clock."""
    return [(run, by) for run, by in found if abs(by) <= timedelta(hours=3)]


def _last_change(at: datetime, zone: tzinfo) -> tuple[datetime, bool] | None:
    """When the clocks of a zone were changed last, to the minute, and whether they were put forward."""
    later = at.astimezone(UTC).replace(second=0, microsecond=0)
    for _ in range(_SHIFT_DAYS):
        earlier = later - timedelta(days=1)
        if _offset(earlier, zone) != _offset(later, zone):
            while later - earlier > timedelta(minutes=1):
                middle = earlier + timedelta(minutes=(later - earlier) // timedelta(minutes=2))
                if _offset(middle, zone) == _offset(earlier, zone):
                    earlier = middle
                else:
                    later = middle
            return later, _offset(later, zone) > _offset(earlier, zone)
        later = earlier
    return None


def _offset(moment: datetime, zone: tzinfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()
