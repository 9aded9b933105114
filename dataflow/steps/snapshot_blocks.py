"""What snapshots hold of a key group's many entries: compressed blocks, each encoded once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
import zstandard

Key = TypeVar("Key", bound=Hashable)
Entry = TypeVar("Entry")

SMALL_BLOCK = 128
"""The newest block takes up what changes next until it holds this many entries."""
_STAGGER = 8

Policy = Callable[[int, int, list[int], int], bool]
"""Whether all blocks are written again: asked with the number of entries that changed, of entries there are, the
blocks' sizes in bytes, and the number of entries in all blocks."""


def half_outdated(changed: int, count: int, sizes: list[int], held: int) -> bool:
    """When half as many entries are outdated as there are, or up to one and a half times as many.

    That differs from group to group, so that they do not all do it in the same epoch.
    """
    if 2 * changed >= count:
        return True
    stagger = sizes[0] % _STAGGER / _STAGGER  # any number that differs between groups will do
    return held + changed > count * (1.5 + stagger)


class _Block(NamedTuple, Generic[Key]):
    keys: list[Key]
    """Of its entries, as long as others may join them; not of the first block, nor of a large one."""
    data: bytes


class Blocks(Generic[Key]):
    """The blocks of one key group, the newest last: what that says of a key holds.

    To encode a whole group for every snapshot costs more than all that happens in between. So a block is encoded
    once, of what has changed since the snapshot before. All is written again when too much of the blocks is outdated.
    """

    policy: Policy = staticmethod(half_outdated)
    """When that is."""

    def __init__(self) -> None:
        self._blocks: list[_Block[Key]] = []
        self._held = 0
        """Entries in all blocks."""

    def restore(
        self, saved: Iterable[bytes], decode: Callable[[bytes], Any], key_of: Callable[[Entry], Key]
    ) -> list[Entry]:
        """Take over the blocks of a snapshot, and read them: the entries, in no order to rely on.

        `decode` makes of a block a pair: the keys that are gone, and the entries. Raises ValueError if they cannot be
        read.
        """
        decompress = zstandard.ZstdDecompressor().decompress
        entries: dict[Key, Entry] = {}
        for data in saved:
            try:
                gone, there = decode(decompress(data))
            except zstandard.ZstdError as error:
                raise ValueError(str(error)) from None
            changed = {key_of(entry): entry for entry in there}
            for key in gone:
                entries.pop(key, None)
            entries |= changed
            self._add([*gone, *changed], data)
        return list(entries.values())

    def update(
        self,
        changed: Collection[Key],
        count: int,
        find: Callable[[Key], Any],
        everything: Callable[[], list[Any]],
    ) -> list[bytes]:
        """The blocks after what has changed.

        `changed` are the keys of all entries that were made, changed or deleted since the last call, and maybe
        others. `count` is how many entries there are; `everything` gives them as they are encoded, and `find` one
        of them, or None if it is not there.
        """
        sizes = [len(block.data) for block in self._blocks]
        if not sizes or self.policy(len(changed), count, sizes, self._held):
            self._blocks, self._held = [], 0
            if count:
                self._blocks.append(_Block([], _encoded([], everything())))
                self._held = count
        elif changed:
            keys = list(changed)
            if self._blocks[-1].keys:
                last = self._blocks.pop()
                self._held -= len(last.keys)
                keys = list(dict.fromkeys([*last.keys, *keys]))
            found = [find(key) for key in keys]
            gone = [key for key, entry in zip(keys, found, strict=True) if entry is None]
            there = [entry for entry in found if entry is not None]
            self._add(keys, _encoded(gone, there))
        return [block.data for block in self._blocks]

    def _add(self, keys: list[Key], data: bytes) -> None:
        self._held += len(keys)
        may_grow = self._blocks and len(keys) < SMALL_BLOCK
        self._blocks.append(_Block(keys if may_grow else [], data))


def _encoded(gone: list[Any], entries: list[Any]) -> bytes:
    compressor = zstandard.ZstdCompressor(level=1)  # not to be shared: workers are threads
    return compressor.compress(msgspec.msgpack.encode((gone, entries)))
