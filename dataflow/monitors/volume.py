"""Volume anomalies: is the input itself failing? Decides for each tick from how many check-ins came in its minute.

A minute is compared with the same minute of earlier days. Both are minutes of event time: a check-in belongs to the
minute that its partition's clock shows behind it, so the counts do not depend on how partitions interleave.
"""

from __future__ import annotations

from functools import lru_cache
from math import sqrt
from typing import NamedTuple

import msgspec

from dataflow.monitors.check_in import NO_MINUTE
from dataflow.monitors.decisions import Decision, TickEvent
from dataflow.monitors.times import Minute

DAY_MINUTES = 1440
HISTORY_DAYS = 30
"""How many days are compared with."""
LEAST_DAYS = 3
"""With fewer days there is no comparison, and every tick is NORMAL."""
INCIDENT_TICKS = 2
"""How many ticks of the window must be at the level of an incident to make one: a single minute may be chance, or a
busy minute that daylight saving time has moved to another hour."""
INCIDENT_MINUTES = 3
"""And the shortfalls of the window must add up to this many minutes at that level, and be at that level on average: two
minutes of a quiet day, a holiday perhaps, may fall below it by chance."""
NOISE = 3.0
"""A shortfall counts only beyond this many standard deviations of a random (Poisson) number of check-ins."""
UNLIKE_DAYS = 2.0
"""Against days of another kind a shortfall must be this many times as large: the first weekend is not an incident."""
ABSENT = -1
"""Stands for a minute that is not compared with: before the first check-in, or of a system incident."""
_HISTORY_MINUTES = HISTORY_DAYS * DAY_MINUTES
_SKIPPED_DAYS = 2 * HISTORY_DAYS + 4
"""In a longer gap the minutes in the middle are not worked off one by one: nothing can happen any more."""


class VolumeRules(NamedTuple):
    """When too few check-ins are too few."""

    window: int = 5
    """Ticks: the longest that a decision is pending, and how many normal ones in a row end an anomaly."""
    minimum: int = 100
    """Check-ins a minute that must be usual for the minute to be judged at all."""
    abnormal_percent: float = 10.0
    """A shortfall against what is usual, from which a minute is abnormal."""
    incident_percent: float = 30.0
    """A shortfall from which it is at the level of an incident."""


class Assessment(NamedTuple):
    """One minute against the same minute of earlier days."""

    expected: float | None
    """The median of earlier days; None without enough of them."""
    deviation: float | None
    """By how much the volume is above it (below: negative), in per cent; None where nothing is expected."""
    metric: Decision
    """NORMAL, ABNORMAL or INCIDENT, of this minute alone."""
    shortfall: float = 0.0
    """By how many per cent too few came, as it is held against the limits; 0 if the minute is not judged."""


class ClosedMinute(NamedTuple):
    """A minute that has been counted to its end, and the tick that it decides (the minute after it)."""

    tick: int
    volume: int
    assessment: Assessment
    event: TickEvent | None
    """None: the tick is NORMAL, and nothing was pending before it."""
    ended: int
    """The first minute after the system incident that is over now; NO_MINUTE: none is."""


class Anomaly(msgspec.Struct, array_like=True):
    """Where the state machine of `decide` stands."""

    decision: int = Decision.NORMAL
    calm: int = 0
    """Ticks in a row whose metric was NORMAL, as far as the window."""
    recent: list[tuple[int, int, float]] = msgspec.field(default_factory=list)
    """Of the window, from its first bad tick on: tick, metric, shortfall."""
    pending_from: int = NO_MINUTE
    """The first tick that is pending; NO_MINUTE: none is."""
    incident_start: int = NO_MINUTE
    """The first minute of the system incident, while there is one."""


