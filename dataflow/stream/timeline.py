"""The times of a batch: how far its partition has been read with it, and when its clock moved."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any, NamedTuple

from dataflow.monitors.event_order import Mark
from dataflow.monitors.times import MINUTE_US, NO_MINUTE, NO_TIME, Microseconds, Minute
from dataflow.stream.batch import SourceBatch


class Timeline(NamedTuple):
    """What the messages of a batch say about time."""

    newest_us: int
    """The newest time; NO_TIME if there is none."""
    read_us: int
    """Nothing earlier comes from the partition any more."""
    late: dict[int, int]
    """By offset, the newest time before each message that is older than that."""
    marks: list[Mark]


def timeline_of(batch: SourceBatch, clock_delay_us: int, clock_minute: int) -> Timeline:
    """The times of a batch. `clock_minute`: what the partition's clock comes to with it; NO_MINUTE: it stays."""
    late: dict[int, int] = {}
    times: list[Any] = [message[1] for message in batch.messages]
    if None in times or times != sorted(times):
        late, times = _in_order(batch)
    newest_us = times[-1] if times else int(NO_TIME)
    marks = []
    if clock_minute != NO_MINUTE:
        if batch.origin >= 0:
            marks = _moves(times, batch.clock_before, clock_delay_us)
        if not marks or marks[-1][1] < clock_minute:
            at_us = clock_minute * int(MINUTE_US) + clock_delay_us
            if batch.clock_after != clock_minute:  # it never had a time, and has ended
                at_us = newest_us
            marks.append((Microseconds(at_us), Minute(clock_minute)))
    return Timeline(newest_us, max(newest_us, batch.read_us), late, marks)


def _in_order(batch: SourceBatch) -> tuple[dict[int, int], list[int]]:
    late: dict[int, int] = {}
    times: list[int] = []
    newest_us = int(NO_TIME)
    for offset, at_us, _ in batch.messages:
        if at_us is None:
            continue
        if at_us < newest_us:
            late[offset] = newest_us
        else:
            newest_us = at_us
        times.append(newest_us)
    return late, times


def _moves(times: list[int], minute: int, delay_us: int) -> list[Mark]:
    """When the clock moved, and to what, by times that never go back (see `PartitionClock`)."""
    marks: list[Mark] = []
    place = 0
    while True:
        place = bisect_left(times, (minute + 1) * int(MINUTE_US) + delay_us, place)
        if place == len(times):
            return marks
        minute = (times[place] - delay_us) // int(MINUTE_US)
        marks.append((Microseconds(times[place]), Minute(minute)))
