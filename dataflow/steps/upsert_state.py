"""What a snapshot of the upsert step holds, and how monitors get into it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from operator import attrgetter

import msgspec

from dataflow.monitors.registry import Key, KnownMonitor, Registry
from dataflow.steps.key_group import restored_blocks
from dataflow.steps.saved_entries import SavedEntries
from dataflow.steps.snapshot_blocks import BlockStore, Saved
from dataflow.stream.codecs import SnapshotCodec, block_decoder

BLOCK = tuple[list[Key], list[KnownMonitor]]
_decode_block = block_decoder(BLOCK)
_key_of: Callable[[KnownMonitor], Key] = attrgetter("project_id", "slug")
"""Not written out: a start calls it for every monitor."""


class UpsertState(msgspec.Struct, array_like=True):
    """What a snapshot of the step holds. In version 1 the monitors were not in blocks, in version 2 all blocks were
    here."""

    watermark: tuple[int, dict[str, int]]
    monitors: list[KnownMonitor]
    blocks: list[bytes] = []
    kept: list[str] = []
    """The blocks before these, which are kept elsewhere, by their names."""


SNAPSHOTS = SnapshotCodec("upsert", 3, UpsertState)


class SavedRegistry(SavedEntries[Key]):
    """The blocks of a key group's monitors."""

    def __init__(self, registry: Registry, store: BlockStore | None) -> None:
        super().__init__(store)
        self._registry = registry

    def restore(self, state: UpsertState) -> list[KnownMonitor]:
        """The monitors of a snapshot, of this or an earlier version. Raises LastingError."""
        saved = Saved(state.kept, state.blocks)
        return state.monitors + restored_blocks(SNAPSHOTS, self._blocks, saved, _decode_block, _key_of)

    def count(self) -> int:
        """How many monitors there are."""
        return len(self._registry.monitors)

    def count_changed(self) -> int:
        """How many may have changed."""
        return self._registry.count_changed()

    def take_changed(self) -> list[Key]:
        """The keys of those that may have."""
        return self._registry.take_changed()

    def keys(self) -> Collection[Key]:
        """The keys of all."""
        return self._registry.monitors.keys()

    def find(self, key: Key) -> KnownMonitor | None:
        """A monitor as it is saved, which is itself; None if it is not there."""
        return self._registry.monitors.get(key)
