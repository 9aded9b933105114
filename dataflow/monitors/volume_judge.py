"""Whether each tick can be trusted, of all partitions together: counts in, decisions and their rows out."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from dataflow.monitors import identity
from dataflow.monitors.check_in import MINUTE_US, NO_MINUTE
from dataflow.monitors.decisions import ALL_NORMAL, DECISION_NAMES, Decision, TickEvent
from dataflow.monitors.volume import ClosedMinute, Volume, VolumeRules, VolumeState
from state.schema.tables.volume import ClockTickRow, SystemIncidentRow


class SystemIncident(msgspec.Struct, array_like=True):
    """A stretch of minutes with far fewer check-ins than usual."""

    start_minute: int
    """The first minute that lacks check-ins."""
    detected_tick: int
    """When that was decided."""
    volume: int
    """Check-ins in the minute that decided it."""
    expected: float | None
    """How many are usual there."""
    end_minute: int = NO_MINUTE
    """The first minute that has as many as usual again; NO_MINUTE while it goes on."""
    ended_tick: int = NO_MINUTE
    """When that was decided."""

    @property
    def id(self) -> str:
        """32 hex digits, derived from its first minute."""
        return identity.system_incident_id(self.start_minute)

    def row(self) -> SystemIncidentRow:
        """The row of `system_incident_spans`."""
        return SystemIncidentRow(
            system_incident_id=self.id,
            start=self.start_minute * MINUTE_US,
            end=_time_us(self.end_minute),
            detected_at=self.detected_tick * MINUTE_US,
            ended_at=_time_us(self.ended_tick),
            volume=self.volume,
            expected=self.expected,
        )


class VolumeJudgeState(msgspec.Struct, array_like=True):
    """What a snapshot holds."""

    counts: dict[int, int]
    volume: VolumeState
    pending: list[ClockTickRow]
    incident: SystemIncident | None


class Judgement(NamedTuple):
    """What came of the minutes that are over."""

    events: list[TickEvent]
    """In order; ticks that are not named are NORMAL."""
    clear_until: int
    """Ticks up to this one will be NORMAL, whatever comes."""
    ticks: list[ClockTickRow]
    """Rows of `clock_ticks`."""
    incidents: list[SystemIncident]
    """Those that began or ended."""


class VolumeJudge:
    """Counts check-ins by minute, and decides about each tick once its minute is over.

    Without rules every tick is NORMAL, and nothing is recorded.
    """

    __slots__ = ("_counts", "_incident", "_judges", "_pending", "_volume")

    def __init__(self, rules: VolumeRules | None, state: VolumeJudgeState | None) -> None:
        self._judges = rules is not None
        self._counts = state.counts if state is not None else {}
        if rules is None:
            state = None  # what is not counted would look like a time without check-ins later
        self._volume = Volume(rules or VolumeRules(), state.volume if state is not None else None)
        self._pending: list[ClockTickRow] = state.pending if state is not None else []
        """The rows of pending ticks, to be written again once they are decided."""
        self._incident = state.incident if state is not None else None

    def state(self) -> VolumeJudgeState:
        """What a snapshot holds."""
        return VolumeJudgeState(self._counts, self._volume.state(), self._pending, self._incident)

    def count(self, counts: dict[int, int]) -> None:
        """Add to the counts by minute."""
        for minute, count in counts.items():
            self._counts[minute] = self._counts.get(minute, 0) + count

    def close_until(self, minute: int) -> Judgement:
        """Judge all minutes before this one: they have been counted to their ends."""
        counts = {each: self._counts.pop(each) for each in sorted(self._counts) if each < minute}
        if not self._judges:
            return Judgement([], ALL_NORMAL, [], [])
        closed = self._volume.close_until(minute, counts)
        events = [each.event for each in closed if each.event is not None]
        judgement = Judgement(events, self._volume.clear_until, [], [])
        for each in closed:
            self._note(each, judgement.ticks)
            if (incident := self._follow(each)) is not None:
                judgement.incidents.append(incident)
        return judgement

    def _note(self, closed: ClosedMinute, rows: list[ClockTickRow]) -> None:
        """The tick's row, and again those of the pending ticks that it settles."""
        event, assessment = closed.event, closed.assessment
        if event is None and not closed.volume and not assessment.expected:
            return  # a minute in which nothing was, nor is usually
        decision = Decision(event.decision) if event is not None else Decision.NORMAL
        at_us = closed.tick * MINUTE_US
        settled_us = event.settled_until * MINUTE_US if event is not None else at_us
        if self._pending and event is not None:
            name = DECISION_NAMES[event.verdict]
            rows += [
                replace(row, decision=name, decided_at=at_us)
                for row in self._pending
                if row.minute <= settled_us
            ]
            self._pending = [row for row in self._pending if row.minute > settled_us]
        is_pending = settled_us < at_us
        row = ClockTickRow(
            minute=at_us,
            volume=closed.volume,
            expected=assessment.expected,
            deviation=assessment.deviation,
            decision=DECISION_NAMES[decision],
            decided_at=None if is_pending else at_us,
        )
        rows.append(row)
        if is_pending:
            self._pending.append(row)

    def _follow(self, closed: ClosedMinute) -> SystemIncident | None:
        """The system incident that begins or ends with this minute."""
        event = closed.event
        if event is not None and event.decision == Decision.INCIDENT and self._incident is None:
            self._incident = SystemIncident(
                start_minute=event.incident_start,
                detected_tick=closed.tick,
                volume=closed.volume,
                expected=closed.assessment.expected,
            )
            return replace(self._incident)
        if closed.ended != NO_MINUTE and self._incident is not None:
            incident, self._incident = self._incident, None
            return replace(incident, end_minute=closed.ended, ended_tick=closed.tick)
        return None


def _time_us(minute: int) -> int | None:
    return minute * MINUTE_US if minute != NO_MINUTE else None
