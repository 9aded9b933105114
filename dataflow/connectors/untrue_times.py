"""Broker timestamps that cannot be true: said in the log, counted, and found in files (SPEC, section 6)."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from pathlib import Path

from dataflow.connectors.line_reader import LineReader
from dataflow.operations.metrics import UNTRUE_TIMES
from dataflow.process.log import warn
from dataflow.stream.partition_clock import BEHIND_US, EARLIEST_US
from dataflow.wire.timestamps import read_ts

NOTE_SECONDS = 60.0
"""The pause between two log lines about one partition, at least."""
LOOK_AHEAD = 100
"""How many times after a leap of a file's clock are held against it."""
_STEP = 1_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class UntrueTimes:
    """What is said of the untrue times of one partition."""

    def __init__(self, partition: str) -> None:
        self._partition = partition
        self._noted: float | None = None

    def note(self, at_us: int, offset: int, whose: str) -> None:
        """A message has a time that cannot be true. `whose`: which clocks may be wrong."""
        UNTRUE_TIMES.inc()
        now = time.monotonic()
        if self._noted is None or now - self._noted >= NOTE_SECONDS:
            self._noted = now
            warn(
                "untrue_time",
                partition=self._partition,
                offset=offset,
                text=f"{self._partition}: the time of message {offset}, {_spelled(at_us)}, cannot be true; it counts "
                f"as of the partition's clock: {whose} is wrong",
            )


def is_false_leap(at_us: int, following: Iterable[int | None], now_us: int) -> bool:
    """Whether a time far ahead of a file's clock is wrong: it is in the future, and most of the times that follow are
    far behind it.

    The future alone is no proof: what a file says of it is true when it is replayed later.
    """
    if at_us <= now_us:
        return False
    times = list(islice((each for each in following if each is not None), LOOK_AHEAD))
    behind = sum(EARLIEST_US <= each < at_us - BEHIND_US for each in times)
    return behind * 2 > len(times)


def first_true_us(path: Path, now_us: int) -> int | None:
    """The first time in a file of lines that can be true; None if there is none. Raises OSError."""
    times = times_of(path)
    window = deque(islice(times, LOOK_AHEAD + 1))
    while window:
        at_us = window.popleft()
        if at_us >= EARLIEST_US and not is_false_leap(at_us, window, now_us):
            return at_us
        window.extend(islice(times, 1))
    return None


def times_of(path: Path, offset: int = 0) -> Iterator[int]:
    """The times of a file's lines that have one, from a byte offset on. Raises OSError."""
    reader = LineReader(path, offset)
    try:
        while not reader.exhausted:
            for line in chain(reader.read(_STEP), [reader.tail()] if reader.exhausted else []):
                if (at_us := read_ts(line)) is not None:
                    yield at_us
    finally:
        reader.close()


def _spelled(at_us: int) -> str:
    try:
        return f"{_EPOCH + timedelta(microseconds=at_us):%Y-%m-%d %H:%M:%S} UTC"
    except OverflowError:  # no calendar has it: Kafka takes any number of a producer
        return f"{at_us // 1_000} ms after 1970"
