"""JSON Lines files as a source: one file is one partition."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from dataflow.connectors.line_reader import LineReader
from dataflow.connectors.pace import PAUSE, Pace
from dataflow.connectors.progress import Progress
from dataflow.connectors.untrue_times import UntrueTimes, first_true_us, is_false_leap, times_of
from dataflow.monitors.check_in import NO_MINUTE, CheckIn
from dataflow.monitors.event_order import FOREVER
from dataflow.monitors.times import NO_TIME
from dataflow.process.exit import FlowError, LastingError
from dataflow.process.wall_clock import wall_clock_us
from dataflow.stream.batch import Format, Message, SourceBatch
from dataflow.stream.inputs import Inputs
from dataflow.stream.partition_clock import PartitionClock
from dataflow.wire.check_ins import CheckInDecoder
from dataflow.wire.line import LineDecoder
from dataflow.wire.timestamps import read_ts

SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst")
"""What a file in a folder must be called to be read."""
_BRACE = b"}"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_STATE_VERSION = 1

FileState = tuple[int, int, int, int, int]
"""Where a file is read on: version of this tuple, byte offset in the uncompressed file, lines before it,
clock in minutes, and the length of the unterminated line behind the offset that was handed on already (0:
none)."""


class SourceError(Exception):
    """The input cannot be read; the text says what and why, in one line."""


class FileSource(FixedPartitionedSource[SourceBatch, FileState]):
    """Reads a file, or every `*.jsonl`, `*.jsonl.gz` and `*.jsonl.zst` of a folder, to its end.

    A partition is called by its file's name, which is its topic too; offsets are line numbers from 1. Files
    that hold nothing are no partitions, and names that begin with a dot are passed over.

    Raises SourceError when there is nothing to read, or a file cannot be read.
    """

    def __init__(
        self,
        path: Path,
        batch_size: int,
        stopping: Callable[[], bool] = lambda: False,
        progress: Progress | None = None,
        clock_delay_us: int = 0,
        projects: dict[int, int] | None = None,
        settle: Callable[[], None] = lambda: None,
        shared: Path | None = None,
    ) -> None:
        """`projects`: organizations by project, for check-ins to be decoded as they are read; None: they are not.
        `settle` is called before damage ends the process: it waits until what was handed on is stored. `shared`: as
        of `Pace`."""
        files = sorted(_find(path))
        # The engine makes no sink where there is no input: of files that are all empty one stays.
        self._paths = {file.name: file for file in files if not _is_empty(file)} or {files[0].name: files[0]}
        self._batch_size = batch_size
        self._stopping = stopping
        self._progress = progress
        self._clock_delay_us = clock_delay_us
        self._check_ins = CheckInDecoder(projects) if projects is not None else None
        self._settle = settle
        self.origins = sorted(self._paths)
        """The partitions in the order of their `SourceBatch.origin`."""
        self._pace = Pace(self.origins, shared=shared)

    @property
    def inputs(self) -> Inputs:
        """Any file may hold controls; files are read to their ends, so that nothing has to act before its time."""
        return Inputs(self.origins, any_may_hold_controls=True)

    def list_parts(self) -> list[str]:
        """The files' names."""
        return list(self.origins)

    def build_part(self, step_id: str, for_part: str, resume_state: FileState | None) -> FilePartition:
        """Open one file, where it was left."""
        return FilePartition(
            self._paths[for_part],
            self.origins.index(for_part),
            self._batch_size,
            self._stopping,
            self._progress,
            self._check_ins,
            resume_state,
            self._clock_delay_us,
            self._settle,
            self._pace,
        )


