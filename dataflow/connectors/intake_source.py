"""The intake's log as a source: followed while it is written, or read to its end from a copy."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from dataflow.connectors.echo import Echo
from dataflow.connectors.intake_log import (
    ALIVE,
    CONTROLS,
    LogError,
    LogReader,
    Position,
    last_line,
    partition_name,
    partitions_of,
    remove_before,
    segments_of,
)
from dataflow.connectors.pace import PAUSE, Pace
from dataflow.connectors.untrue_times import UntrueTimes
from dataflow.monitors.check_in import MINUTE_US, NO_MINUTE, CheckIn, minute_of
from dataflow.monitors.event_order import FOREVER
from dataflow.monitors.times import NO_TIME
from dataflow.process.exit import FlowError, LastingError
from dataflow.process.log import log, warn
from dataflow.process.wall_clock import WallClock, wall_clock_us
from dataflow.settings import Settings
from dataflow.stream.batch import Format, Message, SourceBatch
from dataflow.stream.inputs import Inputs
from dataflow.stream.partition_clock import EARLIEST_US, PartitionClock
from dataflow.wire.check_ins import CheckInDecoder
from dataflow.wire.line import LineDecoder
from dataflow.wire.timestamps import read_ts

TOPIC = "intake"
"""What the log is called in tables, as if it were a topic."""
POLL = timedelta(milliseconds=20)
"""The pause before a partition that has nothing more to give is looked at again."""
OBSERVE_SECONDS = 1.0
TIDY_SECONDS = 10.0
"""The pause between two looks for segments that may go."""
SAFE_SNAPSHOTS = 3
"""What is before a position may be forgotten once this many snapshots were taken after it: the newest may not be
stored yet."""

State = tuple[int, int, int]
"""Version of this tuple, position (`Position.number`; -1: the beginning), clock in minutes."""
_STATE_VERSION = 1
_BEGINNING = -1
Observe = Callable[[str, int, int, int], None]
"""Called about once a second for each partition with topic, partition, lag (bytes), clock (minutes)."""


@dataclass(frozen=True, slots=True)
class _Part:
    """One partition of the log, and what it is to the flow."""

    folder: Path
    topic: str
    index: int
    origin: int
    """Its number among the event clock's inputs; -1: none of them."""


class IntakeSource(FixedPartitionedSource[SourceBatch, State]):
    """Reads all partitions of the intake's log.

    - Order: that of each partition. An offset is a segment and a byte in it (see `Position`).
    - The clock of a partition is its newest timestamp less the clock's delay; one that is read to its end follows the
      wall clock, less an allowance. Controls have no clock.
    - With `bounded` the log is a copy: every partition ends where the copy does. Its clock then goes where the
      newest line of all partitions is, for up to there the log holds all that came.
    - Segments that are read, stored and older than the retention are removed (never from a copy).
    """

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        projects: dict[int, int],
        stopping: Callable[[], bool],
        observe: Observe | None = None,
        bounded: bool = False,
        now_us: Callable[[], int] = wall_clock_us,
        shared: Path | None = None,
    ) -> None:
        """Raises LogError when it cannot be read. `shared`: as of `Pace`."""
        count = partitions_of(folder)
        self._settings = settings
        self._check_ins = CheckInDecoder(projects)
        self._stopping = stopping
        self._observe = observe
        self._now_us = now_us
        self._end_us = _newest_us(folder, count) if bounded else None
        parts = [_Part(folder / partition_name(index), TOPIC, index, index) for index in range(count)]
        self.origins = [f"{part.topic}/{part.index}" for part in parts]
        """The partitions that the event clock waits for, by origin."""
        controls = _Part(folder / CONTROLS, settings.controls_topic, 0, -1)
        parts.append(controls)
        names = (self.origins, [f"{controls.topic}/{controls.index}"])
        # A copy is read to its end: nothing has to act before its time.
        self.inputs = Inputs(*names, slack_us=0 if bounded else settings.clock_delay_us)
        """The partitions, and which of them hold controls."""
        self._pace = Pace(*names, shared)
        self._parts = {f"{part.topic}/{part.index}": part for part in parts}

    def list_parts(self) -> list[str]:
        """All partitions, as topic/partition."""
        return list(self._parts)

    def build_part(self, step_id: str, for_part: str, resume_state: State | None) -> IntakePartition:
        """One partition, from where it was left, else from its first segment."""
        part = self._parts[for_part]
        version, number, clock = resume_state or (_STATE_VERSION, _BEGINNING, NO_MINUTE)
        if version != _STATE_VERSION:
            raise LastingError(
                f"{part.folder}: a newer release stored the position; start that one, or use an empty store"
            )
        start = None if number == _BEGINNING else Position.of(number)
        try:
            reader = LogReader(part.folder, start)
        except OSError as error:
            raise FlowError(f"{part.folder}: {error.strerror}") from None
        return IntakePartition(
            part,
            reader,
            clock,
            self._settings,
            LineDecoder(self._check_ins, part.topic, part.index),
            WallClock(self._now_us, self._settings.idle_allowance_us),
            self._end_us,
            self._stopping,
            self._observe,
            self._pace,
        )


