"""What is encoded before an epoch ends says the same as what is encoded at its end."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.monitors.config import MonitorConfig
from dataflow.monitors.environment import Environment
from dataflow.monitors.group_state import GroupState
from dataflow.monitors.monitor import Monitor
from dataflow.monitors.noted import Noted
from dataflow.steps.transition_state import ENCODED_AT_ONCE, SavedMonitors, TransitionState
from tests.monitors.test_admission import received
from tests.steps.test_snapshots import gate_of

CONFIG = MonitorConfig(schedule_type="crontab", schedule="0 * * * *")
_encode = msgspec.msgpack.encode


class Group:
    """Monitors that change, and how a snapshot holds them."""

    def __init__(self) -> None:
        self.monitors: dict[tuple[int, str], Monitor] = {}
        self.noted = Noted()
        self.saved = SavedMonitors()

    def change(self, slug: str, environments: int) -> None:
        """Make a monitor, or change it; without environments, delete it."""
        key = (1, slug)
        monitor = self.monitors.get(key)
        if monitor is None:
            monitor = self.monitors[key] = Monitor(
                1, slug, slug.upper(), False, False, CONFIG, CONFIG.timing_or_never()
            )
        self.noted.add(monitor)
        if not environments:
            del self.monitors[key]
            return
        for number in range(environments):
            environment = monitor.find(f"e{number}")
            if environment is None:
                environment = Environment.new(f"e{number}")
                monitor.add(environment)
            environment.oks += 1

    def snapshot(self) -> list[bytes]:
        return self.saved.blocks(self.monitors, self.noted.take())


def restored(blocks):
    state = TransitionState.of(GroupState(), blocks)
    return {saved.slug: _encode(Monitor.restore(saved).state()) for saved in SavedMonitors().restore(state)}


@given(
    st.lists(
        st.tuples(
            st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 3)), max_size=12),
            st.sampled_from(["go on", "encode ahead", "snapshot"]),
        ),
        max_size=20,
    )
)
def test_a_snapshot_holds_all_monitors_whenever_they_were_encoded(pieces):
    group = Group()
    for changes, then in pieces:
        for slug, environments in changes:
            group.change(slug, environments)
        if then == "encode ahead":
            group.saved.encode_ahead(group.monitors, group.noted.take())
        elif then == "snapshot":
            group.snapshot()
    expected = {monitor.slug: _encode(monitor.state()) for monitor in group.monitors.values()}
    assert restored(group.snapshot()) == expected


def test_no_more_is_encoded_ahead_in_an_epoch_than_there_is():
    saved, monitors = SavedMonitors(), 3 * ENCODED_AT_ONCE
    assert not saved.are_due(ENCODED_AT_ONCE - 1, monitors)
    group = Group()
    for _ in range(3):
        assert saved.are_due(ENCODED_AT_ONCE, monitors)
        for number in range(ENCODED_AT_ONCE):
            group.change(f"m{number}", 1)
        saved.encode_ahead(group.monitors, group.noted.take())
    assert not saved.are_due(ENCODED_AT_ONCE, monitors)
    saved.blocks(group.monitors, [])
    assert saved.are_due(ENCODED_AT_ONCE, monitors)


@pytest.mark.parametrize("seed", range(3))
@given(st.lists(st.lists(st.tuples(st.integers(0, 3), st.sampled_from("abc")), max_size=8), max_size=8))
def test_the_rate_limits_counts_are_those_of_now_in_every_snapshot(seed, epochs):
    gate = gate_of()
    rules = gate._rules
    for epoch in epochs:
        for minute, slug in epoch:
            gate._rate_limit.is_exceeded_by(received(minute, slug=slug))
        rules.advance(min((minute for minute, _ in epoch), default=0) - seed)
        held = msgspec.msgpack.decode(_encode(gate.state()), type=type(gate.state()))
        assert held.counts == gate._rate_limit.state()
