"""Which guids a monitor with many environments cannot know: found without asking each of them."""

from __future__ import annotations

from collections.abc import Iterable

_BITS_PER_GUID = 16
_LEAST_CAPACITY = 1_024


class GuidFilter:
    """Says of a guid, by its fingerprint, that it was never added, or that it may have been: a Bloom filter of two
    bits.

    It forgets nothing, so it is to be made again once it is `full`; of those added since, about one in fifty that
    never were is then taken for one that was. Which ones differs from process to process, and must not matter.
    """

    __slots__ = ("_bits", "_left", "_mask")

    def __init__(self, guids: Iterable[bytes]) -> None:
        """A filter that holds these, and has room for as many again."""
        held = list(guids)
        self._left = max(len(held), _LEAST_CAPACITY)
        size = 1 << ((len(held) + self._left) * _BITS_PER_GUID - 1).bit_length()
        self._mask = size - 1
        self._bits = bytearray(size >> 3)
        for guid in held:
            self._set(guid)

    @property
    def is_full(self) -> bool:
        """Whether it is full and should be made again."""
        return self._left <= 0

    def add(self, guid: bytes) -> None:
        """Let `may_hold` be true of this guid from now on."""
        self._left -= 1
        self._set(guid)

    def may_hold(self, guid: bytes) -> bool:
        """False: it was never added."""
        mixed = hash(guid)
        first, second = mixed & self._mask, (mixed >> 32) & self._mask
        bits = self._bits
        return bool(bits[first >> 3] >> (first & 7) & 1 and bits[second >> 3] >> (second & 7) & 1)

    def _set(self, guid: bytes) -> None:
        mixed = hash(guid)
        for at in (mixed & self._mask, (mixed >> 32) & self._mask):
            self._bits[at >> 3] |= 1 << (at & 7)