class IntakePartition(StatefulSourcePartition[SourceBatch, State]):
    """Reads one partition; never blocks. Raises FlowError for errors of the file system."""

    def __init__(
        self,
        part: _Part,
        reader: LogReader,
        clock: int,
        settings: Settings,
        decoder: LineDecoder,
        wall_clock: WallClock,
        end_us: int | None,
        stopping: Callable[[], bool],
        observe: Observe | None,
        pace: Pace,
    ) -> None:
        self._part = part
        self._reader = reader
        self._clock = clock
        self._pace = pace
        pace.begin(part.origin)
        self._read_us: int = NO_TIME
        self._untrue = UntrueTimes(f"{part.topic}/{part.index}")
        self._decoder = decoder
        self._wall_clock = wall_clock
        self._end_us = end_us
        """With a copy: the newest time of all partitions."""
        self._batch_size = settings.batch_size
        self._clock_delay_us = settings.clock_delay_us
        self._slack_us = settings.clock_delay_us // 2
        self._echo = Echo(settings.publish_interval, settings.state_shards)
        self._retention_s = settings.intake_retention_hours * 3600
        self._stopping = stopping
        self._observe = observe
        self._observed = self._tidied = 0.0
        self._more = self._ended = self._waits = False
        self._newest_us: int = NO_TIME
        self._snapshots: deque[int] = deque(maxlen=SAFE_SNAPSHOTS)

    def next_batch(self) -> Iterable[SourceBatch]:
        """What has been appended since, at most one batch."""
        if self._ended or self._stopping():
            raise StopIteration
        part, pace = self._part, self._pace
        self._waits = not pace.may_read(part.origin)
        if self._waits:
            return []
        clock_before, read_before_us = self._clock, self._read_us
        asked_us, wanted_us = self._wall_clock.now_us(), pace.newest_beside(part.origin)
        try:
            lines = self._reader.read(self._batch_size)
        except OSError as error:
            raise FlowError(f"{self._part.folder}: {error.strerror}") from None
        messages, check_ins, untrue = self._messages(lines)
        self._more = bool(lines)
        if self._reader.at_end and not lines:
            self._reach_the_end(asked_us, wanted_us)
        moved_us = self._clock * MINUTE_US + self._clock_delay_us if self._clock > clock_before else NO_TIME
        pace.read(part.origin, max(self._newest_us, moved_us), not lines)
        now = time.monotonic()
        if now - self._observed >= OBSERVE_SECONDS:
            self._observed = now
            self._show_life()
        is_news = bool(messages) or self._ended
        is_news = is_news or self._clock != clock_before or self._read_us != read_before_us
        if not self._echo.is_due(is_news, now):
            return []
        return [
            SourceBatch(
                part.origin,
                part.topic,
                part.index,
                Format.LINES,
                clock_before,
                messages,
                self._clock,
                self._reader.position.number,
                self._ended,
                check_ins,
                self._read_us if self._read_us > read_before_us else NO_TIME,
                untrue,
            )
        ]

    def next_awake(self) -> datetime | None:
        """At once after lines, else after a short pause."""
        if self._waits:
            return datetime.now(UTC) + PAUSE
        return None if self._more else datetime.now(UTC) + POLL

    def snapshot(self) -> State:
        """Where to read on, and the clock."""
        number = self._reader.position.number
        self._snapshots.append(number)
        self._tidy()
        return _STATE_VERSION, number, self._clock

    def close(self) -> None:
        """Close the file."""
        self._reader.close()
        self._pace.end(self._part.origin)

    def _messages(
        self, lines: list[tuple[int, bytes]]
    ) -> tuple[list[Message], list[CheckIn | None], list[int]]:
        """The lines with their times, the check-ins in them, and the offsets of those whose times cannot be true."""
        messages: list[Message] = []
        check_ins: list[CheckIn | None] = []
        untrue: list[int] = []
        latest_us = self._wall_clock.latest_us()
        clock, is_clocked = PartitionClock(self._clock, self._clock_delay_us), self._part.origin >= 0
        for place, (number, text) in enumerate(lines):
            at_us, check_in = self._decoder.read(text, number, clock.minute)
            if at_us is not None and not clock.floor_us <= at_us <= latest_us:
                # The host's clock was wrong then, or is now.
                self._untrue.note(at_us, number, "this host's clock, now or when the message came,")
                at_us, check_in = self._counted_us(clock, lines[place + 1 :], latest_us), None
                untrue.append(number)
            if at_us is not None and at_us > self._newest_us:
                self._newest_us = at_us
            messages.append((number, at_us, text))
            check_ins.append(check_in)
            if is_clocked:
                clock.take(at_us)
        self._clock = clock.minute
        self._read_us = max(self._read_us, self._newest_us)
        return messages, check_ins if any(check_ins) else [], untrue

    def _counted_us(self, clock: PartitionClock, following: list[tuple[int, bytes]], latest_us: int) -> int:
        """What a time counts as that cannot be true; before the clock stands anywhere, of the next true time."""
        if clock.minute != NO_MINUTE:
            return clock.counted_us()
        if self._newest_us >= 0:  # controls have no clock
            return self._newest_us
        times = map(read_ts, chain((text for _, text in following), self._reader.ahead()))
        true = (at_us for at_us in times if at_us is not None and EARLIEST_US <= at_us <= latest_us)
        return clock.counted_us(next(true, self._wall_clock.now_us()))

    def _reach_the_end(self, asked_us: int, wanted_us: int) -> None:
        """All that had been appended by then was read: follow the wall clock, or end.

        What was read elsewhere before, of that time (`wanted_us`), has nothing to wait for here.
        """
        minute = self._wall_clock.minute_at(asked_us)
        if self._end_us is not None:
            self._ended = True
            minute = minute_of(self._end_us - self._clock_delay_us) if self._end_us >= 0 else NO_MINUTE
            self._read_us = FOREVER
        elif self._read_us == NO_TIME or wanted_us >= self._read_us + self._slack_us:
            self._read_us = max(self._read_us, wanted_us + 1, self._wall_clock.allowed_us(asked_us))
        if self._part.origin >= 0:
            self._clock = max(self._clock, minute)

    def _show_life(self) -> None:
        if self._end_us is not None:
            return
        if self._part.origin == 0:
            with suppress(OSError):  # a full disk is not a reason to stop reading
                os.utime(_touched(self._part.folder.parent / ALIVE))
        if self._observe is not None:
            self._observe(self._part.topic, self._part.index, self._lag_bytes(), self._clock)

    def _lag_bytes(self) -> int:
        """What of the segment that is being read stands ahead, and of those behind it."""
        position, lag = self._reader.position, 0
        with suppress(OSError):
            for number in segments_of(self._part.folder):
                if number >= position.segment:
                    lag += (self._part.folder / f"{number:010d}.jsonl").stat().st_size
        return max(0, lag - position.offset)

    def _tidy(self) -> None:
        now = time.monotonic()
        if self._end_us is not None or now - self._tidied < TIDY_SECONDS:
            return
        if len(self._snapshots) < SAFE_SNAPSHOTS:
            return
        self._tidied = now
        safe = Position.of(self._snapshots[0])
        try:
            for number in remove_before(self._part.folder, safe.segment, time.time() - self._retention_s):
                log("segment_removed", folder=self._part.folder, segment=number)
        except OSError as error:
            warn("segment_not_removed", folder=self._part.folder, reason=error.strerror)


def _touched(path: Path) -> Path:
    path.touch()
    return path


def _newest_us(folder: Path, partitions: int) -> int:
    """The newest time in any partition; NO_MINUTE if there is none. Raises LogError."""
    newest: int = NO_MINUTE
    for index in range(partitions):
        try:
            line = last_line(folder / partition_name(index))
        except OSError as error:
            raise LogError(f"{folder / partition_name(index)}: {error.strerror}") from None
        if line is not None:
            newest = max(newest, read_ts(line) or NO_MINUTE)
    return newest
