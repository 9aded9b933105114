"""What a snapshot of the gate holds, and how members and counts get into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import itemgetter

import msgspec
from msgspec import Raw

from dataflow.monitors.admission import Admission, MemberKey, SavedMember
from dataflow.monitors.check_in import NO_MINUTE
from dataflow.monitors.event_order import OrderState
from dataflow.monitors.organization import OrganizationState
from dataflow.monitors.rate_limit import RateLimit, SavedCount, SavedCounts
from dataflow.steps.key_group import restored_blocks
from dataflow.steps.saved_configs import SavedConfigs
from dataflow.steps.saved_entries import SavedEntries
from dataflow.steps.snapshot_blocks import Blocks, BlockStore, FreeKeys, Saved, keys_of
from dataflow.stream.codecs import SnapshotCodec, block_decoder
from dataflow.stream.items import BlockWrite

BLOCK = tuple[list[MemberKey], list[SavedMember]]
_PackedMember = tuple[int, int, str, int, Raw]
"""A SavedMember whose config has not been read yet."""
_decode_block = block_decoder(tuple[list[MemberKey], list[_PackedMember]])
_key_of: Callable[[_PackedMember], MemberKey] = itemgetter(0, 1, 2)
"""Not written out: a start calls it for every member."""
CountKey = tuple[int, str, str]
"""Project id, slug, environment."""
COUNTS = tuple[list[CountKey], list[SavedCount]]
_decode_counts = block_decoder(COUNTS)
COUNTS_AT_ONCE = 2_048
"""So many counts that have changed are encoded before the end of the epoch: a millisecond or two."""
_MOST_AHEAD = 100_000
"""No more than these in an epoch."""


class GateState(msgspec.Struct, array_like=True):
    """What a snapshot of the gate holds. In version 1 the members were in their organizations, in version 2 all
    blocks of them were here."""

    watermark: tuple[int, dict[str, int]]
    organizations: dict[int, OrganizationState]
    counts: SavedCounts
    volumes: dict[int, int] = msgspec.field(default_factory=dict)
    members: list[bytes] = msgspec.field(default_factory=list)
    order: OrderState | None = None
    """None: the inputs were not put in order."""
    kept: list[str] = []
    """The blocks of members before these, which are kept elsewhere, by their names."""
    rates: dict[int, Saved] = {}
    """From version 3 on, instead of `counts`: by minute, names of blocks and blocks."""


SNAPSHOTS = SnapshotCodec("gate", 3, GateState)
NEW = GateState((NO_MINUTE, {}), {}, {})
"""Of a gate that has no snapshot."""


class SavedMembers(SavedEntries[MemberKey]):
    """The blocks of the members of all organizations."""

    def __init__(self, rules: Admission, store: BlockStore | None) -> None:
        super().__init__(store)
        self._rules = rules

    def restore(self, state: GateState) -> Iterator[SavedMember]:
        """The members of a snapshot."""
        packed: list[_PackedMember] = restored_blocks(
            SNAPSHOTS, self._blocks, Saved(state.kept, state.members), _decode_block, _key_of
        )
        configs = SavedConfigs()
        for organization_id, project_id, slug, holder, config in packed:
            yield organization_id, project_id, slug, holder, configs.of_any(config)

    def count(self) -> int:
        """How many members there are."""
        return self._rules.count_members()

    def count_changed(self) -> int:
        """How many may have changed."""
        return self._rules.count_changed()

    def take_changed(self) -> list[MemberKey]:
        """The keys of those that have."""
        return self._rules.take_changed()

    def keys(self) -> list[MemberKey]:
        """The keys of all."""
        return self._rules.member_keys()

    def find(self, key: MemberKey) -> SavedMember | None:
        """A member as it is saved; None if it is not there."""
        return self._rules.saved_member(key)


class SavedRates:
    """The rate limit's counts as snapshots hold them: blocks for each minute, each of what has changed since the one
    before.

    Of many monitors, all counts of the last minutes would be most of what a snapshot costs.
    """

    def __init__(self, store: BlockStore | None) -> None:
        self._store = store
        self._minutes: dict[int, Blocks[CountKey]] = {}
        self._gone: list[tuple[int, Blocks[CountKey]]] = []
        """Minutes that are not counted any more, until their blocks are thrown away."""
        self._free = FreeKeys()
        self._is_swept = store is None
        self._restored: set[str] = set()
        """Keys of the blocks that the snapshot names which the flow went on from."""
        self._ahead: dict[int, int] = {}
        """Counts that were encoded since the last snapshot, by minute."""
        self._wasted = 0
        """So many of those were of minutes that are not counted any more: this is a backlog."""

    def restore(self, state: GateState) -> SavedCounts:
        """The counts of a snapshot, of this or an earlier version."""
        counts = dict(state.counts)
        for minute, saved in state.rates.items():
            self._restored |= keys_of(saved.names)
            blocks = self._minutes[minute] = self._new()
            counts[minute] = restored_blocks(
                SNAPSHOTS, blocks, saved, _decode_counts, lambda count: count[:3]
            )
        return counts

    def work(self, limit: RateLimit) -> None:
        """Encode what has changed, if there is enough of it."""
        if self._wasted >= COUNTS_AT_ONCE or sum(self._ahead.values()) >= _MOST_AHEAD:
            return
        if limit.count_fresh() >= COUNTS_AT_ONCE:
            self._take(limit)

    def saved(self, limit: RateLimit) -> dict[int, Saved]:
        """The counts as of now. Called once at the end of an epoch."""
        self._take(limit)
        self._ahead, self._wasted = {}, 0
        for _, blocks in self._gone:
            blocks.saved()
        self._gone = [each for each in self._gone if not each[1].is_empty]
        return {minute: blocks.saved() for minute, blocks in self._minutes.items()}

    def hand_over(self, place: str) -> list[BlockWrite]:
        """The blocks that go to keys of their own, and those that are needed no longer."""
        writes: list[BlockWrite] = []
        if not self._is_swept:
            assert self._store is not None
            self._is_swept = True
            writes = [BlockWrite(key) for key in self._store.keys(place) if key not in self._restored]
        for _, blocks in (*self._gone, *self._minutes.items()):
            writes += blocks.hand_over(place)
        return writes

    def _take(self, limit: RateLimit) -> None:
        for minute in limit.take_forgotten():
            if (blocks := self._minutes.pop(minute, None)) is not None:
                blocks.begin()
                blocks.finish()
                self._gone.append((minute, blocks))
            self._wasted += self._ahead.pop(minute, 0)
        for minute, counts in limit.take_fresh().items():
            if minute not in self._minutes:
                self._minutes[minute] = self._new()
            self._minutes[minute].rewrite(counts)
            self._ahead[minute] = self._ahead.get(minute, 0) + len(counts)

    def _new(self) -> Blocks[CountKey]:
        return Blocks(self._store, sweeps=False, free=self._free)
