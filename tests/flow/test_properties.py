"""What comes out depends on what came in, not on how it was read (SPEC, section 6)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from bytewax.recovery import RecoveryConfig, init_db_dir
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.builders import check_in, pulse
from tests.examples import examples
from tests.flow.memory import Plan, World, run, run_until_crash
from tests.flow.streams import batchings, streams

SLUGS = ["alpha", "beta", "gamma"]
INPUT = "checkins.jsonl"
several = settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck))
few = settings(max_examples=examples(12), deadline=None, suppress_health_check=list(HealthCheck))


def assert_same(left: World, right: World) -> None:
    for table, rows in left.tables.items():
        assert right.tables[table] == rows, table
    assert left.messages == right.messages
    assert left.dead_letters == right.dead_letters


@several
@given(streams(SLUGS), batchings())
def test_any_batching_gives_the_same(lines, sizes):
    assert_same(run(lines), run(lines, {INPUT: Plan(sizes)}))


@few
@given(
    st.tuples(streams(["alpha", "beta"]), streams(["gamma"]), streams(["delta", "omega"])),
    st.tuples(batchings(), batchings(), batchings()),
)
def test_any_number_of_workers_gives_the_same(partitions, sizes):
    inputs = {f"{n}.jsonl": lines for n, lines in enumerate(partitions)}
    plans = {f"{n}.jsonl": Plan(each) for n, each in enumerate(sizes)}
    alone = run(inputs)
    assert_same(alone, run(inputs, plans, workers=2))
    assert_same(alone, run(inputs, plans, workers=3))


@several
@given(
    st.tuples(streams(["alpha", "beta"]), streams(["gamma"]), streams(["delta", "omega"])),
    st.tuples(batchings(), batchings(), batchings()),
)
def test_any_interleaving_of_partitions_gives_the_same(partitions, sizes):
    inputs = {f"{n}.jsonl": lines for n, lines in enumerate(partitions)}
    plans = {f"{n}.jsonl": Plan(each) for n, each in enumerate(sizes)}
    assert_same(run(inputs), run(inputs, plans))


@settings(few, max_examples=examples(25))
@given(streams(SLUGS), st.lists(st.sampled_from([1, 2, 3]), min_size=4, max_size=20), st.integers(0, 12))
def test_stopping_at_any_batch_and_resuming_gives_the_same(lines, sizes, crash_at):
    with TemporaryDirectory() as folder:
        init_db_dir(Path(folder), 1)
        recovery = RecoveryConfig(folder)
        every = timedelta(seconds=0)
        world = World()
        run_until_crash(
            lines, {INPUT: Plan(sizes, crash_at)}, world=world, recovery=recovery, epoch_interval=every
        )
        run(lines, {INPUT: Plan(sizes)}, world=world, recovery=recovery, epoch_interval=every)
        assert_same(run(lines), world)


@several
@given(streams(SLUGS), st.integers(1, 400))
def test_ticks_one_by_one_or_all_at_once_give_the_same(lines, minutes):
    end_s = max(line["ts"] for line in lines if isinstance(line, dict)) - pulse(0)["ts"]
    at_once = [*lines, pulse(end_s + 60 * minutes)]
    one_by_one = lines + [pulse(end_s + 60 * minute) for minute in range(1, minutes + 1)]
    left, right = run(at_once), run(one_by_one)
    for world in (left, right):
        world.tables["partitions"].clear()
    assert_same(left, right)


@several
@given(streams(SLUGS))
def test_a_replay_over_what_is_there_changes_nothing(lines):
    once = run(lines)
    twice = run(lines)
    run(lines, world=twice)
    assert_same(once, twice)


@pytest.mark.parametrize("key_groups", [1, 8, 64])
def test_the_number_of_key_groups_does_not_show(key_groups):
    @settings(max_examples=examples(5), deadline=None, suppress_health_check=list(HealthCheck))
    @given(streams(SLUGS))
    def same(lines):
        assert_same(run(lines), run(lines, key_groups=key_groups))

    same()


def test_what_a_late_report_set_due_fires_as_of_its_own_minute_however_it_is_read():
    every_five = {"schedule": {"type": "crontab", "value": "*/5 * * * *"}}
    lines = [
        pulse(1200),
        check_in(1205, "alpha", number=1, start_s=60, config=every_five),
        check_in(1270, "alpha", number=2),
        pulse(1300),
    ]
    at_once = run(lines)
    assert_same(at_once, run(lines, {INPUT: Plan([1] * len(lines))}))
    missed = [row["date_updated"] for row in at_once.rows("check_ins") if row["status"] == "missed"]
    assert [(at_us - missed[0]) // 60_000_000 for at_us in missed] == [0, 5, 10, 15]


def test_an_environment_remembers_a_guid_through_any_number_of_misses_however_it_is_read():
    every_minute = {"schedule": {"type": "crontab", "value": "* * * * *"}}
    lines = [
        check_in(0, "alpha", number=1, environment="dev", config=every_minute),
        *(pulse(minute * 60) for minute in range(1, 121)),
        check_in(7205, "alpha", number=1),
    ]
    at_once = run(lines)
    assert_same(at_once, run(lines, {INPUT: Plan([1] * len(lines))}))
    ran = {row["environment"] for row in at_once.rows("check_ins") if row["status"] == "ok"}
    assert ran == {"dev"}
    (refused,) = at_once.rows("processing_errors")
    assert "CHECKIN_ENVIRONMENT_MISMATCH" in refused["error_types"]


def test_an_environment_has_forgotten_a_guid_after_fifty_more_time_outs_however_it_is_read():
    short = {"schedule": {"type": "interval", "value": 1, "unit": "year"}, "max_runtime": 1}
    lines = [
        *(
            check_in(10 * number, "alpha", "in_progress", number, environment="dev", config=short)
            for number in range(1, 52)
        ),
        pulse(700),
        check_in(705, "alpha", number=1, config=short),
    ]
    at_once = run(lines)
    assert_same(at_once, run(lines, {INPUT: Plan([1] * len(lines))}))
    ran = {row["environment"] for row in at_once.rows("check_ins") if row["status"] == "ok"}
    assert ran == {"production"}
