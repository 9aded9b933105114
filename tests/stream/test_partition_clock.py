"""A partition's clock: the minute of its newest broker timestamp, less the clock's delay."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.monitors.times import NO_MINUTE
from dataflow.stream.partition_clock import PartitionClock

MINUTE = 60_000_000


@pytest.mark.parametrize(
    ("times", "minute"), [([], NO_MINUTE), ([0], 0), ([59_999_999], 0), ([MINUTE, 5], 1)]
)
def test_it_shows_the_minute_of_the_newest_time(times, minute):
    clock = PartitionClock()
    for time_us in times:
        clock.take(time_us)
    assert clock.minute == minute


def test_a_message_without_a_time_does_not_move_it():
    clock = PartitionClock(7)
    clock.take(None)
    assert clock.minute == 7


def test_what_is_known_otherwise_moves_it_forward_only():
    clock = PartitionClock(7)
    clock.reach(9)
    clock.reach(8)
    assert clock.minute == 9


@given(
    st.lists(st.integers(0, 20 * MINUTE), min_size=1),
    st.integers(0, 3 * MINUTE),
    st.integers(-1, 10),
)
def test_it_says_what_the_newest_of_all_times_says(times, delay_us, before):
    clock = PartitionClock(before, delay_us)
    for time_us in times:
        clock.take(time_us)
    assert clock.minute == max(before, (max(times) - delay_us) // MINUTE)
