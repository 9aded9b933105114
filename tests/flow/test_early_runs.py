"""Early runs in the flow (CRONWAX_EARLY_TOLERANCE_SECONDS)."""

from __future__ import annotations

import pytest
from hypothesis import given

from tests.builders import HOURLY, START_S, check_in, pulse
from tests.flow.memory import run
from tests.flow.same import same_in_batches
from tests.flow.streams import batchings, streams
from tests.flow.test_properties import several

pytestmark = pytest.mark.usual_blocks

HOUR = 3600
TEN_MINUTES = {"schedule": {"type": "interval", "value": 10, "unit": "minute"}}


def statuses(world):
    return [row["status"] for row in sorted(world.rows("check_ins"), key=lambda row: row["date_added"])]


def next_s(world):
    (row,) = world.rows("monitor_environments")
    return row["next_checkin"] / 1e6 - START_S


def test_without_it_an_early_run_serves_no_later_time():
    lines = [check_in(0, config=HOURLY), check_in(HOUR - 1, number=2), pulse(HOUR + 60)]
    assert statuses(run(lines)) == ["ok", "ok", "missed"]


@pytest.mark.parametrize(("ahead_s", "is_missed"), [(1, False), (30, False), (31, True)])
def test_a_run_up_to_so_much_early_counts_for_its_time(ahead_s, is_missed):
    lines = [check_in(0, config=HOURLY), check_in(HOUR - ahead_s, number=2), pulse(HOUR + 60)]
    world = run(lines, early_tolerance_seconds=30)
    assert ("missed" in statuses(world)) == is_missed
    assert next_s(world) == 2 * HOUR


def test_start_and_end_of_an_early_run_count_for_the_same_time():
    lines = [
        check_in(0, config=HOURLY),
        check_in(HOUR - 20, status="in_progress", number=2),
        check_in(HOUR - 10, number=2),
        pulse(HOUR + 60),
    ]
    assert statuses(run(lines, early_tolerance_seconds=30)) == ["ok", "ok"]


def test_a_long_run_that_ends_just_before_the_next_time_does_not_stand_for_it():
    config = HOURLY | {"max_runtime": 120}
    lines = [
        check_in(0, status="in_progress", number=1, config=config),
        check_in(HOUR - 10, number=1),
        pulse(HOUR + 60),
    ]
    assert statuses(run(lines, early_tolerance_seconds=30)) == ["ok", "missed"]


def test_neither_does_one_that_tells_its_duration_at_its_end():
    lines = [check_in(0, config=HOURLY), check_in(HOUR - 10, number=2, duration=1800), pulse(HOUR + 60)]
    assert statuses(run(lines, early_tolerance_seconds=30)) == ["ok", "ok", "missed"]


def test_a_failed_early_run_and_its_repetition_count_for_one_time():
    lines = [
        check_in(0, config=HOURLY),
        check_in(HOUR - 25, status="error", number=2),
        check_in(HOUR - 5, number=3),
        pulse(HOUR + 60),
    ]
    world = run(lines, early_tolerance_seconds=30)
    assert statuses(world) == ["ok", "error", "ok"]
    assert next_s(world) == 2 * HOUR


def test_an_early_run_of_an_interval_leaves_its_times_where_they_are():
    lines = [check_in(0, config=TEN_MINUTES), check_in(580, number=2), check_in(1205, number=3)]
    world = run(lines, early_tolerance_seconds=30)
    assert (statuses(world), next_s(world)) == (["ok", "ok", "ok"], 30 * 60)
    assert statuses(run(lines)) == ["ok", "ok", "missed", "ok"]


@several
@given(streams(["alpha", "beta"]), batchings())
def test_any_batching_gives_the_same(lines, sizes):
    same_in_batches(lines, sizes, early_tolerance_seconds=45)