def decide(
    anomaly: Anomaly, tick: int, assessment: Assessment, rules: VolumeRules, is_clear: bool = False
) -> TickEvent | None:
    """Decide about a tick, and about pending ones before it; None if it is NORMAL and nothing is or was pending.

    `bad`: the metric is ABNORMAL or INCIDENT. `calm`: not bad, for a whole window of ticks.

                  (b) bad                      (c) the window is at the
          NORMAL ---------> ABNORMAL --+          level of an incident
      (a) |  ^ ^ <---------  |   ^     +------------------------------> INCIDENT --+ (g) bad
          +--+ |  (d) calm   +---+                                       |   ^  ^  |
               |              (e)                               (f) not  |   |  +--+
               |                                                   bad   v   | (h) bad
               +---------------------------------------------------  RECOVERING --+
                                      (i) calm                               ^    | (j)
                                                                             +----+
    (c) and (h) settle what is pending as INCIDENT, (d) and (i) as NORMAL.
    In (a) the newest tick stays pending until the next one: check-ins may have been lost from the middle of its
    minute on, which only the next one shows. Not if the tick `is_clear`: NORMAL, and nothing can follow.
    In (e) nothing stays pending for longer than the window: what has been for that long is not an incident.
    """
    window, metric = rules.window, assessment.metric
    is_bad = metric != Decision.NORMAL
    anomaly.calm = 0 if is_bad else min(anomaly.calm + 1, window)
    _remember(anomaly, tick, assessment, window)
    pending_from = anomaly.pending_from if anomaly.pending_from != NO_MINUTE else tick
    if anomaly.decision == Decision.NORMAL:
        if is_bad:
            return _leave_pending(anomaly, tick, Decision.ABNORMAL, pending_from)  # (b)
        if is_clear and anomaly.pending_from == NO_MINUTE:
            return None  # (a)
        return _leave_pending(anomaly, tick, Decision.NORMAL, tick + 1 if is_clear else tick)  # (a)
    if anomaly.decision == Decision.ABNORMAL:
        if _is_at_level(anomaly.recent, rules.incident_percent):
            anomaly.incident_start = pending_from - 1
            return _settle_as_incident(anomaly, tick)  # (c)
        if anomaly.calm >= window:
            return _leave_pending(anomaly, tick, Decision.NORMAL, tick)  # (d)
        return _leave_pending(anomaly, tick, Decision.ABNORMAL, max(pending_from, tick - window + 1))  # (e)
    if is_bad:
        return _settle_as_incident(anomaly, tick)  # (g), (h)
    if anomaly.decision == Decision.INCIDENT:
        anomaly.calm = 1  # (f)
    elif anomaly.calm >= window:
        anomaly.incident_start = NO_MINUTE
        return _leave_pending(anomaly, tick, Decision.NORMAL, tick)  # (i)
    return _leave_pending(anomaly, tick, Decision.RECOVERING, pending_from)  # (f), (j)


def _remember(anomaly: Anomaly, tick: int, assessment: Assessment, window: int) -> None:
    if assessment.metric == Decision.NORMAL and not anomaly.recent:
        return
    recent = [each for each in anomaly.recent if each[0] > tick - window]
    recent.append((tick, assessment.metric, assessment.shortfall))
    while recent and recent[0][1] == Decision.NORMAL:
        del recent[0]
    anomaly.recent = recent


def _is_at_level(recent: list[tuple[int, int, float]], incident_percent: float) -> bool:
    """Whether these ticks make an incident."""
    alarms = sum(metric == Decision.INCIDENT for _, metric, _ in recent)
    total = sum(shortfall for _, _, shortfall in recent)
    least = max(INCIDENT_MINUTES, len(recent)) * incident_percent
    return alarms >= INCIDENT_TICKS and total >= least


def _leave_pending(anomaly: Anomaly, tick: int, decision: Decision, pending_from: int) -> TickEvent:
    """Ticks from this one on stay pending; those before it are NORMAL."""
    anomaly.decision = decision
    anomaly.pending_from = pending_from if pending_from <= tick else NO_MINUTE
    return TickEvent(
        tick=Minute(tick),
        decision=decision,
        settled_until=Minute(pending_from - 1),
        verdict=Decision.NORMAL,
    )


def _settle_as_incident(anomaly: Anomaly, tick: int) -> TickEvent:
    anomaly.decision, anomaly.pending_from = Decision.INCIDENT, NO_MINUTE
    return TickEvent(
        tick=Minute(tick),
        decision=Decision.INCIDENT,
        settled_until=Minute(tick),
        verdict=Decision.INCIDENT,
        incident_start=Minute(anomaly.incident_start),
    )


class VolumeState(msgspec.Struct, array_like=True):
    """What a snapshot holds."""

    anomaly: Anomaly
    first_minute: int
    next_minute: int
    clear_until: int
    volumes: list[int]


