"""However far the clock jumps, a call does a bounded piece of work, and what comes out is the same."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from bytewax.recovery import RecoveryConfig, init_db_dir
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataflow.steps import transition
from dataflow.steps.epoch_work import EpochWork
from dataflow.steps.transition import WORK_AT_ONCE
from dataflow.steps.transition_output import outputs_of
from tests.builders import check_in, control, pulse
from tests.examples import examples
from tests.flow.memory import Plan, World, run, run_until_crash
from tests.flow.streams import batchings, streams

MINUTELY = {"schedule": {"type": "crontab", "value": "* * * * *"}, "failure_issue_threshold": 3}
INPUT = "checkins.jsonl"
FAST: dict[str, Any] = {"volume_anomalies": False}


def silence(monitors: int, hours: float):
    """Jobs that run once, a silence, and one of them that comes back."""
    begin = [check_in(n / 10, f"m{n}", number=n + 1, config=MINUTELY) for n in range(monitors)]
    return [*begin, check_in(hours * 3600, "m0", number=1_000), pulse(hours * 3600 + 120)]


def comes_back(monitors: int, hours: float, at_once: bool = True):
    """Jobs that run once, a silence, and each of them comes back: in one minute, or an hour after the other."""
    begin = [check_in(n / 10, f"m{n}", number=n + 1, config=MINUTELY) for n in range(monitors)]
    step_s = 0.1 if at_once else 3_600
    end = [check_in(hours * 3600 + n * step_s, f"m{n}", number=1_000 + n) for n in range(monitors)]
    return [*begin, *end]


def outcome(world):
    return world.tables, world.messages, world.dead_letters


@pytest.fixture
def sizes(monkeypatch):
    """How much each call of the transition step has brought."""
    found: list[int] = []

    def noted(group, journal, key_group):
        found.append(journal.size())
        return outputs_of(group, journal, key_group)

    monkeypatch.setattr(transition, "outputs_of", noted)
    return found


@pytest.mark.parametrize("judges", [False, True])
def test_small_pieces_come_to_the_same_as_one(monkeypatch, judges):
    lines = silence(5, 3)
    monkeypatch.setattr(transition, "WORK_AT_ONCE", 10**9)
    whole = outcome(run(lines, volume_anomalies=judges))
    monkeypatch.setattr(transition, "WORK_AT_ONCE", 1)
    assert outcome(run(lines, volume_anomalies=judges)) == whole


@pytest.mark.parametrize("judges", [False, True])
@pytest.mark.parametrize("at_once", [False, True])
def test_what_check_ins_meet_in_small_pieces_comes_to_the_same_as_at_once(monkeypatch, judges, at_once):
    lines = comes_back(5, 3, at_once)
    monkeypatch.setattr(transition, "WORK_AT_ONCE", 10**9)
    whole = outcome(run(lines, volume_anomalies=judges))
    monkeypatch.setattr(transition, "WORK_AT_ONCE", 3)
    assert outcome(run(lines, volume_anomalies=judges)) == whole
    assert outcome(run(lines, {INPUT: Plan([1] * len(lines))}, volume_anomalies=judges)) == whole


@settings(deadline=None, max_examples=examples(25), suppress_health_check=list(HealthCheck))
@given(data=st.data())
@pytest.mark.parametrize("judges", [False, True])
def test_any_stream_in_small_pieces_comes_to_the_same(judges, data):
    lines = data.draw(streams(["alpha", "beta"], size=15, span_s=3_600))
    plans = {INPUT: Plan(data.draw(batchings()))}
    before = transition.WORK_AT_ONCE
    try:
        transition.WORK_AT_ONCE = 10**9
        whole = outcome(run(lines, volume_anomalies=judges))
        transition.WORK_AT_ONCE = data.draw(st.integers(1, 5))
        assert outcome(run(lines, plans, volume_anomalies=judges)) == whole
    finally:
        transition.WORK_AT_ONCE = before


def test_a_late_report_that_meets_misses_and_a_time_out_in_small_pieces_comes_to_the_same(monkeypatch):
    """Deadlines that had passed when they were set fire by themselves, not by the clock, in whatever pieces."""
    every_five = {"schedule": {"type": "crontab", "value": "*/5 * * * *"}, "max_runtime": 22}
    lines = [
        pulse(7_200),
        check_in(7_205, "alpha", "in_progress", number=1, start_s=60, config=every_five),
        check_in(7_206, "alpha", "ok", number=2, start_s=120),
        check_in(7_270, "alpha", number=3),
        pulse(7_400),
    ]
    monkeypatch.setattr(transition, "WORK_AT_ONCE", 10**9)
    whole = outcome(run(lines, **FAST))
    statuses = {row[4] for row in whole[0]["check_ins"].values()}
    assert {"missed", "timeout"} <= statuses
    for pieces in (1, 2, 3, 5):
        monkeypatch.setattr(transition, "WORK_AT_ONCE", pieces)
        assert outcome(run(lines, **FAST)) == whole


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


def test_a_long_silence_is_worked_off_in_small_pieces(sizes):
    monitors, hours = 40, 24
    lines = [*silence(monitors, hours)[:-2], pulse(hours * 3600), pulse(hours * 3600 + 60)]
    idle = [0] * 3_000  # the source has nothing to give, and the flow goes on
    world = run(lines, {"checkins.jsonl": Plan([len(lines) - 1, *idle])}, key_groups=1, **FAST)
    missed = [row for row in world.rows("check_ins") if row["status"] == "missed"]
    assert len(missed) > monitors * (hours * 60 - 5)
    # A miss and its message come together.
    assert max(sizes) <= WORK_AT_ONCE + 3 * monitors


def test_the_end_of_a_file_is_worked_off_in_small_pieces(sizes):
    monitors, hours = 40, 24
    lines = [*silence(monitors, hours)[:-2], pulse(hours * 3600)]
    world = run(lines, key_groups=1, **FAST)
    missed = [row for row in world.rows("check_ins") if row["status"] == "missed"]
    assert len(missed) > monitors * (hours * 60 - 5)
    assert max(sizes) <= WORK_AT_ONCE + 3 * monitors


@pytest.mark.parametrize("judges", [False, True])
def test_check_ins_that_meet_many_misses_are_applied_in_small_pieces(sizes, judges):
    monitors, hours = 10, 24
    lines = comes_back(monitors, hours)
    world = run(lines, key_groups=1, volume_anomalies=judges)
    missed = [row for row in world.rows("check_ins") if row["status"] == "missed"]
    assert len(missed) > monitors * (hours * 60 - 5)
    assert max(sizes) <= 3 * WORK_AT_ONCE  # a deadline is a check-in and its message


@pytest.mark.parametrize(
    "change",
    [
        {"type": "set_monitor_status", "status": "disabled"},
        {
            "type": "upsert_monitor",
            "monitor_config": {"schedule": {"type": "interval", "value": 1, "unit": "hour"}},
        },
        {"type": "mute", "environment": "production", "muted": True},
        {"type": "reset"},
        {"type": "delete_monitor"},
    ],
)
def test_a_control_that_comes_after_a_month_of_misses_is_applied_in_small_pieces(monkeypatch, sizes, change):
    days = 31
    names = {"project_id": 1, "monitor_slug": "m0"}
    kind, rest = change["type"], {key: value for key, value in change.items() if key != "type"}
    lines = [
        check_in(0, "m0", config={"schedule": {"type": "crontab", "value": "*/10 * * * *"}}),
        pulse(days * 86_400),
        control(days * 86_400 + 1, kind, **names, **rest),
        pulse(days * 86_400 + 3_600),
    ]
    plan = {INPUT: Plan([1] * len(lines))}
    world = run(lines, plan, key_groups=1, **FAST)
    assert max(sizes) <= 2 * WORK_AT_ONCE + 3
    assert sum(sizes) > days * 144
    monkeypatch.setattr(transition, "WORK_AT_ONCE", 10**9)
    assert outcome(run(lines, plan, key_groups=1, **FAST)) == outcome(world)


@pytest.mark.parametrize("judges", [False, True])
def test_a_check_in_that_changes_its_monitor_after_a_month_is_applied_in_small_pieces(
    monkeypatch, sizes, judges
):
    hourly = {"schedule": {"type": "interval", "value": 1, "unit": "hour"}, "max_runtime": 5}
    often = {"schedule": {"type": "crontab", "value": "*/10 * * * *"}, "max_runtime": 5}
    days = 31
    lines = [
        check_in(0, "m0", config=often),
        check_in(30, "m0", "in_progress", number=2),
        check_in(days * 86_400, "m0", number=3, config=hourly),
        pulse(days * 86_400 + 7_200),
    ]
    world = run(lines, key_groups=1, volume_anomalies=judges)
    assert max(sizes) <= 3 * WORK_AT_ONCE
    assert sum(sizes) > days * 144
    monkeypatch.setattr(transition, "WORK_AT_ONCE", 10**9)
    assert outcome(run(lines, key_groups=1, volume_anomalies=judges)) == outcome(world)


def test_a_tick_at_which_a_thousand_jobs_are_late_is_worked_off_in_small_pieces(monkeypatch, sizes):
    hourly = {"schedule": {"type": "crontab", "value": "0 * * * *"}}
    lines = [check_in(n / 100, f"m{n}", number=n + 1, config=hourly) for n in range(1_000)]
    lines += [pulse(3_600 + 120), pulse(7_200)]
    world = run(lines, {INPUT: Plan([1_000, 1])}, key_groups=1, **FAST)
    assert len([row for row in world.rows("check_ins") if row["status"] == "missed"]) == 1_000
    assert max(sizes[1:]) <= WORK_AT_ONCE + 2
    monkeypatch.setattr(transition, "WORK_AT_ONCE", 10**9)
    assert outcome(run(lines, key_groups=1, **FAST)) == outcome(world)


@pytest.mark.parametrize("judges", [False, True])
def test_a_stop_in_the_middle_of_what_a_check_in_meets_loses_nothing(monkeypatch, tmp_path, judges):
    monkeypatch.setattr(transition, "WORK_AT_ONCE", 10)
    lines = comes_back(3, 6)
    whole = outcome(run(lines, volume_anomalies=judges))
    init_db_dir(tmp_path, 1)
    recovery = RecoveryConfig(str(tmp_path))
    world = World()
    plan = {INPUT: Plan([4, 0, 0, 0, 0], crash_at=5)}
    run_until_crash(lines, plan, world=world, recovery=recovery, volume_anomalies=judges)
    if not judges:  # else the check-in waits for its tick first
        assert 3 < len(world.tables["check_ins"]) < len(whole[0]["check_ins"])
    assert outcome(run(lines, world=world, recovery=recovery, volume_anomalies=judges)) == whole


def test_an_epoch_takes_a_bounded_amount_of_what_is_left_and_the_next_one_goes_on(monkeypatch):
    lines = silence(5, 3)
    whole = outcome(run(lines, **FAST))
    done: list[int] = [0]
    take, end_epoch = EpochWork.take, EpochWork.end_epoch

    def taken(self, count):
        done[-1] += count
        take(self, count)

    def ended(self):
        done.append(0)
        end_epoch(self)

    monkeypatch.setattr(EpochWork, "take", taken)
    monkeypatch.setattr(EpochWork, "end_epoch", ended)
    monkeypatch.setattr(EpochWork.__init__, "__defaults__", (40,))
    every = timedelta(milliseconds=200)
    assert outcome(run(lines, key_groups=1, epoch_interval=every, **FAST)) == whole
    assert 40 <= max(done) <= 40 + 2 * WORK_AT_ONCE + 10  # a call is done as a whole


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