class FilePartition(StatefulSourcePartition[SourceBatch, FileState]):
    """One file, read line by line.

    - Lines of white space alone are counted, not handed on. The newline, and a carriage return before it, go.
    - The last batch of a run is marked `ended`, also when a resumed run finds nothing new.
    - A last line without a newline is handed on as it is, but its end is not taken for granted: a run that
      resumes reads it again. If it is as it was, it is passed over; if more of it has been written
      meanwhile, it was torn (a part of a JSON object is none, so what was handed on ended in the dead
      letters), and the whole of it is handed on under the same offset. So growing files neither lose nor
      double a message.
    - Damage: every whole line before it is handed on, and the process fails once those are safe.
    """

    def __init__(
        self,
        path: Path,
        origin: int,
        batch_size: int,
        stopping: Callable[[], bool],
        progress: Progress | None,
        check_ins: CheckInDecoder | None,
        resume_state: FileState | None,
        clock_delay_us: int,
        settle: Callable[[], None],
        pace: Pace,
    ) -> None:
        self._path = path
        self._settle = settle
        self._origin = origin
        self._batch_size = batch_size
        self._stopping = stopping
        self._progress = progress
        self._read = LineDecoder(check_ins, path.name, 0).read if check_ins is not None else _read_time
        version, offset, self._line, clock_minute, self._tail = resume_state or (
            _STATE_VERSION,
            0,
            0,
            NO_MINUTE,
            0,
        )
        if version != _STATE_VERSION:
            raise LastingError(
                f"{path}: a newer release stored the position; start that one, or use an empty recovery store"
            )
        try:
            self._reader = LineReader(path, offset)
        except OSError as error:
            raise FlowError(f"{path}: {error.strerror}") from None
        self._clock = PartitionClock(clock_minute, clock_delay_us)
        self._untrue = UntrueTimes(path.name)
        self._looked_ahead = False
        self._first_us: int | None = None
        """The first true time of the file, once that was looked for."""
        self._pace = pace
        pace.begin(origin)
        self._ended = False
        self._unsafe = False
        """Lines were handed on that no snapshot covers yet."""
        if progress is not None:
            progress.start(path.name, path.stat().st_size, self._reader.position())

    def next_batch(self) -> list[SourceBatch]:
        """The next lines as one batch, or none while those before damage are not safe yet."""
        if self._ended or self._stopping():
            raise StopIteration
        if not self._pace.may_read(self._origin):
            return []
        clock_before = self._clock.minute
        messages, check_ins, untrue = self._messages()
        if self._reader.exhausted and self._reader.problem is not None:
            if not messages:
                self._fail_when_safe()
                return []
        else:
            self._ended = self._reader.exhausted
        self._unsafe = True
        self._report(len(messages))
        has_no_more = self._reader.exhausted  # damaged or not
        self._pace.read(self._origin, _last_us(messages), has_no_more)
        return [
            SourceBatch(
                origin=self._origin,
                topic=self._path.name,
                partition=0,
                format=Format.LINES,
                clock_before=clock_before,
                messages=messages,
                clock_after=self._clock.minute,
                position=self._line + 1 + (self._tail > 0),
                ended=self._ended,
                check_ins=check_ins if any(check_ins) else [],
                read_us=FOREVER if has_no_more else NO_TIME,
                untrue=untrue,
            )
        ]

    def next_awake(self) -> datetime | None:
        """At once, unless other files are too far behind."""
        return None if self._pace.may_read(self._origin) else datetime.now(UTC) + PAUSE

    def snapshot(self) -> FileState:
        """Where to read on."""
        self._unsafe = False
        return _STATE_VERSION, self._reader.offset, self._line, self._clock.minute, self._tail

    def close(self) -> None:
        """Close the file."""
        self._reader.close()
        self._pace.end(self._origin)
        if self._progress is not None:
            self._progress.finish(self._path.name)

    def _messages(self) -> tuple[list[Message], list[CheckIn | None], list[int]]:
        texts = self._reader.read(self._batch_size)
        first, known = self._line + 1, self._tail
        self._line += len(texts)
        if texts:
            self._tail = 0
        if self._reader.exhausted and self._reader.problem is None:
            texts.append(self._reader.tail())
            self._tail = len(texts[-1].rstrip())
        messages: list[Message] = []
        check_ins: list[CheckIn | None] = []
        untrue: list[int] = []
        clock, read = self._clock, self._read
        for number, text in enumerate(texts, first):
            if not text.endswith(_BRACE):  # as most lines do
                text = _cleaned(text)
            if known:  # the first line, of which a part was handed on before
                is_known, known = len(text.rstrip()) <= known, 0
                if is_known:
                    continue
            if not text:
                continue
            if number == 1:
                text = text.removeprefix(_BYTE_ORDER_MARK)
            received_us, check_in = read(text, number, clock.minute)
            if received_us is not None:
                if not clock.floor_us <= received_us <= clock.usual_us and self._is_untrue(
                    received_us, texts[number - first + 1 :]
                ):
                    self._untrue.note(received_us, number, "the clock of whoever wrote it")
                    received_us, check_in = self._counted_us(), None
                    untrue.append(number)
                if received_us >= clock.next_us:
                    clock.take(received_us)
            messages.append((number, received_us, text))
            check_ins.append(check_in)
        return messages, check_ins, untrue

    def _is_untrue(self, at_us: int, following: list[bytes]) -> bool:
        """Whether an unusual time cannot be true. One that would move the clock far ahead is held against the times in
        the rest of what was read, and in what comes then."""
        if at_us < self._clock.floor_us:
            return True
        times = chain(map(read_ts, following), times_of(self._path, self._reader.offset))
        return is_false_leap(at_us, times, wall_clock_us())

    def _counted_us(self) -> int:
        """What the time of a line counts as that cannot be true."""
        if self._clock.minute == NO_MINUTE and not self._looked_ahead:
            self._looked_ahead, self._first_us = True, first_true_us(self._path, wall_clock_us())
        return self._clock.counted_us(self._first_us)

    def _fail_when_safe(self) -> None:
        """The engine asks for the next batch only when all that belongs to snapshots before has gone through
        the flow; so whatever was handed on is with the sinks when one has been taken since."""
        if not self._unsafe:
            self._settle()
            after = f" after line {self._line}" if self._line else ""
            raise LastingError(f"{self._path} {self._reader.problem}{after}")

    def _report(self, messages: int) -> None:
        if self._progress is not None:
            self._progress.advance(self._path.name, self._reader.position(), messages, self._clock.minute)


