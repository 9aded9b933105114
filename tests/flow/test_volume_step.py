"""System incidents end to end, without a broker: what is held, dropped and sent."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from bytewax.recovery import RecoveryConfig, init_db_dir

from tests.builders import START_S, check_in, guid, pulse
from tests.flow.memory import Plan, World, run
from tests.flow.volume_days import (
    DAY_S,
    EVERY_FIVE,
    EVERY_MINUTE,
    QUARTERLY,
    RARE,
    RULES,
    assert_same,
    at,
    background,
    by_time,
    day_with,
    decided,
    history,
    runs_of,
    sent,
    statuses,
    today,
)


def test_a_missed_run_in_ordinary_times_is_notified_at_its_tick():
    world = day_with((), runs_of("job", [0, 5, 15], EVERY_FIVE))
    assert statuses(world, "job")[:4] == ["ok", "ok", "missed", "ok"]
    assert sent(world, "job")[:2] == [(11, "occurrence"), (15, "status_change")]


def test_what_is_due_in_an_outage_is_unknown_and_not_notified():
    outage = range(20, 40)
    world = day_with(outage, runs_of("job", [*range(0, 20, 5), *range(40, 61, 5)], EVERY_FIVE))
    assert statuses(world, "job") == ["ok"] * 4 + ["unknown"] * 4 + ["ok"] * 5
    assert sent(world, "job") == []
    assert world.rows("incidents") == []


def test_without_judging_the_same_outage_tells_of_every_run():
    outage = range(20, 40)
    runs = runs_of("job", [*range(0, 20, 5), *range(40, 61, 5)], EVERY_FIVE)
    world = day_with(outage, runs, volume_anomalies=False)
    assert statuses(world, "job") == ["ok"] * 4 + ["missed"] * 4 + ["ok"] * 5
    assert len(sent(world, "job")) == 5
    assert world.rows("clock_ticks") == []


def test_an_outage_is_decided_backwards_and_notified_when_it_starts_and_ends():
    world = day_with(range(20, 40))
    decisions = decided(world)
    assert {minute for minute, decision in decisions.items() if decision == "incident"} == set(range(20, 41))
    assert sent(world) == [(22, "system_incident_started"), (44, "system_incident_ended")]
    (span,) = world.rows("system_incident_spans")
    assert (at(span["start"]), at(span["end"])) == (19, 40), "it may have begun in the middle of a minute"
    assert (at(span["detected_at"]), at(span["ended_at"])) == (22, 44)
    started, ended = sorted(
        (json.loads(row["payload"]) for row in world.rows("status_changes")),
        key=lambda body: body["detection_time"],
    )
    assert started["text"] == (
        "check-ins have been lost since 2025-03-06T00:19Z: 0 came in a minute that usually has 12; misses and "
        "time-outs are not reported until this is over, failures that jobs report still are"
    )
    assert ended["text"] == (
        "check-ins have come as usual again since 2025-03-06T00:40Z; runs that were due since 2025-03-06T00:19Z and "
        "did not report are unknown, not missed"
    )
    assert (ended["since"], ended["until"]) == (START_S + 60 * today(19), START_S + 60 * today(40))
    assert {body["id"] for body in (started, ended)} <= set(world.messages)


def test_a_miss_in_one_bad_minute_waits_for_the_window_and_is_notified_then():
    world = day_with([20], runs_of("job", [0, 5, 10, 15, 25], EVERY_FIVE))
    assert statuses(world, "job")[:6] == ["ok"] * 4 + ["missed", "ok"]
    assert sent(world, "job")[:2] == [(21, "occurrence"), (25, "status_change")]
    rows = {at(row["minute"]): row for row in world.rows("clock_ticks")}
    assert rows[21]["decision"] == "normal"
    assert at(rows[21]["decided_at"]) == 25, "four calm ticks later"


def test_a_failure_that_the_job_reports_is_never_held():
    runs = runs_of("job", [0, 5, 10, 15], EVERY_FIVE) + runs_of("job", [22], EVERY_FIVE, "error")
    lines = history(range(24))
    for minute in range(24):
        if minute < 20:
            lines += background(today(minute))
        lines.append(pulse(60 * today(minute) + 30))
    lines = sorted(lines + runs, key=lambda line: line["ts"])
    cut = [line for line in lines if line["ts"] <= START_S + 60 * today(22) + 5]
    world = run(cut, **RULES)
    assert sent(world, "job") == [(22, "occurrence")]
    (incident,) = world.rows("incidents")
    assert incident["starting_check_in_id"].hex() == guid(7022)


def test_a_job_that_recovers_while_its_miss_is_held_is_notified_in_order():
    world = day_with([20], runs_of("job", [0, 5, 10, 15, 22], EVERY_FIVE))
    (incident,) = [row for row in world.rows("incidents") if at(row["starting_timestamp"]) == 20]
    assert incident["resolving_check_in_id"].hex() == guid(7022)
    assert sent(world, "job")[:2] == [(21, "occurrence"), (22, "status_change")]


def test_a_run_in_progress_during_an_outage_becomes_unknown_and_still_takes_its_result():
    runs = [
        *runs_of("silent", [0, 15], QUARTERLY),
        *runs_of("silent", [18], QUARTERLY, "in_progress"),
        *runs_of("heard", [0, 15], QUARTERLY),
        *runs_of("heard", [18], QUARTERLY, "in_progress", first=8000),
        *runs_of("heard", [42], QUARTERLY, "error", first=7976),
    ]
    world = day_with(range(20, 40), runs, until=46)
    assert statuses(world, "silent")[2] == "unknown"
    assert statuses(world, "heard")[2] == "error"
    assert sent(world, "heard")[0] == (42, "occurrence")
    losses = world.rows("system_incident_losses")
    assert sum(row["in_progress"] for row in losses) == 1, "of the other one the end came after all"


def test_a_run_whose_deadline_lies_behind_the_outage_is_unknown_if_it_was_due_in_it():
    patient = {"schedule": {"type": "crontab", "value": "30 * * * *"}, "checkin_margin": 20}
    world = day_with(range(20, 40), runs_of("job", [1], patient))
    assert statuses(world, "job") == ["ok", "unknown"]


def test_a_run_that_was_due_after_the_outage_is_missed():
    world = day_with(range(20, 40), runs_of("job", [0, 15], QUARTERLY))
    assert statuses(world, "job") == ["ok", "ok", "unknown", "missed"]
    assert sent(world, "job") == [(46, "occurrence")]


def test_two_days_are_too_few_to_compare_with():
    lines = [line for line in history(range(60)) if line["ts"] >= START_S + DAY_S]
    lines += [pulse(60 * today(minute)) for minute in range(60)]
    lines += runs_of("job", [0, 5], EVERY_FIVE)
    world = run(by_time(lines), **RULES)
    assert {row["decision"] for row in world.rows("clock_ticks")} == {"normal"}
    assert sent(world, "job")[0] == (11, "occurrence")


def test_the_defaults_never_judge_a_small_installation():
    world = day_with(range(20, 40), volume_minimum=100)
    assert {row["decision"] for row in world.rows("clock_ticks")} == {"normal"}
    assert sent(world) == []


def test_at_the_end_of_the_input_nothing_waits_for_a_tick_that_will_not_come():
    first = [*history(range(30)), pulse(60 * today(5))]
    second = runs_of("job", [0, 3, 20], EVERY_MINUTE)
    world = run({"a.jsonl": first, "b.jsonl": second}, **RULES)
    assert statuses(world, "job").count("ok") == 3


def test_what_is_held_counts_when_judging_is_switched_off():
    lines = history(range(40))
    for minute in range(22):
        lines += background(today(minute)) if minute != 20 else []
        lines.append(pulse(60 * today(minute) + 30))
    lines += runs_of("job", [0, 5, 10, 15], EVERY_FIVE)
    lines.sort(key=lambda line: line["ts"])
    with TemporaryDirectory() as folder:
        init_db_dir(Path(folder), 1)
        recovery, every = RecoveryConfig(folder), timedelta(seconds=0)
        world = World()
        run(lines, world=world, recovery=recovery, epoch_interval=every, **RULES)
        assert sent(world, "job") == []
        more = [*lines, pulse(60 * today(23))]
        off: dict[str, Any] = {**RULES, "volume_anomalies": False}
        run(more, world=world, recovery=recovery, epoch_interval=every, **off)
        assert sent(world, "job") == [(21, "occurrence")]


def test_an_input_that_grew_is_judged_on_as_if_it_had_never_ended():
    """The first run ends in the outage, when all that its end releases has been released."""
    lines = history(range(50))
    for minute in range(50):
        lines += background(today(minute)) if minute not in range(20, 40) else []
        lines.append(pulse(60 * today(minute) + 30))
    lines += runs_of("job", [*range(0, 20, 5), *range(40, 50, 5)], EVERY_FIVE)
    lines.sort(key=lambda line: line["ts"])
    until = sum(line["ts"] < START_S + 60 * today(18) for line in lines)
    with TemporaryDirectory() as folder:
        init_db_dir(Path(folder), 1)
        options: dict[str, Any] = {
            "recovery": RecoveryConfig(folder),
            "epoch_interval": timedelta(seconds=0),
            **RULES,
        }
        world = World()
        run(lines[:until], world=world, **options)
        run(lines, world=world, **options)
    assert statuses(world, "job") == ["ok"] * 4 + ["unknown"] * 4 + ["ok"] * 2
    assert_same(run(lines, **RULES), world)


def behind(lost, minute, jobs, until=40):
    """Two partitions, the volume in one and a job in the other: both read up to a minute of the fourth day, then the
    job's to its end, then the other; and for comparison the job's one by one."""
    lines = history(range(until + 1))
    for each in range(until + 1):
        lines += background(today(each)) if each not in lost else []
        lines.append(pulse(60 * today(each) + 30))
    lines.sort(key=lambda line: line["ts"])
    before = sum(line["ts"] <= START_S + 60 * today(minute) + 30 for line in lines)
    first, *others = jobs
    job = [first, pulse(60 * today(minute)), *others, pulse(60 * today(until))]
    inputs: dict[str, Any] = {"job.jsonl": job, "volume.jsonl": lines}
    plans = {"job.jsonl": Plan([2, 0]), "volume.jsonl": Plan([before, 0, 0, 0])}
    world = run(inputs, plans, **RULES)
    assert_same(run(inputs, {"job.jsonl": Plan([2, 0, 0, *[1] * len(job)])}, **RULES), world)
    return world


def test_a_run_that_began_after_an_outage_is_not_lost_in_it_however_early_it_is_read():
    jobs = [*runs_of("job", [1], RARE), *runs_of("job", [33], RARE, "in_progress")]
    world = behind(range(10, 20), 12, jobs, until=36)
    assert statuses(world, "job")[-1] == "in_progress"


def test_a_failure_that_is_read_early_counts_behind_the_miss_that_is_settled_before_it():
    failure = runs_of("job", [28], QUARTERLY, "error")
    jobs = [*runs_of("job", [1], QUARTERLY), pulse(60 * today(27)), *failure]
    world = behind([15], 17, jobs)
    assert at(world.rows("incidents")[0]["starting_timestamp"]) == 15
    assert sent(world, "job")[:2] == [(16, "occurrence"), (28, "occurrence")]


def test_a_check_in_that_asks_for_the_run_in_progress_waits_for_the_ticks_before_it():
    jobs = [
        *runs_of("job", [1], RARE),
        *runs_of("job", [9], RARE, "in_progress"),
        pulse(60 * today(21)),
        check_in(60 * today(22), "job", "ok", 0),
    ]
    world = behind(range(10, 20), 8, jobs, until=28)
    assert statuses(world, "job") == ["ok", "unknown", "ok"], "the end is of a run of its own"


@pytest.mark.parametrize("window", [2, 5, 9])
def test_no_failure_that_turns_out_true_waits_longer_than_the_window(window):
    jobs = [line for n in range(5) for line in runs_of(f"job{n}", range(n), EVERY_MINUTE, first=100 * n)]
    world = day_with([9, 12, 14, 20], jobs, until=30, volume_window=window)
    rows = {at(row["minute"]): row["decided_at"] for row in world.rows("clock_ticks")}
    waits = [at(decided_us) - minute for minute, decided_us in rows.items() if minute > 0 and decided_us]
    assert 0 < max(waits) <= window
