"""What a snapshot of the gate holds, and how members and counts get into it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import msgspec
from msgspec import Raw

from dataflow.monitors.admission import Admission, MemberKey, SavedMember
from dataflow.monitors.check_in import NO_MINUTE
from dataflow.monitors.event_order import OrderState
from dataflow.monitors.organization import OrganizationState
from dataflow.monitors.rate_limit import RateLimit, SavedCounts
from dataflow.steps.key_group import restored_blocks
from dataflow.steps.saved_configs import SavedConfigs
from dataflow.steps.snapshot_blocks import Blocks, BlockStore, Saved
from dataflow.stream.codecs import SnapshotCodec, block_decoder
from dataflow.stream.items import BlockWrite

BLOCK = tuple[list[MemberKey], list[SavedMember]]
_PackedMember = tuple[int, int, str, int, Raw]
"""A SavedMember whose config has not been read yet."""
_decode_block = block_decoder(tuple[list[MemberKey], list[_PackedMember]])
_encode = msgspec.msgpack.encode


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


SNAPSHOTS = SnapshotCodec("gate", 3, GateState)
NEW = GateState((NO_MINUTE, {}), {}, {})
"""Of a gate that has no snapshot."""


class SavedMembers:
    """The blocks of the members of all organizations."""

    def __init__(self, store: BlockStore | None) -> None:
        self._blocks: Blocks[MemberKey] = Blocks(store)

    def restore(self, state: GateState) -> Iterator[SavedMember]:
        """The members of a snapshot."""
        packed: list[_PackedMember] = restored_blocks(
            SNAPSHOTS, self._blocks, Saved(state.kept, state.members), _decode_block, _key_of
        )
        configs = SavedConfigs()
        for *place, config in packed:
            yield cast("SavedMember", (*place, configs.of_any(config)))

    def blocks(self, rules: Admission) -> Saved:
        """The blocks as of now."""
        self._blocks.update(
            rules.take_changed(), rules.count_members(), rules.saved_member, rules.saved_members
        )
        return self._blocks.saved()

    def hand_over(self, place: str) -> list[BlockWrite]:
        """The blocks that go to keys of their own, and those that are needed no longer."""
        return self._blocks.hand_over(place)


class SavedRates:
    """The rate limit's counts as snapshots hold them.

    A minute in which nothing more has come is not encoded again: of many monitors, that would be most of what a
    snapshot costs.
    """

    def __init__(self) -> None:
        self._encoded: dict[int, tuple[int, Raw]] = {}
        """By minute: how many check-ins, and the counts."""

    def counts(self, limit: RateLimit) -> SavedCounts:
        """The counts as of now, encoded: the layout is that of SavedCounts."""
        known = self._encoded
        self._encoded = {
            minute: known[minute]
            if minute in known and known[minute][0] == total
            else (total, Raw(_encode(limit.minute_state(minute))))
            for minute, total in limit.totals().items()
        }
        return cast("SavedCounts", {minute: raw for minute, (_, raw) in self._encoded.items()})


def _key_of(saved: _PackedMember) -> MemberKey:
    return saved[:3]
