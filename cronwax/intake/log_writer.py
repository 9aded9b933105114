"""Writing the intake's log: segments that are appended to, and brought to the disk in groups."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from cronwax.intake.lines import stamped
from dataflow.connectors.intake_log import (
    LogError,
    Position,
    open_log,
    partition_name,
    segment_path,
    segments_of,
    sync_folder,
)

LOCK = "intake.lock"


class SegmentWriter:
    """Appends to one partition. One writer at a time, which the caller sees to.

    It begins with a new segment unless the last one is empty; before that, a line that a crash tore is cut off.
    """

    def __init__(self, folder: Path, segment_bytes: int) -> None:
        """Raises OSError."""
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._file = -1
        self._size = 0
        self._newest_us = 0
        numbers = segments_of(folder)
        self._next = 1
        if numbers:
            last = segment_path(folder, numbers[-1])
            self._next = numbers[-1] + (_cut_torn_tail(last) > 0)

    @property
    def end(self) -> int:
        """Where the last line ends (`Position.number`)."""
        return Position(self._next - 1, self._size).number

    def append(self, entries: Iterable[bytes], now_us: int) -> int:
        """Write lines, without waiting for the disk; returns where they begin. Raises OSError, after which nothing of
        them is in the log."""
        self._newest_us = now_us = max(now_us, self._newest_us)
        data = b"".join([stamped(now_us, entry) for entry in entries])
        if self._file >= 0 and self._size >= self._segment_bytes:
            self._finish()
        if self._file < 0:
            self._begin()
        start = self._size
        try:
            _write_all(self._file, data)
        except OSError:
            if os.fstat(self._file).st_size > start:
                self.take_back(start)
            raise
        self._size += len(data)
        return start

    def sync(self) -> None:
        """Bring what was written to the disk. Raises OSError."""
        os.fdatasync(self._file)

    def take_back(self, size: int) -> None:
        """Cut the segment to this size and write to a new one from now on: somebody may have read what is cut off."""
        with suppress(OSError):
            os.ftruncate(self._file, size)
            if not size:
                segment_path(self._folder, self._next - 1).unlink()
        with suppress(OSError):
            self.close()

    def close(self) -> None:
        """Close the segment. Raises OSError."""
        if self._file >= 0:
            file, self._file = self._file, -1
            os.close(file)

    def _finish(self) -> None:
        self.sync()
        self.close()

    def _begin(self) -> None:
        path = segment_path(self._folder, self._next)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
        self._size = os.fstat(self._file).st_size
        self._next += 1
        sync_folder(self._folder)


class LogWriter:
    """Writes all partitions of the log. Not for several threads."""

    def __init__(self, folder: Path, partitions: int, segment_bytes: int) -> None:
        """Raises LogError: also when another intake is writing."""
        self.partitions = open_log(folder, partitions)
        self._lock = lock(folder / LOCK)
        try:
            self._writers = [
                SegmentWriter(folder / partition_name(index), segment_bytes)
                for index in range(self.partitions)
            ]
        except OSError as error:
            raise LogError(f"{error.filename or folder}: {error.strerror}") from None

    def commit(self, groups: Mapping[int, Iterable[bytes]], now_us: int) -> dict[int, int]:
        """Write lines by partition, and wait until they are on the disk; returns where they end, by partition.

        All or nothing: raises OSError, after which none of them is in the log.
        """
        begun: list[tuple[SegmentWriter, int]] = []
        try:
            for partition, entries in groups.items():
                writer = self._writers[partition]
                begun.append((writer, writer.append(entries, now_us)))
            for writer, _ in begun:
                writer.sync()
        except OSError:
            for writer, start in begun:
                writer.take_back(start)
            raise
        return {partition: self._writers[partition].end for partition in groups}

    def close(self) -> None:
        """Close all, and let others write."""
        for writer in self._writers:
            with suppress(OSError):
                writer.close()
        os.close(self._lock)


def append_controls(folder: Path, entries: Iterable[bytes], now_us: Callable[[], int] | None = None) -> None:
    """Append controls (see `lines.control_entry`), for a process of its own. Raises OSError, LogError."""
    held = lock(folder.parent / f"{folder.name}.lock", wait=True)
    try:
        writer = SegmentWriter(folder, segment_bytes=1 << 30)
        try:
            writer.append(entries, time.time_ns() // 1000 if now_us is None else now_us())
            writer.sync()
        finally:
            writer.close()
    finally:
        os.close(held)


def lock(path: Path, wait: bool = False) -> int:
    """Hold a lock file until the descriptor that is returned is closed. Raises LogError."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o640)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(descriptor)
            raise LogError(f"{path.parent}: another intake is writing to it") from None
    except OSError as error:
        raise LogError(f"{path}: {error.strerror}") from None
    return descriptor


def _write_all(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        written = os.write(file, rest)
        if not written:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        rest = rest[written:]


def _cut_torn_tail(path: Path) -> int:
    """Cut off what stands behind the last newline; returns the size that is left. Raises OSError."""
    with path.open("r+b") as file:
        size = end = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - (1 << 16))
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            end = start + newline + 1 if newline >= 0 else start
            if newline >= 0:
                break
        if end < size:
            file.truncate(end)
            os.fsync(file.fileno())
        return end
