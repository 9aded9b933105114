"""Sampling in the flow: which payloads are kept, whatever the order in which partitions are read."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bytewax.recovery import RecoveryConfig, init_db_dir
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.builders import HOURLY, START_S, check_in, control, guid, pulse
from tests.examples import examples
from tests.flow.memory import Plan, World, run, run_until_crash
from tests.flow.streams import batchings

several = settings(max_examples=examples(40), deadline=None, suppress_health_check=list(HealthCheck))


def rule(at_s, condition, *, project_ids=(1,), start_s=0, end_s=86_400, num=100, rate=1.0, **fields):
    return control(
        at_s,
        "upsert_sampling_rule",
        organization_id=1,
        project_ids=list(project_ids),
        condition=condition,
        start=START_S + start_s,
        end=START_S + end_s,
        num_samples=num,
        sample_rate=rate,
        query="made up",
        **fields,
    )


def slug_is(slug):
    return {"op": "eq", "name": "monitor.slug", "value": slug}


def kept(world):
    return sorted((row["slug"], row["check_in_id"].hex()) for row in world.rows("check_in_samples"))


def test_a_new_monitor_keeps_its_first_payloads_from_the_one_that_made_it():
    lines = [
        check_in(60, number=1, start_s=20, config=HOURLY),
        check_in(120, number=2),
        check_in(4000, number=3),
    ]
    world = run(lines, sample_new_monitors=True)
    assert kept(world) == [("m", guid(1)), ("m", guid(2))]
    (row,) = world.rows("sampling_rules")
    assert (row["rule_id"], row["num_samples"], row["sample_rate"], row["kept"]) == (1, 100, 1.0, 2)
    assert row["end"] - row["start"] == 3_600_000_000


def test_a_changed_config_asks_again_and_an_unchanged_one_does_not():
    other = {"schedule": {"type": "crontab", "value": "30 * * * *"}}
    lines = [
        check_in(0, number=1, config=HOURLY),
        check_in(8000, number=2, config=HOURLY),
        check_in(8100, number=3, config=other),
        check_in(8200, number=4),
    ]
    assert kept(run(lines, sample_new_monitors=True)) == [("m", guid(1)), ("m", guid(3)), ("m", guid(4))]


def test_a_monitor_made_by_a_control_or_without_a_seat_asks_for_nothing():
    lines = [
        control(0, "upsert_monitor", project_id=1, monitor_slug="m", monitor_config=HOURLY),
        check_in(1, number=1, config=HOURLY),
        check_in(2, "late", number=2, config=HOURLY),
    ]
    assert run(lines, sample_new_monitors=True, monitor_seats=1).rows("sampling_rules") == []


def test_no_automatic_rule_when_it_is_turned_off():
    assert run([check_in(0, config=HOURLY)], sample_new_monitors=False).rows("sampling_rules") == []


def test_what_the_gate_rejects_is_not_kept_and_what_is_rejected_later_is():
    lines = [
        rule(0, {"op": "and", "inner": []}),
        check_in(10, "unknown", number=1),
        check_in(20, "m", status="weird", number=2),
    ]
    assert kept(run(lines)) == [("unknown", guid(1))]


def test_an_organization_wide_rule_takes_every_project_and_one_of_a_project_only_its_own():
    lines = [
        rule(0, {"op": "glob", "name": "monitor.slug", "value": "a*"}, project_ids=()),
        rule(1, slug_is("b"), project_ids=(2,)),
        *(
            check_in(60 + n, slug, number=n, project_id=project)
            for n, (slug, project) in enumerate([("a1", 1), ("a2", 2), ("b", 1), ("b", 2)], 1)
        ),
    ]
    assert kept(run(lines)) == [("a1", guid(1)), ("a2", guid(2)), ("b", guid(4))]


def test_rules_expire_by_event_time_and_their_ids_are_used_again():
    lines = [
        rule(0, slug_is("a"), end_s=600),
        rule(1, slug_is("b")),
        check_in(599, "a", number=1),
        check_in(600, "a", number=2),
        pulse(660),
        rule(700, slug_is("c")),
        check_in(710, "c", number=3),
    ]
    world = run(lines)
    assert kept(world) == [("a", guid(1)), ("c", guid(3))]
    rules = sorted(
        (row["created_at"], row["rule_id"], row["is_active"]) for row in world.rows("sampling_rules")
    )
    assert [rest for _, *rest in rules] == [[1, False], [2, True], [1, True]]


def test_of_two_rules_the_higher_rate_keeps_and_counts():
    lines = [
        rule(0, slug_is("m"), rate=0.5),
        rule(1, {"op": "eq", "name": "status", "value": "ok"}, rate=1.0),
        *(check_in(60 + 20 * n, number=n) for n in range(1, 9)),
    ]
    world = run(lines)
    assert len(kept(world)) == 8
    assert [(row["rule_id"], row["kept"]) for row in world.rows("sampling_rules")] == [(1, 0), (2, 8)]


def test_too_many_rules_of_a_project_are_refused():
    lines = [rule(n, slug_is(f"m{n}")) for n in range(51)]
    world = run(lines)
    assert len(world.rows("sampling_rules")) == 50
    (row,) = world.rows("processing_errors")
    assert row["error_types"] == ("TOO_MANY_RULES",)
    assert row["offset"] == 51


def test_an_invalid_rule_is_an_invalid_control_that_names_the_place():
    world = run([rule(0, {"op": "and", "inner": [slug_is("m"), {"op": "eq", "name": "colour", "value": 1}]})])
    (row,) = world.rows("processing_errors")
    assert row["error_types"] == ("INVALID_CONTROL",)
    assert b"inner[1].name" in row["errors"]


def test_start_and_end_of_a_run_are_kept_or_dropped_together():
    lines = [rule(0, {"op": "and", "inner": []}, rate=0.5, num=10_000)]
    for number in range(1, 200):
        at_s = 60 * number
        lines += [check_in(at_s, status="in_progress", number=number), check_in(at_s + 9, number=number)]
    found = [guid_ for _, guid_ in kept(run(lines, rate_limit=100))]
    assert 120 < len(found) < 280
    assert all(found.count(guid_) == 2 for guid_ in found)


@st.composite
def sampled_streams(draw, slugs):
    lines = [check_in(0, slug, number=1000 * n, config=HOURLY) for n, slug in enumerate(slugs, 1)]
    at_s = 0
    for number in range(draw(st.integers(1, 25))):
        at_s += draw(st.sampled_from([0, 7, 59, 60, 900, 3000]))
        slug = draw(st.sampled_from(slugs))
        kind = draw(st.integers(0, 5))
        if kind == 0:
            condition = draw(
                st.sampled_from([slug_is(slug), {"op": "glob", "name": "monitor.slug", "value": "*a"}])
            )
            end_s = at_s + draw(st.sampled_from([60, 2000]))
            num, rate = draw(st.sampled_from([1, 3])), draw(st.sampled_from([0.5, 1.0]))
            lines.append(
                rule(
                    at_s,
                    condition,
                    project_ids=draw(st.sampled_from([(1,), ()])),
                    end_s=end_s,
                    num=num,
                    rate=rate,
                )
            )
        elif kind == 1:
            config = {"schedule": {"type": "interval", "value": draw(st.integers(1, 3)), "unit": "hour"}}
            lines.append(check_in(at_s, slug, number=number + 1000 * len(slug), config=config))
        else:
            lines.append(check_in(at_s, slug, number=number + 1000 * len(slug)))
    return lines


def assert_same_samples(left: World, right: World) -> None:
    assert left.tables["check_in_samples"] == right.tables["check_in_samples"]
    assert left.tables["sampling_rules"] == right.tables["sampling_rules"]


@several
@given(sampled_streams(["alpha", "b"]), batchings())
def test_any_batching_keeps_the_same(lines, sizes):
    plans = {"checkins.jsonl": Plan(sizes)}
    assert_same_samples(run(lines, sample_new_monitors=True), run(lines, plans, sample_new_monitors=True))


@several
@given(st.tuples(sampled_streams(["alpha"]), sampled_streams(["bb"])), st.tuples(batchings(), batchings()))
def test_any_interleaving_gives_the_automatic_rules_the_same_ids(partitions, sizes):
    # Rules that people ask for concern other partitions too, and go by the order in which they arrive.
    inputs: dict[str, Any] = {
        f"{n}.jsonl": [line for line in lines if "control" not in line] for n, lines in enumerate(partitions)
    }
    plans = {f"{n}.jsonl": Plan(each) for n, each in enumerate(sizes)}
    assert_same_samples(run(inputs, sample_new_monitors=True), run(inputs, plans, sample_new_monitors=True))


@settings(several, max_examples=examples(15))
@given(sampled_streams(["alpha", "b"]), st.integers(0, 8))
def test_a_crash_in_between_keeps_the_same(lines, crash_at):
    sizes = [2] * 40
    with TemporaryDirectory() as folder:
        init_db_dir(Path(folder), 1)
        world = World()
        options: dict[str, Any] = {
            "world": world,
            "recovery": RecoveryConfig(folder),
            "epoch_interval": timedelta(0),
            "sample_new_monitors": True,
        }
        run_until_crash(lines, {"checkins.jsonl": Plan(sizes, crash_at)}, **options)
        run(lines, {"checkins.jsonl": Plan(sizes)}, **options)
        assert_same_samples(run(lines, sample_new_monitors=True), world)
