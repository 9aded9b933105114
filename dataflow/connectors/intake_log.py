"""The intake's log on the disk: where things are, and reading it while it is written.

    DATA_DIR/intake/log.json                  how many partitions it has; fixed once it is there
                    partition-0/0000000001.jsonl   segments, numbered upwards: lines as the `file` source reads them
                    controls/0000000001.jsonl      controls, which have no part in the clock
                    flow-alive                     touched about once a second by the flow that follows the log

A segment is appended to until the next one is begun, and never again. Every run of the intake begins new ones: so a
reader that has seen more of a segment than a crash left of it loses nothing, and reads nothing twice.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from dataflow.process.exit import StartError
from dataflow.settings import LOG_MARKER, MAX_LOG_PARTITIONS

FOLDER = "intake"
"""The log's folder, below the data folder."""
ALIVE = "flow-alive"
CONTROLS = "controls"
_SUFFIX = ".jsonl"
_SHIFT = 32
_MASK = (1 << _SHIFT) - 1
_STEP_BYTES = 1 << 20
_VERSION = 1


class LogError(StartError):
    """The log cannot be used; the text says why, in one line."""


class Position(NamedTuple):
    """A place in a partition: in which segment, and how many bytes into it."""

    segment: int
    offset: int

    @property
    def number(self) -> int:
        """As one number that grows along the partition: what the flow takes for a message's offset."""
        return self.segment << _SHIFT | self.offset

    @classmethod
    def of(cls, number: int) -> Position:
        """The position that a number stands for."""
        return cls(number >> _SHIFT, number & _MASK)


class _Marker(msgspec.Struct):
    version: int
    partitions: int


_decode_marker = msgspec.json.Decoder(_Marker).decode


def open_log(folder: Path, partitions: int) -> int:
    """Make the log if it is not there yet; returns how many partitions it has. Raises LogError."""
    marker = folder / LOG_MARKER
    try:
        if not marker.exists():
            for name in (*map(partition_name, range(partitions)), CONTROLS):
                (folder / name).mkdir(parents=True, exist_ok=True)
            replace_file(marker, msgspec.json.encode(_Marker(_VERSION, partitions)))
        return partitions_of(folder)
    except OSError as error:
        raise LogError(f"{error.filename or folder}: {error.strerror}") from None


def partitions_of(folder: Path) -> int:
    """How many partitions a log has. Raises LogError."""
    marker = folder / LOG_MARKER
    try:
        found = _decode_marker(marker.read_bytes())
    except OSError as error:
        raise LogError(f"{marker}: {error.strerror}") from None
    except msgspec.DecodeError as error:
        raise LogError(f"{marker}: {error}") from None
    if found.version != _VERSION or not 1 <= found.partitions <= MAX_LOG_PARTITIONS:
        raise LogError(f"{marker}: another release wrote this log")
    return found.partitions


def replace_file(path: Path, content: bytes) -> None:
    """Write a small file so that a crash leaves the old one or the new one. Raises OSError."""
    new = path.with_name(f".{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        os.write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    new.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring a folder's entries to the disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def partition_name(partition: int) -> str:
    """The name of a partition's folder."""
    return f"partition-{partition}"


def segments_of(folder: Path) -> list[int]:
    """The numbers of a partition's segments, in order. Raises OSError."""
    names = (entry.removesuffix(_SUFFIX) for entry in os.listdir(folder) if entry.endswith(_SUFFIX))
    return sorted(int(name) for name in names if name.isascii() and name.isdigit())


def segment_path(folder: Path, segment: int) -> Path:
    """A segment's file."""
    return folder / f"{segment:010d}{_SUFFIX}"


class LogReader:
    """The lines of one partition from a position on, while others are appended.

    A line is handed on once its newline is there. Raises OSError, and LogError when the segment that is to be read
    on is gone while others are there.
    """

    def __init__(self, folder: Path, start: Position | None) -> None:
        self._folder = folder
        self._file = -1
        first = next(iter(segments_of(folder)), None)
        if start is not None and start.offset and first is not None and start.segment < first:
            raise LogError(
                f"{segment_path(folder, start.segment)}: is missing, and it was not read to its end"
            )
        self.position = start or Position(first or 0, 0)
        self.at_end = False
        """The last `read` found nothing more, and no later segment."""
        self._rest: list[tuple[int, bytes]] = []

    def read(self, max_lines: int) -> list[tuple[int, bytes]]:
        """The next lines without their newlines, each with the number of its position."""
        if not self._rest:
            self._rest = self._fetch()
        lines, self._rest = self._rest[:max_lines], self._rest[max_lines:]
        if lines:
            number, text = lines[-1]
            self.position = Position.of(number + len(text) + 1)
        return lines

    def ahead(self) -> list[bytes]:
        """What was read from the disk beyond the last lines."""
        return [text for _, text in self._rest]

    def close(self) -> None:
        """Close what is open."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _fetch(self) -> list[tuple[int, bytes]]:
        while True:
            lines = self._lines()
            if lines or self.at_end:
                return lines

    def _lines(self) -> list[tuple[int, bytes]]:
        """Some lines of this segment; none: its end, where a later one goes on or nothing does (`at_end`)."""
        self.at_end = False
        segment, offset = self.position
        # Looked for first: once a later segment is there, nothing more comes in this one.
        later = self._later()
        if self._file < 0:
            try:
                self._file = os.open(segment_path(self._folder, segment), os.O_RDONLY)
            except FileNotFoundError:
                self._go_on(later)
                return []
        data = self._whole_lines(offset)
        if not data:
            self._go_on(later)
            return []
        lines = []
        number = self.position.number
        for text in data[:-1].split(b"\n"):
            lines.append((number, text))
            number += len(text) + 1
        return lines

    def _whole_lines(self, offset: int) -> bytes:
        step = _STEP_BYTES
        while True:
            data = os.pread(self._file, step, offset)
            end = data.rfind(b"\n") + 1
            if end or len(data) < step:
                return data[:end]
            step *= 2

    def _later(self) -> int | None:
        if self._file >= 0 and not self._may_be_over():
            return None
        return next((each for each in segments_of(self._folder) if each > self.position.segment), None)

    def _may_be_over(self) -> bool:
        """Whether this segment has been read to its end as it is now: only then is it worth looking for another."""
        return os.fstat(self._file).st_size <= self.position.offset or not self._whole_lines(
            self.position.offset
        )

    def _go_on(self, later: int | None) -> None:
        if later is None:
            self.at_end = True
            return
        self.close()
        self.position = Position(later, 0)


def remove_before(folder: Path, segment: int, older_than_s: float) -> Iterator[int]:
    """Remove the segments before this one that were last written to before then (seconds since the epoch); gives
    their numbers. Raises OSError."""
    for number in segments_of(folder):
        path = segment_path(folder, number)
        if number >= segment or path.stat().st_mtime >= older_than_s:
            return
        path.unlink()
        yield number


def last_line(folder: Path) -> bytes | None:
    """The newest whole line of a partition; None if it has none. Raises OSError."""
    for number in reversed(segments_of(folder)):
        with segment_path(folder, number).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            step = 1 << 16
            while size:
                start = max(0, size - step)
                file.seek(start)
                lines = file.read(size - start).split(b"\n")[:-1]
                if len(lines) > 1 or (lines and start == 0):
                    return lines[-1]
                if start == 0:
                    break
                step *= 2
    return None
