"""`occurrences.jsonl` as it grows. A torn last line waits; another file in its place is read from its beginning."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

import msgspec

from cronwax.notify.sources.base import Batch
from dataflow.process.exit import FlowError

PART = "occurrences.jsonl"
"""The name of the one part."""
STEP_BYTES = 1 << 20
MAX_LINE_BYTES = 64 << 20
"""A longer line is passed over: the flow writes none."""
_PAUSE_SECONDS = 0.05
_HEAD_BYTES = 4_096


class FilePosition(msgspec.Struct, frozen=True):
    """Where reading goes on, and how to tell that the file is still the same."""

    offset: int = 0
    """In bytes; a line begins there."""
    head: str = ""
    """A hash of the first line, as far as it was there."""
    tail: str = ""
    """A hash of the line that ends at `offset`, and how long it is."""
    tail_bytes: int = 0


class OccurrencesFile:
    """A source. The file may not be there yet.

    The flow appends whole lines, and after a crash cuts a torn one. Where a machine lost lines that were not on its
    disk yet, the flow writes them again; they need not come out the same. So a file that does not hold the last line
    that was read, where it was read, counts as another one.
    """

    def __init__(self, path: Path, sleep: Callable[[float], object] = time.sleep) -> None:
        """`sleep`: waits for so many seconds, or shorter if the notifier is to stop."""
        self._path = path
        self._sleep = sleep
        self._position = FilePosition()
        self._file: BinaryIO | None = None
        self._inode = -1
        self._buffer = b""
        self._size_at_start = 0
        self._skips = False
        """In the middle of a line that is too long."""

    def start(self, positions: Mapping[str, str]) -> bool:
        """See Source."""
        stored = positions.get(PART)
        self._position = msgspec.json.decode(stored, type=FilePosition) if stored else FilePosition()
        self._buffer = b""
        self._size_at_start = self._size()
        return stored is not None

    def positions(self) -> dict[str, str]:
        """See Source."""
        return {PART: msgspec.json.encode(self._position).decode()}

    def read(self, limit: int, wait_seconds: float) -> Batch:
        """See Source."""
        try:
            # What is left of a file that another one has replaced comes first.
            lines = self._lines(limit) if self._file is not None else []
            has_begun_again = not lines and self._open()
            if has_begun_again or (not lines and self._file is not None):
                lines = self._lines(limit)
        except OSError as error:
            raise FlowError(f"{self._path}: {error.strerror}") from None
        if not lines and not has_begun_again:
            self._sleep(min(wait_seconds, _PAUSE_SECONDS))
        positions = self.positions() if lines or has_begun_again else {}
        is_caught_up = not lines or self._position.offset >= self._size_at_start
        return Batch(lines, positions, is_caught_up, has_begun_again)

    def close(self) -> None:
        """See Source."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _size(self) -> int:
        try:
            return self._path.stat().st_size
        except OSError:
            return 0

    def _open(self) -> bool:
        """Have the file open that is there now; whether it is another one than was read before."""
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return False  # not there yet, or just being replaced
        if self._file is not None and found.st_ino == self._inode and found.st_size >= self._position.offset:
            return False
        self.close()
        self._file = open(self._path, "rb")  # noqa: SIM115 - until close()
        self._inode = os.fstat(self._file.fileno()).st_ino
        self._buffer = b""
        if self._is_same():
            self._file.seek(self._position.offset)
            return False
        self._file.seek(0)
        self._position = FilePosition()
        self._size_at_start = found.st_size
        return True

    def _is_same(self) -> bool:
        """Whether the file holds what was read last, where it was read."""
        position, file = self._position, self._file
        assert file is not None
        if not position.offset:
            return True
        file.seek(position.offset - position.tail_bytes)
        if _hash(file.read(position.tail_bytes)) != position.tail:
            return False
        file.seek(0)
        return _head(file.read(_HEAD_BYTES)) == position.head

    def _lines(self, limit: int) -> list[bytes]:
        assert self._file is not None
        lines: list[bytes] = []
        while len(lines) < limit:
            line, newline, rest = self._buffer.partition(b"\n")
            if newline:
                self._buffer = rest
                self._advance(line + newline)
                if not self._skips:
                    lines.append(line)
                self._skips = False
                continue
            if lines and len(self._buffer) > STEP_BYTES:
                break
            more = self._file.read(STEP_BYTES)
            if not more:
                # A torn line is read again once it is whole: until then it may be cut.
                self._buffer = b""
                self._file.seek(self._position.offset)
                break
            self._buffer += more
            if len(self._buffer) > MAX_LINE_BYTES and b"\n" not in self._buffer:
                self._advance(self._buffer)
                self._buffer, self._skips = b"", True
        return lines

    def _advance(self, line: bytes) -> None:
        position = self._position
        head = position.head if position.offset else _head(line)
        tail = line[-_HEAD_BYTES:]
        self._position = FilePosition(position.offset + len(line), head, _hash(tail), len(tail))


def _head(content: bytes) -> str:
    return _hash(content.partition(b"\n")[0][:_HEAD_BYTES])


def _hash(content: bytes) -> str:
    return blake2b(content, digest_size=8).hexdigest()
