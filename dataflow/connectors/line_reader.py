"""Reading lines, from any byte offset, out of plain, gzip and zstd files."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

import zstandard

_PLAIN_STEP = 1 << 20
_COMPRESSED_STEP = 1 << 10
"""Bytes decompressed at once. Small, because a decompressor that meets damage keeps back what it had made of
this step, and because a step of zstd can become forty thousand times as long."""
_ENOUGH_BYTES = 16 << 20
"""A batch ends behind the line that takes it over this, so that huge lines do not fill the memory."""


class UnreadableError(Exception):
    """A file is damaged, or is not what was read before; the text says which, and follows the file's name."""


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


class LineReader:
    """The lines of a file from `offset` (in its uncompressed bytes) on.

    Promises about errors: opening raises OSError; damage found later ends the reading as the file's end does,
    after every whole line before it, and `problem` then says what it is.
    """

    def __init__(self, path: Path, offset: int = 0) -> None:
        self.offset = offset
        """Where the next line begins, in uncompressed bytes."""
        self.exhausted = False
        """Every whole line has been handed out."""
        self.problem: str | None = None
        """Why nothing more can be read, if it is not the file's end."""
        self._file = path.open("rb")
        self._chunks = _after_newline(self._open_chunks(path)) if offset else self._open_chunks(path)
        self._lines: list[bytes] = []
        self._next = 0
        self._pieces: list[bytes] = []
        self._at_end = False

    def read(self, max_lines: int) -> list[bytes]:
        """The next lines without their newlines, at most `max_lines`; none once `exhausted`."""
        lines: list[bytes] = []
        size = 0
        while len(lines) < max_lines and size < _ENOUGH_BYTES:
            if self._next == len(self._lines):
                if self._at_end:
                    self.exhausted = True
                    break
                self._fill()
            part = self._lines[self._next : self._next + max_lines - len(lines)]
            self._next += len(part)
            size += sum(map(len, part)) + len(part)
            lines += part
        self.offset += size
        return lines

    def tail(self) -> bytes:
        """Once `exhausted`: what stands behind the last newline."""
        return b"".join(self._pieces)

    def is_empty(self) -> bool:
        """Whether there is no byte to read; asked before anything else."""
        while not (self._at_end or self._lines or any(self._pieces)):
            self._fill()
        return not (self._lines or any(self._pieces))

    def position(self) -> int:
        """Bytes of the file itself (compressed ones, if it is) that were used so far."""
        return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _fill(self) -> None:
        self._lines, self._next = [], 0
        try:
            chunk = next(self._chunks, b"")
        except UnreadableError as error:
            self.problem = str(error)
        except (zlib.error, zstandard.ZstdError) as error:
            self.problem = f"is corrupt ({error})"
        except OSError as error:
            self.problem = f"cannot be read ({error.strerror})"
        else:
            if chunk:
                self._split(chunk)
                return
        self._at_end = True

    def _split(self, chunk: bytes) -> None:
        first, *others = chunk.split(b"\n")
        self._pieces.append(first)
        if others:
            self._lines = [b"".join(self._pieces), *others[:-1]]
            self._pieces = [others[-1]]

    def _open_chunks(self, path: Path) -> Iterator[bytes]:
        """The bytes from one before `offset` on, as one newline must end there."""
        skip = max(0, self.offset - 1)
        if path.suffix == ".gz":
            return _skip(_decompressed(self._file, _new_gzip, padding=b"\0"), skip)
        if path.suffix == ".zst":
            return _skip(_decompressed(self._file, _new_zstd, padding=b""), skip)
        return _plain(self._file, skip)


def _plain(file: BinaryIO, skip: int) -> Iterator[bytes]:
    file.seek(skip)
    while chunk := file.read(_PLAIN_STEP):
        yield chunk


def _decompressed(file: BinaryIO, new: Callable[[], _Decompressor], padding: bytes) -> Iterator[bytes]:
    """All members (frames) of the file, one behind the other; bytes of `padding` may follow each."""
    decompressor: _Decompressor | None = None
    skippable = b""
    while data := file.read(_COMPRESSED_STEP):
        while data:
            if decompressor is None:
                data = data.lstrip(skippable)
                if not data:
                    break
                decompressor = new()
            if chunk := decompressor.decompress(data):
                yield chunk
            if not decompressor.eof:
                break
            data = decompressor.unused_data
            decompressor, skippable = None, padding
    if decompressor is not None:
        raise UnreadableError("is truncated")


def _skip(chunks: Iterator[bytes], count: int) -> Iterator[bytes]:
    for chunk in chunks:
        if count < len(chunk):
            yield chunk[count:]
            count = 0
        else:
            count -= len(chunk)
    if count:
        raise UnreadableError(_SHORTER)


def _after_newline(chunks: Iterator[bytes]) -> Iterator[bytes]:
    first = next(chunks, b"")
    if not first:
        raise UnreadableError(_SHORTER)
    if not first.startswith(b"\n"):
        raise UnreadableError("is not the file that was read before: no line ends where reading stopped")
    yield first[1:]
    yield from chunks


def _new_gzip() -> _Decompressor:
    return zlib.decompressobj(wbits=31)


def _new_zstd() -> _Decompressor:
    return zstandard.ZstdDecompressor(max_window_size=1 << 31).decompressobj()


_SHORTER = "is shorter than what was read of it before"
