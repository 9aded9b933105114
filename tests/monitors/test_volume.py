"""Volume anomalies: what is usual, and the state machine that decides about ticks."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow.monitors.check_in import NO_MINUTE
from dataflow.monitors.decisions import Decision, TickEvent
from dataflow.monitors.times import Minute
from dataflow.monitors.volume import (
    DAY_MINUTES,
    Anomaly,
    Assessment,
    Volume,
    VolumeRules,
    VolumeState,
    decide,
)
from tests.examples import examples

NORMAL, ABNORMAL, INCIDENT, RECOVERING = Decision
MONDAY = 20_150 * DAY_MINUTES + 720
"""Noon of 2025-03-03."""
NOON = MONDAY + 4 * DAY_MINUTES
"""Of a Friday: the four days before are working days."""
LETTERS = {
    ".": Assessment(100.0, 0.0, NORMAL, 0.0),
    "a": Assessment(100.0, -20.0, ABNORMAL, 20.0),
    "-": Assessment(100.0, -32.0, INCIDENT, 32.0),
    "!": Assessment(100.0, -70.0, INCIDENT, 70.0),
}
"""Metrics: normal, abnormal, just at the level of an incident, well below it."""


def volume_of(days, minute=NOON, **rules):
    """Volumes of the same minute on the days before, the latest last; None: none is known."""
    empty = Volume(VolumeRules(**rules)).state()
    for age, count in enumerate(reversed(days), start=1):
        if count is not None:
            empty.volumes[(minute - age * DAY_MINUTES) % len(empty.volumes)] = count
    return Volume(VolumeRules(**rules), VolumeState(Anomaly(), 0, minute, NO_MINUTE, empty.volumes))


def metric_of(days, count, minute=NOON, **rules):
    return volume_of(days, minute, **rules).assess(minute, count).metric


def run(metrics, window=5, anomaly=None):
    """What is decided about ticks 1, 2, ... with these metrics; events in the order of ticks."""
    anomaly = anomaly or Anomaly()
    return [
        decide(anomaly, tick, LETTERS[metric], VolumeRules(window))
        for tick, metric in enumerate(metrics, start=1)
    ]


def decisions(metrics, window=5):
    """How ticks 1, 2, ... turned out, as letters: N, I; ? for those still pending."""
    letters = ["?"] * len(metrics)
    for event in run(metrics, window):
        for at, letter in enumerate(letters[: event.settled_until]):
            if letter == "?":
                letters[at] = Decision(event.verdict).name[0]
    return "".join(letters)


def test_a_tick_with_the_usual_volume_is_normal_once_the_next_one_is_a():
    assert run("...") == [TickEvent(Minute(tick), NORMAL, Minute(tick - 1)) for tick in (1, 2, 3)]


def test_a_tick_that_nothing_can_be_wrong_with_is_normal_at_once_a():
    assert [decide(Anomaly(), tick, LETTERS["."], VolumeRules(5), is_clear=True) for tick in (1, 2)] == [
        None,
        None,
    ]


def test_one_bad_tick_is_abnormal_and_pending_with_the_one_before_b():
    assert run("..a")[-1] == TickEvent(Minute(3), ABNORMAL, Minute(1))
    assert run("..!")[-1] == TickEvent(Minute(3), ABNORMAL, Minute(1))


def test_two_ticks_of_the_window_at_the_level_of_an_incident_make_one_of_all_that_is_pending_c():
    assert run("..a!.!")[-1] == TickEvent(Minute(6), INCIDENT, Minute(6), INCIDENT, Minute(1))
    assert decisions("..a!.!") == "NIIIII"


def test_two_ticks_that_are_just_at_that_level_make_none_three_do_c():
    assert decisions("--.....") == "NNNNNN?"
    assert decisions("---") == "III"


def test_ticks_that_are_not_at_that_level_on_average_make_none_c():
    assert decisions("-a-a-") == "?????"
    assert decisions("---a-") == "IIIII"


def test_two_such_ticks_further_apart_than_the_window_make_none_c():
    assert decisions("!....!") == "N?????"


def test_a_calm_window_ends_an_anomaly_that_was_none_d():
    assert run("a.....")[-1] == TickEvent(Minute(6), NORMAL, Minute(5))
    assert decisions("a.....") == "NNNNN?"


def test_nothing_is_pending_for_longer_than_the_window_e():
    assert run("aaaaaaa")[4:] == [TickEvent(Minute(tick), ABNORMAL, Minute(tick - 5)) for tick in (5, 6, 7)]
    assert decisions("aaaaaaa") == "NN?????"


def test_a_tick_that_is_not_bad_begins_the_recovery_f():
    assert run("!!.")[-1] == TickEvent(Minute(3), RECOVERING, Minute(2))


def test_an_incident_goes_on_while_ticks_are_bad_g():
    assert run("!!aa!")[2:] == [
        TickEvent(Minute(tick), INCIDENT, Minute(tick), INCIDENT, Minute(0)) for tick in (3, 4, 5)
    ]


def test_any_setback_while_recovering_was_the_same_incident_h():
    assert run("!!...a")[-1] == TickEvent(Minute(6), INCIDENT, Minute(6), INCIDENT, Minute(0))
    assert decisions("!!...a") == "IIIIII"


def test_a_calm_window_ends_an_incident_i():
    assert run("!!.....")[-1] == TickEvent(Minute(7), NORMAL, Minute(6))
    assert decisions("!!.....") == "IINNNN?"


def test_a_recovery_is_pending_until_it_has_lasted_for_the_window_j():
    assert run("!!..")[2:] == [
        TickEvent(Minute(3), RECOVERING, Minute(2)),
        TickEvent(Minute(4), RECOVERING, Minute(2)),
    ]


@given(st.text("....a-!", max_size=60), st.integers(2, 8))
def test_every_pending_tick_is_settled_within_the_window(metrics, window):
    for tick, event in enumerate(run(metrics, window), start=1):
        assert tick - window <= event.settled_until <= tick


@given(st.text("....a-!", max_size=60), st.integers(2, 8))
def test_what_is_settled_stays_settled(metrics, window):
    settled = [event.settled_until for event in run(metrics, window)]
    assert settled == sorted(settled)


@given(st.text("...a-!", max_size=40), st.integers(0, 40))
def test_a_restart_changes_no_decision(metrics, at):
    anomaly = Anomaly()
    before = run(metrics[:at], anomaly=anomaly)
    saved = msgspec.msgpack.decode(msgspec.msgpack.encode(anomaly), type=Anomaly)
    after = [
        decide(saved, tick, LETTERS[metric], VolumeRules(5))
        for tick, metric in enumerate(metrics[at:], start=len(metrics[:at]) + 1)
    ]
    assert before + after == run(metrics)


def test_less_than_three_days_are_not_compared_with():
    assert volume_of([500, 500]).assess(NOON, 0) == (None, None, NORMAL, 0.0)


def test_half_as_many_as_usual_is_at_the_level_of_an_incident():
    assert volume_of([500, 500, 500]).assess(NOON, 250) == (500.0, -50.0, INCIDENT, 50.0)


def test_a_smaller_shortfall_is_abnormal_and_a_yet_smaller_one_normal():
    assert metric_of([10_000] * 5, 8_500) == ABNORMAL
    assert metric_of([10_000] * 5, 9_100) == NORMAL


def test_more_than_usual_is_normal():
    assert metric_of([500] * 5, 5_000) == NORMAL


def test_what_is_usually_little_is_not_judged():
    assert metric_of([99] * 9, 0) == NORMAL
    assert metric_of([100] * 9, 0) == INCIDENT


def test_a_shortfall_that_chance_explains_is_normal():
    assert metric_of([100] * 9, 71) == NORMAL, "within three standard deviations"
    assert metric_of([100] * 9, 69) == INCIDENT


@pytest.mark.parametrize("worst", [0, 50, 5_000])
def test_one_bad_day_does_not_poison_the_history(worst):
    assert metric_of([500] * 7 + [worst] + [500] * 2, 250) == INCIDENT
    assert metric_of([500] * 7 + [worst] + [500] * 2, 480) == NORMAL


def test_a_ramp_is_within_what_earlier_days_show():
    falling = [round(1000 * 0.99**day) for day in range(31)]
    assert metric_of(falling[:30], falling[30]) == NORMAL


def test_weekends_are_compared_with_weekends_once_there_are_three_of_their_days():
    saturday = NOON + DAY_MINUTES
    weekly = [500, 500, 500, 500, 500, 300, 300]
    days = (weekly * 3)[:19]
    assert metric_of(days[-5:], 300, saturday) == ABNORMAL, "no weekend is known yet"
    assert metric_of(days[-5:], 190, saturday) == INCIDENT
    assert metric_of((weekly * 3)[:-2], 300, saturday) == NORMAL
    assert metric_of((weekly * 3)[:-2], 180, saturday) == INCIDENT
    assert metric_of(weekly * 3, 300, MONDAY) == INCIDENT, "a Monday like a Saturday"


def test_minutes_of_an_incident_are_left_out_of_the_history():
    volume = volume_of([500] * 5)
    volume.close_until(NOON + 1, {NOON: 0})
    before = volume.state().volumes[NOON % (30 * DAY_MINUTES)]
    volume.state().volumes[(NOON + 1 - DAY_MINUTES) % (30 * DAY_MINUTES)] = 500
    for age in range(1, 4):
        volume.state().volumes[(NOON + 1 - age * DAY_MINUTES) % (30 * DAY_MINUTES)] = 500
    volume.close_until(NOON + 2, {NOON + 1: 0})
    after = [volume.state().volumes[(NOON + n) % (30 * DAY_MINUTES)] for n in range(2)]
    assert (before, after) == (0, [-1, -1])


def test_a_gap_of_years_is_closed_as_minute_by_minute():
    jump, step = (volume_of([500] * 5) for _ in range(2))
    for volume in (jump, step):
        volume.close_until(NOON + 10, {NOON + n: 500 for n in range(5)})
    far = NOON + 70 * DAY_MINUTES
    skipped = jump.close_until(far, {})
    stepped = [closed for minute in range(NOON + 11, far + 1) for closed in step.close_until(minute, {})]
    assert len(skipped) < len(stepped)
    assert _with_news(skipped) == _with_news(stepped)
    assert jump.state() == step.state()


def _with_news(closed):
    return [minute for minute in closed if minute.event is not None or minute.assessment.expected]


@settings(max_examples=examples(40), deadline=None)
@given(st.lists(st.integers(0, 250), min_size=20, max_size=120), st.data())
def test_ticks_that_are_said_to_be_clear_turn_out_normal(counts, data):
    volume = Volume(VolumeRules(minimum=data.draw(st.sampled_from([100, 200, 240]))))
    clear = NO_MINUTE
    for step, count in enumerate(counts):
        # Four minutes of each day: the days pass quickly.
        day, time = divmod(step, 4)
        minute = NOON + day * DAY_MINUTES + time
        for closed in volume.close_until(minute + 1, {minute: count}):
            assert closed.tick > clear or closed.assessment.metric == NORMAL
            assert closed.tick > clear or closed.event is None or closed.event.settled_until == closed.tick
        clear = max(clear, Minute(volume.clear_until))
