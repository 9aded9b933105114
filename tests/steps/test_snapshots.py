"""Snapshots of earlier releases are read; those of later ones, and broken ones, end the flow with one line."""

from __future__ import annotations

import msgspec
import pytest

from dataflow.monitors.check_in import NO_MINUTE
from dataflow.monitors.organization import UNLIMITED, Limits, OrganizationState
from dataflow.steps.decode import Decode
from dataflow.steps.gate import Gate, GateState
from dataflow.steps.transition import Transition
from dataflow.steps.transition_state import TransitionState
from dataflow.steps.upsert import Upsert, UpsertState
from dataflow.stream.batch import Format, SourceBatch
from dataflow.stream.items import Chunk
from dataflow.wire.timestamps import read_ts
from tests.builders import START_S, as_line, check_in

HOURLY = {"schedule": {"type": "crontab", "value": "0 * * * *"}}


def gate_of(snapshot=None):
    return Gate(1, ["input"], Limits(100, UNLIMITED), 6, False, snapshot)


def upsert_of(snapshot=None):
    return Upsert(1, 10, snapshot)


def transition_of(snapshot=None):
    return Transition(False, lambda: False, snapshot)


def fed():
    """The three steps after two check-ins of monitors of their own."""
    lines = [as_line(check_in(60 * n, slug, "error", n, config=HOURLY)) for n, slug in enumerate("ab", 1)]
    messages = [(n, read_ts(line), line) for n, line in enumerate(lines)]
    batch = SourceBatch(0, "input", 0, Format.LINES, NO_MINUTE, messages, START_S // 60 + 2, 2, True)
    gate, upsert, transition = gate_of(), upsert_of(), transition_of()
    chunks = [out for out in Decode({}, 1)([batch]) if isinstance(out, Chunk)]
    for step in (gate, upsert, transition):
        chunks = [out for out in step.apply(chunks) if isinstance(out, Chunk)]
    return gate, upsert, transition


def encoded(version, state):
    return msgspec.msgpack.encode((version, state))


def of_version_1_or_2(gate, upsert, transition):
    """The snapshots that releases before blocks would have taken of these."""
    members = {
        number: OrganizationState(
            each.killed,
            None,
            [(*key, int(member.holder), member.config) for key, member in each.members.items()],
        )
        for number, each in gate._organizations.items()
    }
    old_gate = GateState(gate._watermark.state(), members, {}, {})
    old_upsert = UpsertState(upsert._watermark.state(), list(upsert._registry.monitors.values()))
    state = transition.state()
    old_transition = TransitionState(
        state.clock_minute, [monitor.state() for monitor in transition._monitors.values()], state.ticks_minute
    )
    return (
        encoded(1, list(msgspec.structs.astuple(old_gate))[:4]),
        encoded(1, list(msgspec.structs.astuple(old_upsert))[:2]),
        encoded(2, list(msgspec.structs.astuple(old_transition))[:3]),
    )


def monitors_in(gate, upsert, transition):
    return (
        {key: (member.holder, member.config) for key, member in gate._organizations[1].members.items()},
        upsert._registry.monitors,
        {
            key: monitor.state().environments["production"].failures
            for key, monitor in transition._monitors.items()
        },
        {
            key: monitor.state().environments["production"].status
            for key, monitor in transition._monitors.items()
        },
    )


def test_snapshots_from_before_there_were_blocks_are_read():
    steps = fed()
    old = of_version_1_or_2(*steps)
    restored = gate_of(old[0]), upsert_of(old[1]), transition_of(old[2])
    assert monitors_in(*restored) == monitors_in(*steps)
    assert len(restored[1]._registry.monitors) == 2
    again = [step.snapshot() for step in restored]  # now with blocks
    assert monitors_in(gate_of(again[0]), upsert_of(again[1]), transition_of(again[2])) == monitors_in(*steps)


@pytest.fixture
def ends(monkeypatch):
    """What would end the process raises its line instead."""

    def fail(line):
        raise SystemExit(line)

    monkeypatch.setattr("dataflow.steps.key_group.fail", fail)


@pytest.mark.parametrize("build", [gate_of, upsert_of, transition_of])
def test_a_snapshot_of_a_later_release_ends_the_flow(build, ends):
    with pytest.raises(SystemExit, match="in version 99"):
        build(encoded(99, []))


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_block_that_cannot_be_read_ends_the_flow(place, ends):
    version, state = msgspec.msgpack.decode([step.snapshot() for step in fed()][place])
    assert isinstance(state[-1][0], bytes)
    state[-1][0] = state[-1][0][:-2]
    with pytest.raises(SystemExit, match="cannot be read"):
        (gate_of, upsert_of, transition_of)[place](encoded(version, state))
