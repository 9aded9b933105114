"""The times of a batch: how far its partition has been read, what is late, and when its clock moved."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from dataflow.monitors.times import NO_MINUTE, NO_TIME
from dataflow.stream.batch import Format, SourceBatch
from dataflow.stream.items import END_OF_TIME
from dataflow.stream.partition_clock import PartitionClock
from dataflow.stream.timeline import timeline_of

MINUTE = 60_000_000
START = 29_000_000
START_US = START * MINUTE


def batch_of(times, before, delay_us, origin=0):
    clock = PartitionClock(before, delay_us)
    for at_us in times:
        if origin >= 0:
            clock.take(at_us)
    messages = [(offset, at_us, b"") for offset, at_us in enumerate(times)]
    return SourceBatch(origin, "t", 0, Format.LINES, before, messages, clock.minute)


@given(
    st.lists(st.none() | st.integers(START_US, START_US + 9 * MINUTE)),
    st.sampled_from([NO_MINUTE, START, START + 4]),
    st.integers(0, 2 * MINUTE),
)
def test_it_says_what_going_through_the_messages_says(times, before, delay_us):
    batch = batch_of(times, before, delay_us)
    line = timeline_of(batch, delay_us, batch.clock_after if batch.clock_after > before else NO_MINUTE)
    known = [at_us for at_us in times if at_us is not None]
    newest = list(accumulate(known, max))
    assert line.newest_us == line.read_us == (newest[-1] if newest else NO_TIME)
    offsets = [offset for offset, at_us in enumerate(times) if at_us is not None]
    found = zip(offsets, known, newest, strict=True)
    assert line.late == {offset: key for offset, at_us, key in found if at_us < key}
    clock, marks = PartitionClock(before, delay_us), []
    for key in newest:
        minute = clock.minute
        clock.take(key)
        if clock.minute > minute:
            marks.append((key, clock.minute))
    assert line.marks == marks


def test_a_clock_that_moves_without_a_message_moves_when_its_minute_is_reached():
    batch = batch_of([], START, 0)
    batch.clock_after, batch.read_us = START + 2, START_US + 3 * MINUTE
    line = timeline_of(batch, 5, START + 2)
    assert line.marks == [(START_US + 2 * MINUTE + 5, START + 2)]
    assert line.read_us == START_US + 3 * MINUTE


def test_a_partition_without_a_time_ends_at_once():
    batch = batch_of([None], NO_MINUTE, 0)
    assert timeline_of(batch, 0, END_OF_TIME).marks == [(NO_TIME, END_OF_TIME)]


def test_controls_have_no_clock():
    assert timeline_of(batch_of([START_US], NO_MINUTE, 0, -1), 0, NO_MINUTE).marks == []
