"""What a snapshot of the transition step holds, and how its monitors get into it."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, cast

import msgspec
from msgspec import Raw

from dataflow.monitors.config import MonitorConfig, shared
from dataflow.monitors.decisions import Decisions, TickEvent
from dataflow.monitors.environment import AS_BEFORE, Environment
from dataflow.monitors.group_state import GroupState
from dataflow.monitors.journal import Loss
from dataflow.monitors.monitor import Key, Monitor, MonitorState
from dataflow.monitors.noted import Noted
from dataflow.monitors.silences import NOT_KNOWN
from dataflow.monitors.times import NO_MINUTE, Minute
from dataflow.monitors.waiting import Begun, WaitingState
from dataflow.process.exit import LastingError
from dataflow.steps.key_group import restored_blocks
from dataflow.steps.saved_configs import SavedConfigs
from dataflow.steps.snapshot_blocks import Blocks, BlockStore, Saved
from dataflow.stream.codecs import SnapshotCodec, block_decoder
from dataflow.stream.items import BlockWrite

BLOCK = tuple[list[Key], list[MonitorState]]


class _PackedMonitor(msgspec.Struct, array_like=True, gc=False):
    """A MonitorState whose config has not been read yet."""

    project_id: int
    slug: str
    name: str
    is_disabled: bool
    is_muted: bool
    config: Raw
    environments: dict[str, Environment]
    organization_id: int = NOT_KNOWN
    owner: str | None = None


_decode_block = block_decoder(tuple[list[Key], list[_PackedMonitor]])
_key_of: Callable[[_PackedMonitor], Key] = attrgetter("project_id", "slug")
"""Not written out: a start calls it for every monitor."""
_encode = msgspec.msgpack.encode
_Saved = tuple[int, str, str, bool, bool, Raw, dict[str, Environment], int, str | None]
"""A MonitorState as a tuple, which costs a fifth, with its config encoded."""


class TransitionState(msgspec.Struct, array_like=True):
    """A key group of the step. Version 1 had only the first two; from version 3 on monitors are in blocks; from version
    4 on environments hold fingerprints of guids, and from version 5 on later blocks leave out those that an earlier one
    has."""

    clock_minute: Minute
    monitors: list[MonitorState]
    ticks_minute: Minute = NO_MINUTE
    decisions: Decisions | None = None
    events: list[TickEvent] = []
    waiting: WaitingState = []
    losses: dict[Minute, Loss] = {}
    blocks: list[bytes] = []
    begun: Begun = []
    kept: list[str] = []
    """The blocks before these, which are kept elsewhere, by their names."""
    whole_bytes: int = 0
    """How large the blocks were when all was written last."""

    @classmethod
    def of(cls, group: GroupState, saved: Saved, whole_bytes: int = 0) -> TransitionState:
        """What a group holds now, its monitors in blocks."""
        return cls(
            clock_minute=group.clock_minute,
            monitors=[],
            ticks_minute=group.ticks_minute,
            decisions=group.decisions,
            events=group.events,
            waiting=group.waiting,
            losses=group.losses,
            blocks=saved.blocks,
            begun=group.begun,
            kept=saved.names,
            whole_bytes=whole_bytes,
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


SNAPSHOTS = SnapshotCodec("transition", 5, TransitionState)


ENCODED_AT_ONCE = 256
"""So many monitors that have changed are encoded before the end of the epoch: some two milliseconds of work."""
REWRITTEN_AT_ONCE = 128
"""So many monitors are written again in one piece."""
_LEAST_BYTES = 16_384
"""Blocks are not written again for less than this."""
_OUTDATED_TIMES = 2
_OUTDATED_MORE = 8_000
"""A start reads at most so many times the monitors that there are, and so many more, of outdated entries."""
_STAGGER = 8
_CONFIGS_KEPT = 65_536


class SavedMonitors:
    """The blocks of a key group's monitors, kept up with them from snapshot to snapshot.

    The engine asks all key groups for their snapshots one after the other, and nothing else happens meanwhile. So most
    of what changes is encoded before that, a piece now and then: at the end of an epoch only the rest is left. In the
    same way all is written again, piece by piece, when what is outdated takes as much room as what is not.
    """

    def __init__(self, store: BlockStore | None = None) -> None:
        self._blocks: Blocks[Key] = Blocks(store)
        self._ahead = 0
        """Monitors that were encoded since the last snapshot."""
        self._whole_bytes = 0
        self._shortened: list[tuple[Environment, bytes]] = []
        """Environments that are being encoded without their fingerprints, and these."""
        self._configs: dict[int, tuple[MonitorConfig, Raw]] = {}
        """By identity: most monitors share theirs with others."""

    def restore(self, state: TransitionState) -> list[MonitorState]:
        """The monitors of a snapshot, of this or an earlier version."""
        packed: list[Any] = restored_blocks(
            SNAPSHOTS, self._blocks, Saved(state.kept, state.blocks), _decode_block, _key_of, _joined
        )
        configs = SavedConfigs()
        for saved in packed:
            for environment in saved.environments.values():
                if not environment.is_whole:
                    error = ValueError(
                        f"monitor {saved.slug} of project {saved.project_id} is there in part only"
                    )
                    raise LastingError(str(SNAPSHOTS.unreadable(error)))
            saved.config = configs.of(saved.config)  # from here on it is a MonitorState
        self._whole_bytes = state.whole_bytes
        for monitor in state.monitors:
            monitor.config = shared(monitor.config)
        return state.monitors + cast("list[MonitorState]", packed)

    def state(self, group: GroupState, monitors: dict[Key, Monitor], noted: list[Monitor]) -> TransitionState:
        """A snapshot as of now; `noted` are the monitors that have changed since they were last encoded."""
        self._ahead = 0
        self._update(monitors, noted)
        if len(noted) > ENCODED_AT_ONCE and self._blocks.is_rewriting:
            self._rewrite(monitors, len(noted))
        return TransitionState.of(group, self._blocks.saved(), self._whole_bytes)

    def hand_over(self, place: str) -> list[BlockWrite]:
        """The blocks that go to keys of their own, and those that are needed no longer."""
        return self._blocks.hand_over(place)

    def work(self, monitors: dict[Key, Monitor], noted: Noted) -> None:
        """Do a piece of what the next snapshot would have to do otherwise, if there is enough of it."""
        encoded = 0
        if self.are_due(len(noted), len(monitors)):
            encoded = len(noted)
            self.encode_ahead(monitors, noted.take())
        if self._blocks.is_rewriting or self._is_outdated(len(monitors)):
            self._rewrite(monitors, max(REWRITTEN_AT_ONCE, encoded))

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

    def _is_outdated(self, count: int) -> bool:
        """Whether all is to be written again. The bounds differ from group to group, so that they do not all do it in
        the same epoch."""
        blocks = self._blocks
        if not blocks.first_bytes:
            return False
        stagger = 1 + blocks.first_bytes % _STAGGER / _STAGGER
        outdated_bytes = blocks.size_bytes - self._whole_bytes
        return (
            outdated_bytes > self._whole_bytes * stagger + _LEAST_BYTES
            or blocks.held > count * (_OUTDATED_TIMES + stagger) + _OUTDATED_MORE
        )

    def _rewrite(self, monitors: dict[Key, Monitor], at_most: int) -> None:
        """Write a piece of all again: no less than was encoded, so that it comes to an end."""
        if not self._blocks.is_rewriting:
            self._blocks.renew(monitors.keys())
            self._whole_bytes = 0

        def find(key: Key) -> _Saved | None:
            monitor = monitors.get(key)
            return self._saved(monitor, True) if monitor is not None else None

        self._whole_bytes += self._blocks.go_on(at_most, find)

    def _update(self, monitors: dict[Key, Monitor], noted: list[Monitor]) -> None:
        again = set(self._blocks.open_keys())  # whose block goes, and its fingerprints with it

        def find(key: Key) -> _Saved | None:
            monitor = monitors.get(key)
            return self._saved(monitor, key in again) if monitor is not None else None

        def everything() -> list[_Saved]:
            return [self._saved(monitor, True) for monitor in monitors.values()]

        changed = dict.fromkeys(monitor.key for monitor in noted)
        is_first = not self._blocks.first_bytes
        self._blocks.update(changed, len(monitors), find, everything)
        if is_first:
            self._whole_bytes = self._blocks.size_bytes
        for environment, prints in self._shortened:
            environment.finished_prints = prints
            environment.fold()
        self._shortened.clear()

    def _saved(self, monitor: Monitor, is_whole: bool) -> _Saved:
        """What MonitorState says of it, field by field."""
        first, config = monitor.first, monitor.config
        environments: dict[str, Environment] = {} if first is None else {first.name: first}
        if monitor.others is not None:
            environments |= monitor.others
        for environment in environments.values():
            if environment.is_saved and not is_whole:
                self._shortened.append((environment, environment.finished_prints))
                environment.finished_prints = AS_BEFORE
            else:
                environment.fold()
                environment.is_saved = True
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


def _joined(before: _PackedMonitor, saved: _PackedMonitor) -> _PackedMonitor:
    """A monitor as a later block says it is, with what that leaves to earlier ones."""
    for environment in saved.environments.values():
        environment.go_on_from(before.environments.get(environment.name))
    return saved
