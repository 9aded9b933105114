"""What a snapshot of the transition step holds, and how its monitors get into it."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from dataflow.monitors.config import MonitorConfig
from dataflow.monitors.decisions import Decisions, TickEvent
from dataflow.monitors.environment import Environment
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
_encode = msgspec.msgpack.encode
_Saved = tuple[int, str, str, bool, bool, Raw, dict[str, Environment], int, str | None]
"""A MonitorState as a tuple, which costs a fifth, with its config encoded."""


class TransitionState(msgspec.Struct, array_like=True):
    """A key group of the step. Version 1 had only the first two; from version 3 on monitors are in blocks; from version
    4 on environments hold fingerprints of guids."""

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


SNAPSHOTS = SnapshotCodec("transition", 4, TransitionState)


ENCODED_AT_ONCE = 256
"""So many monitors that have changed are encoded before the end of the epoch: some two milliseconds of work."""
_CONFIGS_KEPT = 65_536


class SavedMonitors:
    """The blocks of a key group's monitors, kept up with them from snapshot to snapshot.

    The engine asks all key groups for their snapshots one after the other, and nothing else happens meanwhile. So most
    of what changes is encoded before that, a piece now and then: at the end of an epoch only the rest is left.
    """

    def __init__(self) -> None:
        self._blocks: Blocks[Key] = Blocks()
        self._ahead = 0
        """Monitors that were encoded since the last snapshot."""
        self._configs: dict[int, tuple[MonitorConfig, Raw]] = {}
        """By identity: most monitors share theirs with others."""

    def restore(self, state: TransitionState) -> list[MonitorState]:
        """The monitors of a snapshot, of this or an earlier version."""
        in_blocks: list[MonitorState] = restored_blocks(
            SNAPSHOTS, self._blocks, state.blocks, _decode_block, _key_of
        )
        return state.monitors + in_blocks

    def blocks(self, monitors: dict[Key, Monitor], noted: list[Monitor]) -> list[bytes]:
        """The blocks as of now; `noted` are the monitors that have changed since they were last encoded."""
        self._ahead = 0
        return self._update(monitors, noted)

    def are_due(self, noted: int, monitors: int) -> bool:
        """Whether those that have changed are to be encoded before the epoch ends.

        No more than there are, in each epoch: where a monitor changes again and again, as in a backlog, that would be
        for nothing.
        """
        return noted >= ENCODED_AT_ONCE and self._ahead < monitors

    def encode_ahead(self, monitors: dict[Key, Monitor], noted: list[Monitor]) -> None:
        """Encode monitors that have changed; they may change again."""
        self._ahead += len(noted)
        self._update(monitors, noted)

    def _update(self, monitors: dict[Key, Monitor], noted: list[Monitor]) -> list[bytes]:
        def find(key: Key) -> _Saved | None:
            monitor = monitors.get(key)
            return self._saved(monitor) if monitor is not None else None

        def everything() -> list[_Saved]:
            return [self._saved(monitor) for monitor in monitors.values()]

        changed = dict.fromkeys(monitor.key for monitor in noted)
        return self._blocks.update(changed, len(monitors), find, everything)

    def _saved(self, monitor: Monitor) -> _Saved:
        """What MonitorState says of it, field by field."""
        first, config = monitor.first, monitor.config
        environments: dict[str, Environment] = {} if first is None else {first.name: first}
        if monitor.others is not None:
            environments |= monitor.others
        known = self._configs.get(id(config))
        if known is None:
            if len(self._configs) >= _CONFIGS_KEPT:
                self._configs.clear()
            known = self._configs[id(config)] = config, Raw(_encode(config))
        return (
            monitor.project_id,
            monitor.slug,
            monitor.name,
            monitor.is_disabled,
            monitor.is_muted,
            known[1],
            environments,
            monitor.organization_id,
            monitor.owner,
        )


def _key_of(saved: MonitorState) -> Key:
    return saved.project_id, saved.slug
