"""What a snapshot of the sample step holds, and how what waits gets into it."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from dataflow.monitors.check_in import NO_MINUTE
from dataflow.sampling.sampler import Place, Sampler, Waiting, place_of
from dataflow.sampling.sampling_rules import RulesState
from dataflow.steps.key_group import restored_blocks
from dataflow.steps.saved_entries import SavedEntries
from dataflow.steps.snapshot_blocks import BlockStore, Saved
from dataflow.stream.codecs import SnapshotCodec, block_decoder

BLOCK = tuple[list[Place], list[Waiting]]
_decode_block = block_decoder(BLOCK)


class SampleState(msgspec.Struct, array_like=True):
    """What a snapshot of the step holds. In version 1 all that waited was here."""

    minute: int = NO_MINUTE
    rules: dict[int, RulesState] = {}
    waiting: list[Waiting] = []
    blocks: list[bytes] = []
    kept: list[str] = []
    """The blocks before these, which are kept elsewhere, by their names."""


SNAPSHOTS = SnapshotCodec("sample", 2, SampleState)


class SavedWaiting(SavedEntries[Place]):
    """The blocks of what waits for the watermark: where many monitors are made within a minute, or any check-in may be
    kept, that is most of what the step has."""

    def __init__(self, rules: Sampler, store: BlockStore | None) -> None:
        super().__init__(store)
        self._rules = rules

    def restore(self, state: SampleState) -> list[Waiting]:
        """What waits as a snapshot's blocks say, in no order to rely on. Raises LastingError."""
        saved = Saved(state.kept, state.blocks)
        return restored_blocks(SNAPSHOTS, self._blocks, saved, _decode_block, place_of)

    def count(self) -> int:
        """How much waits."""
        return len(self._rules.waiting)

    def count_changed(self) -> int:
        """How much began to wait, or waits no longer."""
        return self._rules.count_changed()

    def take_changed(self) -> list[Place]:
        """The places of that."""
        return self._rules.take_changed()

    def keys(self) -> Collection[Place]:
        """The places of all that waits."""
        return self._rules.waiting.keys()

    def find(self, key: Place) -> Waiting | None:
        """What waits of this place; None if nothing does."""
        return self._rules.waiting.get(key)
