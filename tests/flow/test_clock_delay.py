"""The event clock that stays behind the broker's (CRONWAX_CLOCK_DELAY_SECONDS)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.settings import Settings
from tests.builders import START_S, check_in, pulse
from tests.flow.memory import Plan, run
from tests.flow.same import same_after_a_crash, same_in_any_order, same_in_batches, same_in_ticks
from tests.flow.streams import batchings, streams
from tests.flow.test_properties import assert_same, few, several

pytestmark = pytest.mark.usual_blocks

FIVE_MINUTES = {"schedule": {"type": "crontab", "value": "*/5 * * * *"}, "max_runtime": 2}
delays = st.sampled_from([0.5, 5, 59, 60, 200])


def statuses(world):
    return [row["status"] for row in sorted(world.rows("check_ins"), key=lambda row: row["date_added"])]


def clock_s(world):
    (row,) = world.rows("partitions")
    return row["clock"] / 1e6 - START_S


@pytest.mark.parametrize(("at_s", "clock"), [(364.999, 300), (365, 360)])
def test_the_clock_is_the_newest_time_less_the_delay(at_s, clock):
    world = run([check_in(0, config=FIVE_MINUTES), pulse(at_s)], clock_delay_seconds=5)
    assert clock_s(world) == clock
    assert ("missed" in statuses(world)) == (clock == 360)


def test_a_check_in_in_flight_while_others_move_the_broker_on_is_not_missed():
    lines = [
        check_in(0, "m", config=FIVE_MINUTES),
        check_in(0, "other", number=2, config=FIVE_MINUTES),
        check_in(361, "other", number=3, start_s=360),
        check_in(363, "m", number=4, start_s=359),
    ]
    assert "missed" in statuses_of(run(lines), "m")
    assert statuses_of(run(lines, clock_delay_seconds=5), "m") == ["ok", "ok"]


def statuses_of(world, slug):
    return [row["status"] for row in world.rows("check_ins") if row["slug"] == slug]


def test_a_result_in_flight_is_no_time_out():
    lines = [
        check_in(0, "m", status="in_progress", config=FIVE_MINUTES),
        pulse(121),
        check_in(123, "m", start_s=119),
    ]
    assert statuses(run(lines)) == ["timeout"]
    assert statuses(run(lines, clock_delay_seconds=5)) == ["ok"]


def test_a_check_in_later_than_its_own_latest_time_is_preceded_by_its_miss_whatever_the_delay():
    lines = [check_in(0, config=FIVE_MINUTES), check_in(360, number=2)]
    assert statuses(run(lines, clock_delay_seconds=5)) == ["ok", "missed", "ok"]


def test_the_delay_is_five_seconds_with_kafka_and_none_elsewhere_unless_it_is_set():
    kafka: dict[str, Any] = {"source": "kafka", "kafka_bootstrap_servers": "nowhere:1"}
    assert Settings(source="demo").clock_delay_us == 0
    assert Settings(**kafka).clock_delay_us == 5_000_000
    assert Settings(**kafka, clock_delay_seconds=0).clock_delay_us == 0
    assert Settings(**kafka, kafka_idle_allowance_seconds=2).idle_allowance_us == 5_000_000
    assert Settings(**kafka, kafka_idle_allowance_seconds=9).idle_allowance_us == 9_000_000


@several
@given(streams(["alpha", "beta", "gamma"]), batchings(), delays)
def test_any_batching_gives_the_same(lines, sizes, delay):
    same_in_batches(lines, sizes, clock_delay_seconds=delay)


@several
@given(st.tuples(streams(["alpha", "beta"]), streams(["gamma"])), st.tuples(batchings(), batchings()), delays)
def test_any_interleaving_gives_the_same(partitions, sizes, delay):
    same_in_any_order(partitions, sizes, clock_delay_seconds=delay)


@several
@given(streams(["alpha", "beta"]), st.integers(1, 400), delays)
def test_ticks_one_by_one_or_all_at_once_give_the_same(lines, minutes, delay):
    same_in_ticks(lines, minutes, clock_delay_seconds=delay)


@few
@given(streams(["alpha", "beta"]), st.integers(0, 12), delays)
def test_stopping_at_any_batch_and_resuming_gives_the_same(lines, crash_at, delay):
    same_after_a_crash(lines, crash_at, clock_delay_seconds=delay)


def test_a_deadline_that_a_late_message_sets_is_due_at_the_tick_that_the_clock_has_not_reached():
    """Its own minute is one further than the clock, half a second behind, comes to with it."""
    alpha = [
        check_in(0, "alpha", config=FIVE_MINUTES),
        check_in(900, "alpha", number=2, start_s=200),
        check_in(900, "alpha", number=3),
        pulse(4500),
    ]
    inputs: dict[str, Any] = {
        "0.jsonl": alpha,
        "1.jsonl": [check_in(0, "gamma", number=4, config=FIVE_MINUTES), pulse(3600)],
    }
    at_once = run(inputs, clock_delay_seconds=0.5)
    assert_same(at_once, run(inputs, {"0.jsonl": Plan([2])}, clock_delay_seconds=0.5))
    missed = [
        row for row in at_once.rows("check_ins") if row["status"] == "missed" and row["slug"] == "alpha"
    ]
    assert min((row["date_updated"] / 1e6 - START_S) for row in missed) == 14 * 60
