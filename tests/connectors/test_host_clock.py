"""Whether the host's clock is believed, as broker timestamps show. Time is given, never slept."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.connectors.host_clock import PROOF_US, HostClock

S = 1_000_000
HOUR = 3600 * S
T0 = 1_750_000_000 * S
ALLOWANCE = 5 * S


class World:
    """A broker, and a host whose clock somebody sets."""

    def __init__(self, ahead_us=0):
        self.true_us = T0
        self.ahead_us = ahead_us
        self.clock = HostClock(ALLOWANCE, lambda: self.true_us + self.ahead_us, lambda: self.true_us - T0)

    def message(self, delay_us=10_000):
        """One is appended after a question, and received."""
        asked = self.clock.now()
        self.true_us += delay_us
        broker_us = self.true_us
        self.true_us += delay_us
        self.clock.compare(asked, self.clock.now(), broker_us)

    def pass_time(self, us):
        self.true_us += us

    def error_us(self):
        """How far the clock that idle partitions follow is ahead of the broker's; None: they follow none."""
        believed = self.clock.broker_us(self.clock.now())
        return None if believed is None else believed - self.true_us


def test_nothing_is_followed_before_there_was_time_for_a_proof():
    world = World()
    assert world.error_us() is None
    world.pass_time(PROOF_US)
    assert world.error_us() == 0


def test_a_host_that_agrees_is_followed_at_once():
    world = World()
    world.message()
    assert world.error_us() == 0


def test_a_host_that_is_ahead_is_corrected(caplog):
    world = World(ahead_us=HOUR)
    with caplog.at_level(logging.WARNING, "cronwax"):
        world.message()
    assert abs(world.error_us()) <= ALLOWANCE
    assert "3600 s ahead of the broker's" in caplog.text
    world.pass_time(HOUR)
    assert abs(world.error_us()) <= ALLOWANCE


def test_a_host_that_is_late_is_followed_and_named(caplog):
    world = World(ahead_us=-HOUR)
    with caplog.at_level(logging.WARNING, "cronwax"):
        world.message()
    assert world.error_us() == -HOUR
    assert "3600 s behind the broker's" in caplog.text


def test_a_clock_that_is_set_forward_moves_nothing():
    world = World()
    world.message()
    world.pass_time(60 * S)
    world.ahead_us = HOUR
    assert world.error_us() == 0


def test_a_clock_that_is_put_right_is_followed_again():
    world = World(ahead_us=HOUR)
    world.message()
    world.ahead_us = 0
    assert abs(world.error_us()) <= ALLOWANCE
    world.message()
    assert world.error_us() == 0


def test_a_host_that_slept_is_followed():
    world = World()
    world.message()
    world.pass_time(8 * HOUR)  # the clock that nobody sets goes on during sleep
    assert world.error_us() == 0


def test_a_line_is_written_once_a_minute(caplog):
    world = World(ahead_us=HOUR)
    with caplog.at_level(logging.WARNING, "cronwax"):
        for _ in range(100):
            world.message()
            world.pass_time(S)
    assert len(caplog.records) == 2


EVENT = st.one_of(
    st.tuples(st.just("message"), st.integers(0, 30 * S)),
    st.tuples(st.just("pass"), st.integers(0, HOUR)),
    st.tuples(st.just("set"), st.sampled_from([0, HOUR, -HOUR, 3 * S, -3 * S, 24 * HOUR])),
)


@pytest.mark.parametrize("first_ahead", [0, HOUR, -HOUR])
@given(events=st.lists(EVENT, max_size=30))
def test_after_a_proof_no_time_is_believed_that_the_broker_has_not_reached(first_ahead, events):
    world = World(first_ahead)
    world.message()
    for what, value in events:
        if what == "message":
            world.message(delay_us=value)
        elif what == "pass":
            world.pass_time(value)
        else:
            world.ahead_us = value
        # A proof is as exact as the time between question and receipt, at most 30 s here each way.
        error_us = world.error_us()
        assert error_us is not None
        assert error_us <= ALLOWANCE + 60 * S
