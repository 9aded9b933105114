"""A partition's clock: the minute of its newest broker timestamp that can be true, less the clock's delay."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.monitors.times import NO_MINUTE
from dataflow.stream.partition_clock import BEHIND_MINUTES, EARLIEST_US, PartitionClock

MINUTE = 60_000_000
START = 29_000_000
"""In 2025."""
START_US = START * MINUTE


@pytest.mark.parametrize(
    ("times", "minute"), [([], NO_MINUTE), ([0], 0), ([59_999_999], 0), ([MINUTE, 5], 1)]
)
def test_it_shows_the_minute_of_the_newest_time(times, minute):
    clock = PartitionClock()
    for time_us in times:
        clock.take(START_US + time_us)
    assert clock.minute == (minute + START if times else NO_MINUTE)


def test_a_message_without_a_time_does_not_move_it():
    clock = PartitionClock(7)
    clock.take(None)
    assert clock.minute == 7


def test_what_is_known_otherwise_moves_it_forward_only():
    clock = PartitionClock(7)
    clock.reach(9)
    clock.reach(8)
    assert clock.minute == 9


@pytest.mark.parametrize("at_us", [0, 1_740_960_000, EARLIEST_US - 1])
def test_a_time_before_there_were_brokers_does_not_start_it(at_us):
    clock = PartitionClock()
    clock.take(at_us)
    assert clock.minute == NO_MINUTE
    assert at_us < clock.floor_us
    clock.take(EARLIEST_US)
    assert clock.minute == EARLIEST_US // MINUTE


@given(
    st.lists(st.integers(0, 20 * MINUTE), min_size=1),
    st.integers(0, 3 * MINUTE),
    st.integers(-1, 10),
)
def test_it_says_what_the_newest_of_all_times_says(times, delay_us, before):
    before = START + before if before >= 0 else NO_MINUTE
    clock = PartitionClock(before, delay_us)
    for time_us in times:
        clock.take(START_US + time_us)
    assert clock.minute == max(before, (START_US + max(times) - delay_us) // MINUTE)


@given(st.integers(0, 3 * MINUTE), st.integers(START_US, START_US + 10**12))
def test_what_an_untrue_time_counts_as_moves_no_clock(delay_us, first_us):
    before = PartitionClock(NO_MINUTE, delay_us)
    counted_us = before.counted_us(first_us)
    before.take(counted_us)
    after = PartitionClock(NO_MINUTE, delay_us)
    after.take(first_us)
    assert before.minute <= after.minute
    assert after.counted_us() == counted_us
    after.take(after.counted_us())
    assert after.minute == (first_us - delay_us) // MINUTE


@given(st.integers(START, START + 10**6))
def test_a_time_is_untrue_from_31_days_behind_the_clock_on(minute):
    clock = PartitionClock(minute)
    assert clock.floor_us == (minute - BEHIND_MINUTES) * MINUTE
    assert clock.floor_us < minute * MINUTE < clock.usual_us


def test_without_any_true_time_nothing_moves_it():
    clock = PartitionClock()
    clock.take(clock.counted_us())
    assert clock.minute == NO_MINUTE
