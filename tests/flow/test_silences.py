"""Snoozes and maintenances in the flow: what is recorded, what does not count, and what views say of it."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from bytewax.recovery import RecoveryConfig, init_db_dir
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import HOURLY, START_S, check_in, control, pulse
from tests.flow.asked import Asked
from tests.flow.memory import Plan, World, run, run_until_crash
from tests.flow.streams import batchings, streams
from tests.flow.test_properties import assert_same, few

H = 3600
DAY = 24 * H
EVERY_MINUTE = {"schedule": {"type": "crontab", "value": "* * * * *"}, "max_runtime": 2}


def at(at_s: float) -> float:
    return START_S + at_s


def maintenance(said_s: float, start_s: float, end_s: float, **fields: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"silence_id": "m", "misses_count": False, "start": at(start_s), "end": at(end_s)}
    of = {} if "organization_id" in fields else {"project_id": 1}
    return control(said_s, "maintenance", **given | of | fields)


def statuses(world: Any, slug: str = "m") -> Counter[str]:
    return Counter(row["status"] for row in world.rows("check_ins") if row["slug"] == slug)


def refusals(world: Any) -> list[str]:
    return [error["reason"] for row in world.rows("processing_errors") for error in json.loads(row["errors"])]


HOURS = [check_in(0, number=1, config=HOURLY), pulse(10 * H)]
"""One run, and nine that do not come."""


def test_misses_in_a_maintenance_that_says_so_are_unknown():
    world = run([HOURS[0], maintenance(60, 2 * H, 5 * H), HOURS[1]])
    assert statuses(world) == {"ok": 1, "missed": 6, "unknown": 3}
    lost = {
        row["date_added"] // 1_000_000 - START_S
        for row in world.rows("check_ins")
        if row["status"] == "unknown"
    }
    assert lost == {2 * H, 3 * H, 4 * H}
    decided = [row for row in world.rows("run_decisions") if row["silence_id"] == "m"]
    assert len(decided) == 3
    assert {row["counted"] for row in decided} == {False}


def test_misses_in_any_other_silence_count():
    world = run([HOURS[0], maintenance(60, 2 * H, 5 * H, misses_count=True), HOURS[1]])
    assert statuses(world) == {"ok": 1, "missed": 9}
    snooze = control(60, "snooze", project_id=1, monitor_slug="m", until=at(5 * H))
    assert statuses(run([HOURS[0], snooze, HOURS[1]])) == {"ok": 1, "missed": 9}


def test_a_run_that_times_out_in_it_is_unknown_and_takes_its_result_after_all():
    lines = [
        check_in(0, status="in_progress", number=1, config=HOURLY | {"max_runtime": 30}),
        maintenance(60, 20 * 60, 40 * 60),
        pulse(35 * 60),
    ]
    assert statuses(run(lines)) == {"unknown": 1}
    world = run([*lines, check_in(50 * 60, status="ok", number=1)])
    assert statuses(world) == {"ok": 1}
    assert world.rows("incidents") == []


def test_a_failure_that_the_job_reports_counts_in_it():
    world = run(
        [HOURS[0], maintenance(60, H, 3 * H), check_in(2 * H, status="error", number=2), pulse(2 * H + 60)]
    )
    assert len(world.rows("incidents")) == 1


def test_what_was_judged_before_it_was_announced_stays():
    world = run([HOURS[0], pulse(3 * H + 120), maintenance(3 * H + 130, H, 5 * H), HOURS[1]])
    assert statuses(world) == {"ok": 1, "missed": 8, "unknown": 1}


def test_one_that_is_ended_early_is_over_from_then_on():
    ended = control(3 * H + 130, "end_silence", project_id=1, silence_id="m")
    world = run([HOURS[0], maintenance(60, 2 * H, 9 * H), ended, HOURS[1]])
    assert statuses(world) == {"ok": 1, "missed": 7, "unknown": 2}
    (row,) = world.rows("silences")
    assert row["ended_at"] == row["over_at"] == (START_S + 3 * H + 130) * 1_000_000


@pytest.mark.parametrize(
    ("fields", "slug"),
    [
        ({"slug": "night*"}, "nightly"),
        ({"owner": "team:ops"}, "owned"),
        ({"organization_id": 1, "owner": "team:*"}, "owned"),
        ({"environment": "stag*"}, "staged"),
    ],
)
def test_it_is_about_what_it_names(fields, slug):
    lines = [
        check_in(0, "nightly", number=1, config=HOURLY),
        check_in(0, "owned", number=2, config=HOURLY | {"owner": "team:ops"}),
        check_in(0, "staged", number=3, config=HOURLY, environment="staging"),
        check_in(0, "other", number=4, config=HOURLY),
        maintenance(60, H, 9 * H, **fields),
        pulse(3 * H),
    ]
    world = run(lines)
    assert {row["slug"] for row in world.rows("check_ins") if row["status"] == "unknown"} == {slug}


def test_an_organization_is_all_of_its_projects_and_no_other():
    lines = [
        *(check_in(0, "m", number=project, project_id=project, config=HOURLY) for project in (1, 2, 30)),
        maintenance(60, H, 9 * H, organization_id=1),
        pulse(2 * H + 120),
    ]
    world = run(lines, projects={30: 3})
    lost = {row["project_id"] for row in world.rows("check_ins") if row["status"] == "unknown"}
    assert lost == {1, 2}


def test_who_owns_a_monitor_is_asked_when_it_is_missed():
    lines = [
        check_in(0, number=1, config=HOURLY | {"owner": "team:a"}),
        maintenance(60, H, 9 * H, owner="team:b"),
        check_in(2 * H, number=2, config=HOURLY | {"owner": "team:b"}),
        pulse(4 * H + 120),
    ]
    assert statuses(run(lines)) == {"ok": 2, "missed": 1, "unknown": 2}


def test_one_recurs_and_its_windows_are_in_a_table():
    rule = control(
        60,
        "maintenance",
        silence_id="m",
        project_id=1,
        misses_count=False,
        start="2025-03-03T02:00:00",
        timezone="Europe/Vienna",
        rrule="FREQ=DAILY;COUNT=3",
        duration_minutes=120,
    )
    world = run([HOURS[0], rule, pulse(2 * DAY)])
    windows = [(row["starts_at"] // 1_000_000 - START_S) / H for row in world.rows("silence_windows")]
    assert sorted(windows) == [1, 25, 49]
    assert statuses(world)["unknown"] == 4


def test_what_cannot_be_applied_is_refused_with_a_reason():
    lines = [
        HOURS[0],
        maintenance(60, H, 2 * H),
        maintenance(70, H, 2 * H),
        control(80, "end_silence", project_id=1, silence_id="nobody"),
        control(90, "snooze", project_id=1, monitor_slug="nobody", until=at(H)),
        control(100, "snooze", project_id=1, until=at(50)),
        control(110, "end_silence", organization_id=1, silence_id="m"),
        control(120, "end_silence", project_id=1, silence_id="m"),
    ]
    world = run(lines)
    assert sorted(refusals(world)) == [
        "no such monitor",
        "no such silence is in force",
        "no such silence is in force",
        "there is a silence of this id already",
        "until: is past already",
    ]
    assert sorted(row["type"] for row in world.rows("controls")) == ["end_silence", "maintenance"]


def test_both_are_said_in_messages():
    ended = control(70, "end_silence", project_id=1, silence_id="m")
    world = run([HOURS[0], maintenance(60, H, 2 * H, who="ann", note="disks"), ended])
    sent = [json.loads(payload) for payload in world.messages.values()]
    assert [each["payload_type"] for each in sent] == ["silence_announced", "silence_ended"]
    assert sent[0]["text"].endswith("; misses and time-outs in it do not count, says ann: disks")
    assert sent[1]["ended"] == at(70)


# --- acknowledgements

KNOWN = {"project_id": 1, "monitor_slug": "m", "who": "ann"}


def test_an_open_incident_is_acknowledged_and_that_can_be_taken_back():
    lines = [
        HOURS[0],
        check_in(60, status="error", number=2),
        control(70, "acknowledge_incident", **KNOWN, note="on it"),
        control(80, "acknowledge_incident", **KNOWN | {"who": "bob"}, acknowledged=False),
        control(90, "acknowledge_incident", **KNOWN),
    ]
    world = run(lines)
    said = sorted(
        (row["changed_at"], row["is_acknowledged"], row["who"], row["note"])
        for row in world.rows("acknowledgements")
    )
    assert [each[1:] for each in said] == [(True, "ann", "on it"), (False, "bob", None), (True, "ann", None)]
    kinds = Counter(json.loads(payload)["payload_type"] for payload in world.messages.values())
    assert kinds == {"occurrence": 1, "incident_acknowledged": 2, "incident_unacknowledged": 1}
    assert len(world.rows("controls")) == 3
    connection = Asked(world).connection
    assert connection.execute("SELECT acknowledged_by FROM incident_details").fetchall() == [("ann",)]


def test_what_is_not_open_cannot_be_acknowledged():
    lines = [
        HOURS[0],
        control(50, "acknowledge_incident", **KNOWN),
        check_in(60, status="error", number=2),
        control(70, "acknowledge_incident", **KNOWN, incident_id="0" * 32),
        control(80, "acknowledge_incident", **KNOWN, acknowledged=False),
        control(85, "acknowledge_incident", **KNOWN, environment="nowhere"),
        control(86, "acknowledge_incident", **KNOWN | {"monitor_slug": "nobody"}),
    ]
    world = run(lines)
    (incident,) = world.rows("incidents")
    assert sorted(refusals(world)) == [
        "no incident is open",
        "no such environment",
        "no such monitor",
        "the incident is not acknowledged",
        f"the open incident is {incident['incident_id']}",
    ]
    assert world.rows("controls") == []
    assert world.rows("acknowledgements") == []


# --- views


def test_its_time_is_time_of_its_own():
    lines = [HOURS[0], maintenance(60, 2 * H, 5 * H), check_in(H, number=2), pulse(10 * H)]
    connection = Asked(run(lines)).connection
    found = connection.execute(
        "SELECT maintenance_seconds, ok_seconds + failing_seconds + unknown_seconds, disabled_seconds FROM uptime_daily"
    ).fetchall()
    assert found == [(3 * H, 7 * H, 0)]
    (row,) = connection.execute(
        "SELECT maintenance_seconds, ok_seconds, failing_seconds FROM uptime(NULL, NULL)"
    ).fetchall()
    assert row == (3 * H, 2 * H, 5 * H)
    states = connection.execute("SELECT state FROM state_periods ORDER BY began_at").fetchall()
    assert states == [("ok",), ("maintenance",), ("failing",)]


def test_the_time_of_an_owner_is_that_of_the_owner_then():
    lines = [
        check_in(0, number=1, config=HOURLY | {"owner": "team:a"}),
        maintenance(60, H, 9 * H, owner="team:b"),
        check_in(2 * H, number=2, config=HOURLY | {"owner": "team:b"}),
        pulse(4 * H),
    ]
    connection = Asked(run(lines)).connection
    found = connection.execute(
        "SELECT owner, maintenance_seconds FROM uptime_daily ORDER BY owner"
    ).fetchall()
    assert found == [("team:a", 0), ("team:b", 2 * H)]


def test_status_and_why_say_what_is_silenced_by_what_and_until_when():
    lines = [
        HOURS[0],
        control(
            60,
            "snooze",
            silence_id="z",
            project_id=1,
            monitor_slug="m",
            until=at(5 * H),
            who="ann",
            note="known",
        ),
        pulse(4 * H),
    ]
    asked = Asked(run(lines))
    found = asked.connection.execute(
        "SELECT silence_id, epoch(silenced_until) FROM monitor_status"
    ).fetchall()
    assert found == [("z", at(5 * H))]
    assert (
        "It is silenced from 2025-03-03 00:01 UTC until 2025-03-03 05:00 UTC by snooze z, announced by ann (known): "
        "failures are recorded, and nobody is notified." in asked.why()
    )
    assert "silenced" not in asked.at(30)
    later = Asked(run([*lines, pulse(7 * H)]))
    assert later.connection.execute("SELECT silenced_until FROM monitor_status").fetchall() == [(None,)]
    assert "It was silenced from 2025-03-03 00:01 UTC until 2025-03-03 05:00 UTC by snooze z" in later.why()


def test_why_says_who_acknowledged_it():
    lines = [HOURS[0], check_in(60, status="error", number=2), control(70, "acknowledge_incident", **KNOWN)]
    text = Asked(run(lines)).why()
    assert "The incident is acknowledged, at 2025-03-03 00:01:10 UTC by ann." in text


# --- however it is read


@st.composite
def with_silences(draw: st.DrawFn) -> list[Any]:
    """Random lines, and maintenances about all of it that are announced and ended at random."""
    lines = draw(streams(["alpha", "beta"]))
    timed = [line for line in lines if isinstance(line, dict)]
    last_s = timed[-1]["ts"] - START_S
    more = []
    for number in range(draw(st.integers(1, 3))):
        said, start, lasts = (draw(st.integers(0, int(last_s) + 60)) for _ in range(3))
        end = max(start, said) + lasts + 1
        owner = draw(st.sampled_from([{}, {}, {"slug": "al*"}, {"owner": "*"}]))
        more.append(maintenance(said, start, end, silence_id=f"s{number}", **owner))
        if draw(st.booleans()):
            more.append(
                control(
                    said + draw(st.integers(0, lasts)), "end_silence", project_id=1, silence_id=f"s{number}"
                )
            )
    return sorted([*timed, *more], key=lambda line: line["ts"])


@few
@given(with_silences(), batchings())
def test_silences_do_not_depend_on_batches(lines, sizes):
    assert_same(run(lines), run(lines, {"checkins.jsonl": Plan(sizes)}))


@few
@given(with_silences(), st.lists(st.sampled_from([1, 2, 3]), min_size=4, max_size=20), st.integers(0, 12))
def test_silences_outlive_a_stop_at_any_batch(lines, sizes, crash_at):
    every = timedelta(seconds=0)
    with TemporaryDirectory() as folder:
        init_db_dir(Path(folder), 1)
        world, recovery = World(), RecoveryConfig(folder)
        plan = {"checkins.jsonl": Plan(sizes, crash_at)}
        run_until_crash(lines, plan, world=world, recovery=recovery, epoch_interval=every)
        plan = {"checkins.jsonl": Plan(sizes)}
        run(lines, plan, world=world, recovery=recovery, epoch_interval=every)
    assert_same(run(lines), world)


def test_whose_a_monitor_is_outlives_a_stop():
    lines = [
        check_in(0, number=1, config=HOURLY | {"owner": "team:a"}),
        maintenance(60, H, 9 * H, organization_id=1, owner="team:a"),
        pulse(90),
        pulse(3 * H + 120),
    ]
    every = timedelta(seconds=0)
    with TemporaryDirectory() as folder:
        init_db_dir(Path(folder), 1)
        world, recovery = World(), RecoveryConfig(folder)
        plan = {"checkins.jsonl": Plan([1] * 9, 3)}
        run_until_crash(lines, plan, world=world, recovery=recovery, epoch_interval=every)
        run(lines, world=world, recovery=recovery, epoch_interval=every)
    assert statuses(world) == {"ok": 1, "unknown": 3}


@few
@given(with_silences(), batchings(), batchings())
def test_silences_do_not_depend_on_where_controls_are_read(lines, sizes, others):
    """Controls in an input of their own, which is ahead or late, and check-ins in two."""
    controls = [line for line in lines if "control" in line]
    check_ins = [line for line in lines if "control" not in line]
    one = run({"a": check_ins, "controls": controls}, controls=["controls"])
    plans = {"a": Plan(sizes), "controls": Plan(others)}
    assert_same(one, run({"a": check_ins, "controls": controls}, plans, controls=["controls"]))
