"""Which rows were never added: a Bloom filter on disk, filled and asked in bulk.

    header | 1 MiB | 2 MiB | 4 MiB | ...

Each part takes a number of rows, eight bytes for each; when it is full, the next one begins. A row sets five bits in
each of two words of 64 bits, so that asking about it is two look-ups a part. Of rows that never were added, about one
in a million is taken for one that was.

Bits reach the disk whenever the system likes, the header when `flush` has seen to them. So what was added since the
last `flush` may be missing after a crash, and is to be added again; twice does no harm.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from struct import Struct
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_MAGIC = b"cronwxf1"
_HEADER = Struct("<8s16sqq")
_HEADER_BYTES = 65_536
"""Parts begin where every system can map a file into memory."""
FIRST_ROWS = 1 << 17
"""Of the first part."""
_LARGEST_ROWS = 1 << 23
_BYTES_PER_ROW = 8
_BITS = 5
"""That a row sets in a word."""
_ODD = 0x9E3779B97F4A7C15
"""Makes other bits of a hash."""


class RowFilter:
    """A filter in a file, which it makes if there is none that belongs to this owner (16 bytes).

    Rows are known by hashes of 64 good bits. Methods may raise OSError.
    """

    def __init__(self, path: Path, owner: bytes) -> None:
        self._owner = owner
        self._parts: list[_Part] = []
        self.rows = 0
        """How many have been added."""
        self.covered = 0
        """What the caller has noted of how far that goes; 0 in a new one."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            self._open(os.fstat(self._file).st_size)
        except BaseException:
            os.close(self._file)
            raise

    def _open(self, size: int) -> None:
        header = os.pread(self._file, _HEADER.size, 0)
        ends = _HEADER_BYTES
        if len(header) == _HEADER.size:
            magic, owner, self.rows, self.covered = _HEADER.unpack(header)
            if (magic, owner) == (_MAGIC, self._owner):
                while ends < size:
                    ends += self._capacity(len(self._parts)) * _BYTES_PER_ROW
                    if ends <= size:
                        self._map_next()
        if not self._parts or ends != size:
            self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._parts, self.rows, self.covered = [], 0, 0
        os.ftruncate(self._file, 0)
        self._extend(0, _HEADER_BYTES)

    def add(self, hashes: Any) -> None:
        """Let `may_hold` be true of these (an Arrow array of uint64)."""
        at = 0
        while at < len(hashes):
            room = self._room()
            if room <= 0:
                self._grow()
                continue
            some = hashes.slice(at, room)
            self._parts[-1].add(some)
            self.rows += len(some)
            at += len(some)

    def may_hold(self, hashes: Any) -> Any:
        """Of each of these (an Arrow array of uint64) whether it may have been added; false is certain."""
        found = pa.nulls(len(hashes), pa.bool_()).fill_null(False)
        for part in self._parts:
            found = pc.or_(found, part.may_hold(hashes))
        return found

    def flush(self) -> None:
        """Wait until all that was added is on disk, and with it `covered`."""
        for part in self._parts:
            part.flush()
        os.pwrite(self._file, _HEADER.pack(_MAGIC, self._owner, self.rows, self.covered), 0)
        os.fsync(self._file)

    def close(self) -> None:
        """Give the file back."""
        if self._file >= 0:
            self._parts = []
            os.close(self._file)
            self._file = -1

    def _room(self) -> int:
        before = sum(map(self._capacity, range(len(self._parts))))
        return min(before - self.rows, self._capacity(len(self._parts) - 1)) if self._parts else 0

    def _grow(self) -> None:
        offset = _HEADER_BYTES + sum(map(self._capacity, range(len(self._parts)))) * _BYTES_PER_ROW
        self._extend(offset, self._capacity(len(self._parts)) * _BYTES_PER_ROW)
        self._map_next()

    def _extend(self, offset: int, size: int) -> None:
        # Written out: where the disk is full, a write to memory that has no place there would kill the process.
        end = offset + size
        while offset < end:
            offset += os.pwrite(self._file, bytes(min(end - offset, FIRST_ROWS)), offset)

    def _map_next(self) -> None:
        number = len(self._parts)
        offset = _HEADER_BYTES + sum(map(self._capacity, range(number))) * _BYTES_PER_ROW
        self._parts.append(_Part(self._file, offset, self._capacity(number) * _BYTES_PER_ROW))

    @staticmethod
    def _capacity(number: int) -> int:
        """How many rows a part takes."""
        return min(FIRST_ROWS << number, _LARGEST_ROWS)


class _Part:
    """One part, in memory that the system keeps on disk."""

    def __init__(self, file: int, offset: int, size: int) -> None:
        self._map = mmap.mmap(file, size, offset=offset)
        self._words = memoryview(self._map).cast("Q")
        self._array = pa.Array.from_buffers(
            pa.uint64(), len(self._words), [None, pa.py_buffer(self._map)]
        )  # the same memory

    def add(self, hashes: Any) -> None:
        words = self._words
        for places, masks in _words_of(hashes, len(words)):
            for place, mask in zip(places.to_pylist(), masks.to_pylist(), strict=True):
                words[place] |= mask

    def may_hold(self, hashes: Any) -> Any:
        first, second = (
            pc.equal(pc.bit_wise_and(self._array.take(places), masks), masks)
            for places, masks in _words_of(hashes, len(self._words))
        )
        return pc.and_(first, second)

    def flush(self) -> None:
        self._map.flush()


def _words_of(hashes: Any, words: int) -> Iterator[tuple[Any, Any]]:
    """The two words of each hash: which of so many (a power of two) they are, and the bits."""
    others = pc.multiply(hashes, pa.scalar(_ODD, pa.uint64()))
    for source, places_at, bits_at in ((hashes, 0, 30), (others, 41, 5)):
        places = pc.bit_wise_and(_shifted(source, places_at), pa.scalar(words - 1, pa.uint64()))
        masks = _bit(source, bits_at)
        for number in range(1, _BITS):
            masks = pc.bit_wise_or(masks, _bit(source, bits_at + 6 * number))
        yield places, masks


def _bit(hashes: Any, at: int) -> Any:
    """One of 64 bits, by the six bits of a hash that begin there."""
    number = pc.bit_wise_and(_shifted(hashes, at), pa.scalar(63, pa.uint64()))
    return pc.shift_left(pa.scalar(1, pa.uint64()), number)


def _shifted(hashes: Any, by: int) -> Any:
    return pc.shift_right(hashes, pa.scalar(by, pa.uint64()))