class Volume:
    """The volumes of the last 30 days, and the decisions about them."""

    __slots__ = ("_anomaly", "_busiest", "_first_minute", "_rules", "_volumes", "clear_until", "next_minute")

    def __init__(self, rules: VolumeRules, state: VolumeState | None = None) -> None:
        self._rules = rules
        if state is None:
            state = VolumeState(Anomaly(), NO_MINUTE, NO_MINUTE, NO_MINUTE, [ABSENT] * _HISTORY_MINUTES)
        self._anomaly = state.anomaly
        self._first_minute = state.first_minute
        self.next_minute = state.next_minute
        """The minute that is closed next; NO_MINUTE before the first."""
        self.clear_until = state.clear_until
        """All ticks up to this one are NORMAL, whatever comes. It never goes back."""
        self._volumes = state.volumes
        self._busiest = [
            max(state.volumes[day * DAY_MINUTES : (day + 1) * DAY_MINUTES]) for day in range(HISTORY_DAYS)
        ]
        """By day: no minute of it had more. (What a system incident takes out does not matter here.)"""

    def state(self) -> VolumeState:
        """What a snapshot needs."""
        return VolumeState(
            self._anomaly, self._first_minute, self.next_minute, self.clear_until, self._volumes
        )

    def close_until(self, minute: int, counts: dict[int, int]) -> list[ClosedMinute]:
        """Close all minutes before this one, with how many check-ins each had; those without any had none."""
        if self.next_minute == NO_MINUTE:
            self._first_minute = self.next_minute = min(counts, default=minute)
            self.clear_until = self._clear()
        closed: list[ClosedMinute] = []
        for counted in sorted(counts):
            closed += self._close_empty(counted)
            closed.append(self._close(counts[counted]))
        return closed + self._close_empty(minute)

    def _close_empty(self, until: int) -> list[ClosedMinute]:
        """Close the minutes before this one, in which nothing came."""
        closed: list[ClosedMinute] = []
        if until - self.next_minute > _SKIPPED_DAYS * DAY_MINUTES:
            closed = [self._close(0) for _ in range(_HISTORY_MINUTES + DAY_MINUTES)]
            self._volumes = [0] * _HISTORY_MINUTES
            self._busiest = [0] * HISTORY_DAYS
            self.next_minute = until - _HISTORY_MINUTES
            self.clear_until = max(self.clear_until, self._clear())
        return closed + [self._close(0) for _ in range(self.next_minute, until)]

    def _clear(self) -> int:
        """The last tick that must be NORMAL: there are too few days to compare with, or too few check-ins in all of
        them. Only what is known now can be compared with in the coming day."""
        if self._anomaly.decision != Decision.NORMAL:
            return NO_MINUTE
        without_history = self._first_minute + LEAST_DAYS * DAY_MINUTES
        if max(self._busiest) < self._rules.minimum:
            return max(without_history, self.next_minute + DAY_MINUTES)
        return without_history

    def assess(self, minute: int, volume: int) -> Assessment:
        """Compare a minute with the same one of earlier days: of days of the same kind (Monday to Friday, or
        weekend, in UTC) if there are enough, else of all; then only a shortfall twice as large is one.

        The median is what is usual. A shortfall is one only beyond the lowest tenth of those days, but for the very
        lowest: they show how much is normal, and one bad day does not.
        """
        values, are_alike = self._comparable(minute)
        if len(values) < LEAST_DAYS:
            return Assessment(None, None, Decision.NORMAL)
        values.sort()
        half, odd = divmod(len(values), 2)
        expected = float(values[half]) if odd else (values[half - 1] + values[half]) / 2
        if not expected:
            return Assessment(expected, None, Decision.NORMAL)
        deviation = round(100 * (volume - expected) / expected, 1)
        low = values[max(1, len(values) // 10)]
        rules = self._rules
        if expected < rules.minimum:
            return Assessment(expected, deviation, Decision.NORMAL)
        metric = Decision.NORMAL
        shortfall = -deviation if are_alike else -deviation / UNLIKE_DAYS
        if volume < low - NOISE * sqrt(low):
            if shortfall >= rules.incident_percent:
                metric = Decision.INCIDENT
            elif shortfall >= rules.abnormal_percent:
                metric = Decision.ABNORMAL
        return Assessment(expected, deviation, metric, shortfall)

    def _comparable(self, minute: int) -> tuple[list[int], bool]:
        """The volumes to compare with, and whether they are of days of the same kind."""
        day, time = divmod(minute, DAY_MINUTES)
        by_slot = self._volumes[time::DAY_MINUTES]
        same = [volume for place in _alike(day) if (volume := by_slot[place]) != ABSENT]
        if len(same) >= LEAST_DAYS:
            return same, True
        return [volume for volume in by_slot if volume != ABSENT], False

    def _close(self, volume: int) -> ClosedMinute:
        minute, is_clear = self.next_minute, self.next_minute < self.clear_until
        tick = self.next_minute = minute + 1
        anomaly = self._anomaly
        assessment = self.assess(minute, volume)
        self._set(minute, volume)
        day = minute // DAY_MINUTES % HISTORY_DAYS
        if minute % DAY_MINUTES == 0:
            self._busiest[day] = 0
        self._busiest[day] = max(self._busiest[day], volume)
        pending_from, before = anomaly.pending_from, anomaly.decision
        event = decide(anomaly, tick, assessment, self._rules, is_clear)
        if event is not None and event.decision == Decision.INCIDENT:
            first = pending_from if pending_from != NO_MINUTE else tick
            for bad in range(first - 1, tick):
                self._set(bad, ABSENT)
        self.clear_until = max(self.clear_until, self._clear())
        is_over = before == Decision.RECOVERING and anomaly.decision == Decision.NORMAL
        return ClosedMinute(tick, volume, assessment, event, pending_from - 1 if is_over else NO_MINUTE)

    def _set(self, minute: int, volume: int) -> None:
        self._volumes[minute % _HISTORY_MINUTES] = volume


@lru_cache(maxsize=64)
def _alike(day: int) -> tuple[int, ...]:
    """The places of the earlier days of the same kind."""
    kind = _is_weekend(day)
    return tuple(
        earlier % HISTORY_DAYS for earlier in range(day - HISTORY_DAYS, day) if _is_weekend(earlier) == kind
    )


def _is_weekend(day: int) -> bool:
    """Whether a day since the epoch (a Thursday) is a Saturday or Sunday."""
    return (day + 3) % 7 >= 5
