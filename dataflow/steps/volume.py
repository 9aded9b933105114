"""Volume: whether each tick can be trusted. One key, as it takes the check-ins of all partitions together."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from dataflow.monitors.check_in import MINUTE_US, NO_MINUTE
from dataflow.monitors.decisions import ALL_NORMAL, DECISION_NAMES, Decision
from dataflow.monitors.volume import ClosedMinute, Volume, VolumeRules, VolumeState
from dataflow.steps.key_group import KeyGroup, read_snapshot
from dataflow.stream.items import Message, Records, Ticks, Volumes
from dataflow.stream.key_groups import group_keys
from dataflow.stream.watermark import Watermark
from dataflow.wire.system_incidents import SystemIncident, system_incident_message
from state.schema.catalogue import by_table
from state.schema.tables.runs import StatusChangeRow
from state.schema.tables.volume import ClockTickRow, SystemIncidentRow

Output = Ticks | Records | Message


class JudgeState(msgspec.Struct, array_like=True):
    """What a snapshot of the step holds."""

    watermark: tuple[int, dict[str, int]]
    counts: dict[int, int]
    volume: VolumeState
    pending: list[ClockTickRow]
    incident: SystemIncident | None


class Judge(KeyGroup[Volumes, Output]):
    """Decides about ticks, and tells every key group of monitors.

    A minute is judged when all gate groups have counted it to its end; the watermark of the ticks is that of the
    counts. Without rules every tick is NORMAL, and nothing is recorded.
    """

    def __init__(
        self, gate_groups: int, key_groups: int, rules: VolumeRules | None, snapshot: bytes | None
    ) -> None:
        self._key_groups = key_groups
        self._judges = rules is not None
        state = read_snapshot("volume", self.VERSION, snapshot, JudgeState) if snapshot is not None else None
        self._watermark = Watermark(group_keys(gate_groups), state.watermark if state is not None else None)
        self._counts = state.counts if state is not None else {}
        if rules is None:
            state = None  # what is not counted would look like a time without check-ins later
        self._volume = Volume(rules or VolumeRules(), state.volume if state is not None else None)
        self._pending: list[ClockTickRow] = state.pending if state is not None else []
        """The rows of pending ticks, to be written again once they are decided."""
        self._incident: SystemIncident | None = state.incident if state is not None else None

    def state(self) -> JudgeState:
        """What a snapshot holds."""
        return JudgeState(
            self._watermark.state(), self._counts, self._volume.state(), self._pending, self._incident
        )

    def apply(self, chunks: list[Volumes]) -> list[Output]:
        """Take counts, and judge the minutes that all groups have closed."""
        advanced = False
        for chunk in chunks:
            for minute, count in chunk.counts.items():
                self._counts[minute] = self._counts.get(minute, 0) + count
            advanced |= self._watermark.advance(chunk.origin, chunk.clock_minute)
        if not advanced:
            return []
        until = self._watermark.minute
        counts = {minute: self._counts.pop(minute) for minute in sorted(self._counts) if minute < until}
        if not self._judges:
            return self._ticks([], until, ALL_NORMAL)
        closed = self._volume.close_until(until, counts)
        out = self._ticks(closed, until, self._volume.clear_until)
        rows: list[ClockTickRow] = []
        spans: list[SystemIncidentRow] = []
        changes: list[StatusChangeRow] = []
        for each in closed:
            self._note(each, rows)
            self._follow(each, spans, changes, out)
        if filled := by_table(rows, spans, changes):
            out.append(Records(0, filled))
        return out

    def _ticks(self, closed: list[ClosedMinute], until: int, clear_until: int) -> list[Output]:
        events = [minute.event for minute in closed if minute.event is not None]
        return [Ticks(group, events, until, clear_until) for group in range(self._key_groups)]

    def _note(self, closed: ClosedMinute, rows: list[ClockTickRow]) -> None:
        """The tick's row, and anew those of the pending ticks that it settles."""
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

    def _follow(
        self,
        closed: ClosedMinute,
        spans: list[SystemIncidentRow],
        changes: list[StatusChangeRow],
        out: list[Output],
    ) -> None:
        """Tell of a system incident that begins or ends with this minute."""
        event = closed.event
        if event is not None and event.decision == Decision.INCIDENT and self._incident is None:
            incident = self._incident = SystemIncident(
                event.incident_start, closed.tick, closed.volume, closed.assessment.expected
            )
        elif closed.ended != NO_MINUTE and self._incident is not None:
            incident = self._incident
            incident.end_minute, incident.ended_tick = closed.ended, closed.tick
            self._incident = None
        else:
            return
        message, change = system_incident_message(incident)
        out.append(message)
        changes.append(change)
        spans.append(incident.row())
