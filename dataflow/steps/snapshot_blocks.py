"""What snapshots hold of a key group's many entries: compressed blocks, each encoded once, and written once.

The engine writes all that a key's snapshot holds, at the end of each epoch in which the key was asked. So a block
that stays as it is goes to a key of its own (`steps.kept_blocks`), and the snapshot only names it: what an epoch writes
goes by what has changed, not by what there is.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Hashable, Iterable
from hashlib import blake2b
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import msgspec
import zstandard

from dataflow.stream.items import BlockWrite

Key = TypeVar("Key", bound=Hashable)
Entry = TypeVar("Entry")

SMALL_BLOCK = 128
"""The newest block takes up what changes next until it holds this many entries."""
_DROPPED_AFTER = 3
"""Snapshots after which the key of a block that none of them names is free: by then the engine resumes from no earlier
one."""

_numbers = itertools.count()
"""Of keys: with that of the execution, none is made twice."""


class BlockStore(Protocol):
    """The blocks that a recovery store holds beside the snapshots, as of the start."""

    execution: int
    """Differs from start to start: no two make the same key."""

    def read(self, key: str) -> bytes:
        """A block. Raises ValueError if there is none under this key."""

    def keys(self, place: str) -> list[str]:
        """Those of one place."""

    def release(self) -> None:
        """All that is needed has been read."""


class _Block(NamedTuple, Generic[Key]):
    keys: list[Key]
    """Of its entries, as long as others may join them; not of the first block, nor of a large one."""
    entries: int
    size: int
    """In bytes."""
    data: bytes
    """Empty, if it has a name."""
    name: str = ""
    """The key that it is kept under, and its digest; empty: it is in the snapshot."""


class Saved(NamedTuple):
    """The blocks of a snapshot, in order: first those that are kept elsewhere."""

    names: list[str]
    blocks: list[bytes]


class FreeKeys:
    """Keys of one place that hold no block which is needed: the next blocks take them.

    They are not given up: of each key that is, the engine keeps a row for ever, and looks through all in each epoch.
    """

    def __init__(self) -> None:
        self._keys: list[str] = []

    def add(self, keys: list[str]) -> None:
        """These are free from now on."""
        self._keys += keys

    def take(self, place: str, execution: int) -> str:
        """One for a block."""
        return self._keys.pop() if self._keys else f"{place}/{execution}-{next(_numbers)}"

    def __contains__(self, key: str) -> bool:
        return key in self._keys


class Blocks(Generic[Key]):
    """The blocks of one key group, the newest last: what that says of a key holds.

    To encode a whole group for every snapshot costs more than all that happens in between. So a block is encoded
    once, of what has changed since the snapshot before. When too much of the blocks is outdated, all is written again,
    in pieces.
    """

    def __init__(
        self, store: BlockStore | None = None, sweeps: bool = True, free: FreeKeys | None = None
    ) -> None:
        """`store`: where blocks can be kept beside the snapshots; None: nowhere. `sweeps`: after a start, throw away
        what was handed over and had not come into a snapshot. `free`: shared with others of the same place."""
        self._store = store
        self._blocks: list[_Block[Key]] = []
        self._named = 0
        """So many of them, the first ones, are kept elsewhere."""
        self.held = 0
        """Entries in all blocks."""
        self.size_bytes = 0
        """Of all blocks."""
        self._dropped: list[tuple[int, str]] = []
        """As of which snapshot a kept block is needed no longer, and its name."""
        self._free = FreeKeys() if free is None else free
        self._snapshots = 0
        self._rewritten_from = -1
        """While all is written again in pieces, the first of the new blocks; -1: it is not."""
        self._left: list[Key] = []
        """What is left to be written again, from the end on."""
        self._is_swept = store is None or not sweeps
        self._restored: set[str] = set()
        """Keys of the blocks that the snapshot names which the flow went on from."""

    @property
    def first_bytes(self) -> int:
        """The size of the oldest block; 0: there is none."""
        return self._blocks[0].size if self._blocks else 0

    @property
    def is_empty(self) -> bool:
        """Whether there are no blocks, nor any that are to be thrown away."""
        return not self._blocks and not self._dropped

    @property
    def names(self) -> list[str]:
        """Those of the blocks that are kept elsewhere."""
        return [block.name for block in self._blocks[: self._named]]

    @property
    def is_rewriting(self) -> bool:
        """Whether all is being written again in pieces."""
        return self._rewritten_from >= 0

    def restore(
        self,
        saved: Saved,
        decode: Callable[[bytes], Any],
        key_of: Callable[[Entry], Key],
        join: Callable[[Entry, Entry], Entry] | None = None,
    ) -> list[Entry]:
        """Take over the blocks of a snapshot, and read them: the entries, in no order to rely on.

        `decode` makes of a block a pair: the keys that are gone, and the entries. `join` makes one of what earlier
        blocks say of a key, and a later one; None: the later one holds. No block has a key twice. Raises ValueError if
        they cannot be read.
        """
        decompress = zstandard.ZstdDecompressor().decompress
        self._restored = keys_of(saved.names)
        entries: dict[Key, Entry] = {}
        for name, data in [
            *((name, self._read(name)) for name in saved.names),
            *(("", each) for each in saved.blocks),
        ]:
            try:
                gone, there = decode(decompress(data))
            except zstandard.ZstdError as error:
                raise ValueError(str(error)) from None
            for key in gone:
                entries.pop(key, None)
            keys = list(map(key_of, there))
            if join is not None and not entries.keys().isdisjoint(keys):
                there = [
                    entry if (before := entries.get(key)) is None else join(before, entry)
                    for key, entry in zip(keys, there, strict=True)
                ]
            entries.update(zip(keys, there, strict=True))
            self._add([*gone, *keys], data, name)
        return list(entries.values())

    def _read(self, name: str) -> bytes:
        if self._store is None:
            raise ValueError(f"it names a block, {name}, and no recovery store is known")
        data = self._store.read(key_of(name))
        if _digest_in(name) != _digest(data):
            raise ValueError(f"block {name} is damaged")
        return data

    def open_keys(self) -> list[Key]:
        """The keys of the newest block, if it takes up what changes next: they are encoded again then."""
        return self._blocks[-1].keys if self._blocks else []

    def update(
        self,
        changed: Collection[Key],
        count: int,
        find: Callable[[Key], Any],
        everything: Callable[[], list[Any]],
    ) -> None:
        """Take up what has changed.

        `changed` are the keys of all entries that were made, changed or deleted since the last call, and maybe
        others. `count` is how many entries there are; `everything` gives them as they are encoded, and `find` one
        of them, or None if it is not there.
        """
        if not self._blocks:
            self.begin()
            if count:
                self.rewrite(everything())
            self.finish()
        elif changed:
            keys = list(changed)
            if open_keys := self.open_keys():
                self._note(self._blocks.pop(), -1)
                keys = list(dict.fromkeys([*open_keys, *keys]))
            found = [find(key) for key in keys]
            gone = [key for key, entry in zip(keys, found, strict=True) if entry is None]
            there = [entry for entry in found if entry is not None]
            self._add(keys, _encoded(gone, there))

    def renew(self, keys: Collection[Key]) -> None:
        """Begin to write all entries again, which have these keys: `go_on` until that is done. What changes meanwhile
        is taken up as ever."""
        self.begin()
        self._left = list(keys)[::-1]

    def go_on(self, at_most: int, find: Callable[[Key], Any]) -> int:
        """Write so many entries again, and the bytes that they take. `find` gives an entry as it is encoded, whole, or
        None if it is gone."""
        piece = self._left[: -at_most - 1 : -1]
        del self._left[-at_most:]
        there = [entry for key in piece if (entry := find(key)) is not None]
        size = self.rewrite(there) if there else 0
        if not self._left:
            self.finish()
        return size

    def begin(self) -> None:
        """Begin to write all again: `rewrite` what there is, then `finish`."""
        if self._blocks:
            self._blocks[-1] = self._blocks[-1]._replace(keys=[])
        self._rewritten_from = len(self._blocks)

    def rewrite(self, entries: list[Any]) -> int:
        """Write some entries again, as they are now and whole; the bytes that they take."""
        data = _encoded([], entries)
        self._append(_Block([], len(entries), len(data), data))
        return len(data)

    def finish(self) -> None:
        """All that is left has been written again: throw away what was before."""
        gone, self._blocks = self._blocks[: self._rewritten_from], self._blocks[self._rewritten_from :]
        for block in gone:
            self._note(block, -1)
        self._dropped += [(self._snapshots, block.name) for block in gone if block.name]
        self._named = max(0, self._named - len(gone))
        self._rewritten_from = -1

    def saved(self) -> Saved:
        """What a snapshot holds of them. Called once at the end of an epoch."""
        self._snapshots += 1
        if self._store is not None and self._snapshots == _DROPPED_AFTER:
            self._store.release()
        return Saved(
            self.names,
            [block.data for block in self._blocks[self._named :]],
        )

    def hand_over(self, place: str) -> list[BlockWrite]:
        """The blocks that go to keys of their own from now on, and those that are needed no longer. `place` is the
        step's and the key group's."""
        if self._store is None:
            return []
        writes = self._unnamed(place)
        freed = self._freed()
        for at in range(self._named, len(self._blocks)):
            block, is_last = self._blocks[at], at == len(self._blocks) - 1
            if block.keys or (is_last and block.size < _SMALLEST_KEPT):
                break  # in order: what the snapshot holds itself is newer
            key = self._free.take(place, self._store.execution)
            writes.append(BlockWrite(key, block.data))
            self._blocks[at] = block._replace(data=b"", name=f"{key}#{_digest(block.data)}")
            self._named += 1
        return writes + [BlockWrite(key, b"") for key in freed if key in self._free]

    def _unnamed(self, place: str) -> list[BlockWrite]:
        """After a start, what the snapshot does not name that the engine resumed from: it was handed over and had not
        come into one, or was needed no longer. These keys are given up."""
        if self._is_swept or self._store is None:
            return []
        self._is_swept = True
        return [BlockWrite(key) for key in self._store.keys(place) if key not in self._restored]

    def _freed(self) -> list[str]:
        """Keys of which no snapshot names the block any more that the engine may resume from."""
        freed = []
        while self._dropped and self._dropped[0][0] + _DROPPED_AFTER <= self._snapshots:
            freed.append(key_of(self._dropped.pop(0)[1]))
        self._free.add(freed)
        return freed

    def _add(self, keys: list[Key], data: bytes, name: str = "") -> None:
        may_grow = self._blocks and len(keys) < SMALL_BLOCK and not name
        self._append(_Block(keys if may_grow else [], len(keys), len(data), b"" if name else data, name))
        self._named += bool(name)

    def _append(self, block: _Block[Key]) -> None:
        if self._blocks and self._blocks[-1].keys:  # only the newest takes up what changes next
            self._blocks[-1] = self._blocks[-1]._replace(keys=[])
        self._blocks.append(block)
        self._note(block, 1)

    def _note(self, block: _Block[Key], sign: int) -> None:
        """Count a block that comes (1), or goes (-1)."""
        self.held += sign * block.entries
        self.size_bytes += sign * block.size


_SMALLEST_KEPT = 200
"""Bytes: a newest block that is smaller is not worth a key of its own."""


def key_of(name: str) -> str:
    """The key that a block of this name is kept under."""
    return name.partition("#")[0]


def keys_of(names: Iterable[str]) -> set[str]:
    """The keys of several."""
    return set(map(key_of, names))


def _digest_in(name: str) -> str:
    """At the end of a name; that of a block which took no key of another has it in the key (golden set v6)."""
    return name.partition("#")[2] or name.rpartition("-")[2]


def _digest(data: bytes) -> str:
    return blake2b(data, digest_size=8).hexdigest()


def _encoded(gone: list[Any], entries: list[Any]) -> bytes:
    compressor = zstandard.ZstdCompressor(level=1)  # not to be shared: workers are threads
    return compressor.compress(msgspec.msgpack.encode((gone, entries)))
