"""Volume: whether each tick can be trusted. One key, as it takes the check-ins of all partitions together."""

from __future__ import annotations

import msgspec

from dataflow.monitors.check_in import NO_MINUTE
from dataflow.monitors.volume import VolumeRules, VolumeState
from dataflow.monitors.volume_judge import SystemIncident, VolumeJudge, VolumeJudgeState
from dataflow.steps.key_group import KeyGroup, restored
from dataflow.stream.codecs import SnapshotCodec
from dataflow.stream.ends import Ends
from dataflow.stream.items import Message, Records, Ticks, Volumes
from dataflow.stream.key_groups import group_keys
from dataflow.stream.watermark import Watermark
from dataflow.wire.system_incidents import system_incident_message
from state.schema.catalogue import by_table
from state.schema.tables.volume import ClockTickRow

Output = Ticks | Records | Message


class JudgeState(msgspec.Struct, array_like=True):
    """What a snapshot of the step holds."""

    watermark: tuple[int, dict[str, int]]
    counts: dict[int, int]
    volume: VolumeState
    pending: list[ClockTickRow]
    incident: SystemIncident | None


class Judge(KeyGroup[Volumes, Output]):
    """Decides about ticks, and sends the decisions to every key group of monitors.

    A minute is judged when all gate groups have counted it to its end; the watermark of the ticks is that of the
    counts.
    """

    CODEC = SnapshotCodec("volume", 1, JudgeState)

    def __init__(
        self, gate_groups: int, key_groups: int, rules: VolumeRules | None, snapshot: bytes | None
    ) -> None:
        self._key_groups = key_groups
        state = restored(self.CODEC, snapshot)
        self._watermark = Watermark(group_keys(gate_groups), state.watermark if state is not None else None)
        self._ends = Ends(range(gate_groups))
        saved = None
        if state is not None:
            saved = VolumeJudgeState(state.counts, state.volume, state.pending, state.incident)
        self._rules = VolumeJudge(rules, saved)

    def state(self) -> JudgeState:
        """What a snapshot holds."""
        return JudgeState(self._watermark.state(), *msgspec.structs.astuple(self._rules.state()))

    def apply(self, chunks: list[Volumes]) -> list[Output]:
        """Take counts, and judge the minutes that all groups have closed."""
        advanced = is_last = False
        for chunk in chunks:
            self._rules.count(chunk.counts)
            advanced |= self._watermark.advance(chunk.origin, chunk.clock_minute)
            if chunk.is_last:
                is_last |= self._ends.take(chunk.origin)
        return (self._judged() if advanced else []) + (self._last() if is_last else [])

    def _last(self) -> list[Output]:
        """To every key group: nothing more is decided."""
        return [Ticks(group, [], NO_MINUTE, NO_MINUTE, True) for group in range(self._key_groups)]

    def _judged(self) -> list[Output]:
        until = self._watermark.minute
        judged = self._rules.close_until(until)
        out: list[Output] = [
            Ticks(group, judged.events, until, judged.clear_until) for group in range(self._key_groups)
        ]
        messages = [system_incident_message(incident) for incident in judged.incidents]
        out += [message for message, _ in messages]
        spans = [incident.row() for incident in judged.incidents]
        if rows := by_table(judged.ticks, spans, [row for _, row in messages]):
            out.append(Records(0, rows))
        return out