def _cleaned(line: bytes) -> bytes:
    """A line without the carriage return that some systems put at its end; nothing of a blank one."""
    if line.endswith(b"\r"):
        line = line[:-1]
    return line if line.strip() else b""


def _last_us(messages: list[Message]) -> int:
    """About how far a batch goes."""
    return next((at_us for _, at_us, _ in reversed(messages) if at_us is not None), int(NO_TIME))


def _read_time(line: bytes, _offset: int, _clock_minute: int) -> tuple[int | None, None]:
    return read_ts(line), None


def _find(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise SourceError(
            f"{path}: {'neither a file nor a folder' if path.exists() else 'no such file or folder'}"
        )
    try:
        entries = [entry for entry in path.iterdir() if entry.name.endswith(SUFFIXES)]
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from None
    files = [entry for entry in entries if not (entry.name.startswith(".") or entry.is_dir())]
    if not files:
        raise SourceError(f"{path}: no {', '.join(f'*{suffix}' for suffix in SUFFIXES)} in this folder")
    return files


def _is_empty(path: Path) -> bool:
    try:
        path.name.encode()
        reader = LineReader(path)
    except UnicodeEncodeError:
        raise SourceError(f"{path.parent}: the name of the file {path.name!r} is not UTF-8") from None
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from None
    try:
        if reader.is_empty() and reader.problem is not None:
            raise SourceError(f"{path} {reader.problem}")
        return reader.is_empty()
    finally:
        reader.close()
