"""However far the clock jumps, a call does a bounded piece of work, and what comes out is the same."""

from __future__ import annotations

from typing import Any

import pytest
from bytewax.recovery import RecoveryConfig, init_db_dir
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow.steps import transition
from dataflow.steps.transition import WORK_AT_ONCE, Transition
from tests.builders import check_in, pulse
from tests.examples import examples
from tests.flow.memory import Plan, World, run, run_until_crash
from tests.flow.streams import batchings

MINUTELY = {"schedule": {"type": "crontab", "value": "* * * * *"}, "failure_issue_threshold": 3}
FAST: dict[str, Any] = {"volume_anomalies": False}


def silence(monitors: int, hours: float):
    """Jobs that run once, a silence, and one of them that comes back."""
    begin = [check_in(n / 10, f"m{n}", number=n + 1, config=MINUTELY) for n in range(monitors)]
    return [*begin, check_in(hours * 3600, "m0", number=1_000), pulse(hours * 3600 + 120)]


def outcome(world):
    return world.tables, world.messages, world.dead_letters


@pytest.mark.parametrize("judges", [False, True])
def test_small_pieces_come_to_the_same_as_one(monkeypatch, judges):
    lines = silence(5, 3)
    monkeypatch.setattr(transition, "WORK_AT_ONCE", 10**9)
    whole = outcome(run(lines, volume_anomalies=judges))
    monkeypatch.setattr(transition, "WORK_AT_ONCE", 1)
    assert outcome(run(lines, volume_anomalies=judges)) == whole


@settings(deadline=None, max_examples=examples(30))
@given(data=st.data())
def test_small_pieces_come_to_the_same_for_any_batches(data):
    lines = silence(2, 1)
    plans = {"checkins.jsonl": Plan(data.draw(batchings()))}
    before = transition.WORK_AT_ONCE
    try:
        transition.WORK_AT_ONCE = 10**9
        whole = outcome(run(lines, **FAST))
        transition.WORK_AT_ONCE = data.draw(st.integers(1, 20))
        assert outcome(run(lines, plans, **FAST)) == whole
    finally:
        transition.WORK_AT_ONCE = before


def test_a_long_silence_is_worked_off_in_small_pieces(monkeypatch):
    monitors, hours = 40, 24
    sizes = []
    outputs = Transition._outputs

    def noted(self, journal):
        sizes.append(journal.size())
        return outputs(self, journal)

    monkeypatch.setattr(Transition, "_outputs", noted)
    lines = [*silence(monitors, hours)[:-2], pulse(hours * 3600), pulse(hours * 3600 + 60)]
    idle = [0] * 3_000  # the source has nothing to give, and the flow goes on
    world = run(lines, {"checkins.jsonl": Plan([len(lines) - 1, *idle])}, key_groups=1, **FAST)
    missed = [row for row in world.rows("check_ins") if row["status"] == "missed"]
    assert len(missed) > monitors * (hours * 60 - 5)
    # A tick is whole: all that one minute brings comes together, a miss and its message for each monitor.
    assert max(sizes) <= WORK_AT_ONCE + 3 * monitors


def test_what_a_stop_leaves_is_worked_off_after_the_restart(monkeypatch, tmp_path):
    monkeypatch.setattr(transition, "WORK_AT_ONCE", 10)
    lines = silence(5, 6)
    whole = outcome(run(lines, **FAST))
    init_db_dir(tmp_path, 1)
    recovery = RecoveryConfig(str(tmp_path))
    world = World()
    plan = {"checkins.jsonl": Plan([6, 0, 0, 0], crash_at=4)}  # in the middle of the silence
    run_until_crash(lines, plan, world=world, recovery=recovery, **FAST)
    assert 0 < len(world.tables["check_ins"]) < len(whole[0]["check_ins"])
    assert outcome(run(lines, world=world, recovery=recovery, **FAST)) == whole
