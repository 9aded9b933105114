"""The blocks of entries of which few change in most epochs, and all may within minutes: when many monitors are made, or
all are configured again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Any, Generic

from dataflow.steps.snapshot_blocks import Blocks, BlockStore, Key, Saved
from dataflow.stream.items import BlockWrite

ENCODED_AT_ONCE = 1_024
"""So many entries that have changed are encoded before the end of the epoch: some two milliseconds of work."""
REWRITTEN_AT_ONCE = 512
"""So many entries are written again in one piece."""
_OUTDATED_TIMES = 1.5
_STAGGER = 8
"""Of a block's size the remainder by this is taken: any number that differs between groups will do."""


class SavedEntries(ABC, Generic[Key]):
    """The blocks of a key group's entries, kept up with them from snapshot to snapshot.

    The engine asks all key groups for their snapshots one after the other, and nothing else happens meanwhile. So what
    has changed is encoded before that, as soon as it is enough for a block, and all is written again in pieces when too
    much of the blocks is outdated.
    """

    def __init__(self, store: BlockStore | None) -> None:
        self._blocks: Blocks[Key] = Blocks(store)
        self._ahead = 0
        """Entries that were encoded since the last snapshot."""
        self._due_at = ENCODED_AT_ONCE
        """When so many may have changed, it is seen whether they are to be encoded."""

    @abstractmethod
    def count(self) -> int:
        """How many entries there are."""

    @abstractmethod
    def count_changed(self) -> int:
        """How many were made, changed or deleted since `take_changed`, or somewhat more."""

    @abstractmethod
    def take_changed(self) -> Collection[Key]:
        """The keys of those, and maybe of others."""

    @abstractmethod
    def keys(self) -> Collection[Key]:
        """The keys of all."""

    @abstractmethod
    def find(self, key: Key) -> Any:
        """An entry as it is encoded; None if it is not there."""

    def work(self) -> None:
        """Do a piece of what the next snapshot would have to do otherwise, if there is enough of it.

        No more is encoded in an epoch than there is: where an entry changes again and again, that would be for nothing.
        """
        encoded, may_have_changed = 0, self.count_changed()
        if may_have_changed >= self._due_at:
            is_room = self._ahead < self.count()
            self._due_at = ENCODED_AT_ONCE if is_room else 2 * may_have_changed
            if is_room:
                encoded = self._update()
                self._ahead += encoded
        self._renew(max(REWRITTEN_AT_ONCE, encoded))

    def saved(self) -> Saved:
        """The blocks as of now. Called once at the end of an epoch."""
        self._ahead, self._due_at = 0, ENCODED_AT_ONCE
        self._renew(self._update())
        return self._blocks.saved()

    def hand_over(self, place: str) -> list[BlockWrite]:
        """The blocks that go to keys of their own, and those that are needed no longer."""
        return self._blocks.hand_over(place)

    def _update(self) -> int:
        """Encode what has changed: how many entries."""
        changed = self.take_changed()
        self._blocks.update(changed, self.count(), self.find, self._everything)
        if not self._blocks.is_rewriting and self._is_outdated():
            self._blocks.renew(self.keys())
        return len(changed)

    def _renew(self, at_most: int) -> None:
        """Go on with writing all again: by no less than what was encoded, so that it comes to an end."""
        if self._blocks.is_rewriting and at_most:
            self._blocks.go_on(at_most, self.find)

    def _everything(self) -> list[Any]:
        return [self.find(key) for key in self.keys()]

    def _is_outdated(self) -> bool:
        """Whether all is to be written again: blocks hold up to two and a half times what there is. The bounds differ
        from group to group, so that they do not all do it in the same epoch. While it is done, as much as there is may
        change once more, and stands there twice."""
        stagger = self._blocks.first_bytes % _STAGGER / _STAGGER
        return self._blocks.held > self.count() * (_OUTDATED_TIMES + stagger)
