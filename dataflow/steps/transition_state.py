"""What a snapshot of the transition step holds, and how its monitors get into it."""

from __future__ import annotations

import msgspec

from dataflow.monitors.decisions import Decisions, TickEvent
from dataflow.monitors.group_state import GroupState
from dataflow.monitors.journal import Loss
from dataflow.monitors.monitor import Key, Monitor, MonitorState
from dataflow.monitors.times import NO_MINUTE, Minute
from dataflow.monitors.waiting import Begun, WaitingState
from dataflow.steps.key_group import restored_blocks
from dataflow.steps.snapshot_blocks import Blocks
from dataflow.stream.codecs import SnapshotCodec, block_decoder

BLOCK = tuple[list[Key], list[MonitorState]]
_decode_block = block_decoder(BLOCK)


class TransitionState(msgspec.Struct, array_like=True):
    """A key group of the step. Version 1 had only the first two; from version 3 on monitors are in blocks."""

    clock_minute: Minute
    monitors: list[MonitorState]
    ticks_minute: Minute = NO_MINUTE
    decisions: Decisions | None = None
    events: list[TickEvent] = []
    waiting: WaitingState = []
    losses: dict[Minute, Loss] = {}
    blocks: list[bytes] = []
    begun: Begun = []

    @classmethod
    def of(cls, group: GroupState, blocks: list[bytes]) -> TransitionState:
        """What a group holds now, its monitors in blocks."""
        return cls(
            clock_minute=group.clock_minute,
            monitors=[],
            ticks_minute=group.ticks_minute,
            decisions=group.decisions,
            events=group.events,
            waiting=group.waiting,
            losses=group.losses,
            blocks=blocks,
            begun=group.begun,
        )

    def group(self) -> GroupState:
        """What the group goes on with."""
        return GroupState(
            clock_minute=self.clock_minute,
            ticks_minute=self.ticks_minute,
            decisions=self.decisions,
            events=self.events,
            waiting=self.waiting,
            losses=self.losses,
            begun=self.begun,
        )


SNAPSHOTS = SnapshotCodec("transition", 3, TransitionState)


class SavedMonitors:
    """The blocks of a key group's monitors, kept up with them from snapshot to snapshot."""

    def __init__(self) -> None:
        self._blocks: Blocks[Key] = Blocks()

    def restore(self, state: TransitionState) -> list[MonitorState]:
        """The monitors of a snapshot, of this or an earlier version."""
        in_blocks: list[MonitorState] = restored_blocks(
            SNAPSHOTS, self._blocks, state.blocks, _decode_block, _key_of
        )
        return state.monitors + in_blocks

    def blocks(self, monitors: dict[Key, Monitor], noted: list[Monitor]) -> list[bytes]:
        """The blocks as of now; `noted` are the monitors that have changed since they were last asked for."""

        def find(key: Key) -> MonitorState | None:
            monitor = monitors.get(key)
            return monitor.state() if monitor is not None else None

        def everything() -> list[MonitorState]:
            return [monitor.state() for monitor in monitors.values()]

        changed = dict.fromkeys(monitor.key for monitor in noted)
        return self._blocks.update(changed, len(monitors), find, everything)


def _key_of(saved: MonitorState) -> Key:
    return saved.project_id, saved.slug
