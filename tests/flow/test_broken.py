"""Broken monitors: recorded after 14 days, muted after 28, and all of it taken back by a success."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.monitors.due import earliest_due
from dataflow.monitors.environment import Environment
from dataflow.monitors.times import FAR_MINUTE
from tests.builders import START_S, check_in, control, pulse
from tests.flow.memory import run
from tests.flow.same import same_after_a_crash, same_in_any_order, same_in_batches
from tests.flow.streams import batchings
from tests.flow.test_properties import few, several

DAY = 86_400
NIGHTLY = {"schedule": {"type": "crontab", "value": "0 0 * * *"}}
NAMES = {"project_id": 1, "monitor_slug": "m"}
FAST: dict[str, Any] = {"volume_anomalies": False}
"""For streams of months: of most of their minutes there is nothing to judge."""
FIRST = check_in(10, number=1, config=NIGHTLY)  # missed from day 1 on, noticed a minute later


def own(world):
    """What was sent about broken monitors: (day, kind)."""
    rows = [row for row in world.rows("status_changes") if row["payload_type"].startswith("monitor_")]
    return [(day(row["created_at"]), row["payload_type"]) for row in sorted(rows, key=_when)]


def _when(row):
    return row["created_at"]


def day(us):
    return None if us is None else round((us / 1e6 - START_S) / DAY, 4)


def record(world):
    """The rows of broken_monitors: days of detection, muting, recovery."""
    rows = sorted(world.rows("broken_monitors"), key=lambda row: row["detected_at"])
    return [tuple(map(day, (row["detected_at"], row["muted_at"], row["recovered_at"]))) for row in rows]


def is_muted(world):
    (row,) = world.rows("monitor_environments")
    return row["is_muted"]


@pytest.mark.parametrize(("seconds", "rows"), [(15 * DAY, []), (15 * DAY + 60, [(15.0007, None, None)])])
def test_an_incident_of_14_days_with_its_newest_check_ins_failing_is_recorded(seconds, rows):
    assert record(run([FIRST, pulse(seconds)])) == rows


def test_the_message_says_who_and_since_when():
    world = run([FIRST, pulse(15 * DAY + 60)])
    (row,) = [row for row in world.rows("status_changes") if row["payload_type"] == "monitor_broken"]
    (incident,) = world.rows("incidents")
    message = json.loads(world.messages[row["message_id"]])
    assert message["fingerprint"] == [incident["fingerprint"]]
    assert (message["monitor"]["slug"], message["environment"]) == ("m", "production")
    assert message["since"] == START_S + DAY + 60
    assert message["text"] == (
        "m (production) has failed for 14 days, since 2025-03-04: fix it or delete it; in 14 days it will be muted"
    )
    assert row["payload"] == world.messages[row["message_id"]]


def test_after_14_further_days_it_is_muted_and_no_longer_notified():
    world = run([FIRST, pulse(40 * DAY)])
    assert record(world) == [(15.0007, 29.0007, None)]
    assert own(world) == [(15.0007, "monitor_broken"), (29.0007, "monitor_muted")]
    assert is_muted(world)
    sent = [row["created_at"] for row in world.rows("status_changes") if row["payload_type"] == "occurrence"]
    assert len(sent) == 29  # the miss of day 29 is noticed in the minute in which it is muted, before that


def test_a_success_takes_everything_back():
    world = run([FIRST, pulse(30 * DAY), check_in(30 * DAY + 100, number=2), pulse(33 * DAY)])
    assert record(world) == [(15.0007, 29.0007, 30.0007)]
    assert own(world)[2:] == [(30.0012, "monitor_unmuted")]
    assert not is_muted(world)
    assert sum(row["payload_type"] == "occurrence" for row in world.rows("status_changes")) > 29


def test_a_success_that_does_not_resolve_the_incident_takes_it_back_too_and_the_days_count_anew():
    config = NIGHTLY | {"recovery_threshold": 2}
    first = check_in(10, number=1, config=config)
    world = run([first, check_in(20 * DAY + 100, number=2), pulse(34 * DAY), pulse(36 * DAY)])
    assert len(world.rows("incidents")) == 1
    assert record(world) == [(15.0007, None, 20.0007), (34.0007, None, None)]


def test_fewer_failing_check_ins_in_a_row_are_not_enough():
    weekly = {"schedule": {"type": "interval", "value": 7, "unit": "day"}}
    lines = [check_in(10, number=1, config=weekly)]
    assert record(run([*lines, pulse(27 * DAY)])) == []  # missed on day 7, 14, 21
    assert record(run([*lines, pulse(29 * DAY)])) == [(28.0007, None, None)]


def test_where_a_person_has_muted_it_it_is_recorded_quietly_and_stays_as_the_person_wants():
    mute = control(100, "mute", **NAMES, environment="production", muted=True)
    world = run([FIRST, mute, pulse(40 * DAY), check_in(40 * DAY + 100, number=2), pulse(40 * DAY + 200)])
    assert record(world) == [(15.0007, None, 40.0007)]
    assert own(world) == []
    assert is_muted(world)


def test_what_a_person_mutes_after_it_was_muted_is_not_unmuted_by_a_success():
    mute = control(30 * DAY, "mute", **NAMES, environment="production", muted=True)
    world = run([FIRST, pulse(30 * DAY), mute, check_in(31 * DAY + 5, number=2)])
    assert record(world) == [(15.0007, 29.0007, 31.0)]
    assert is_muted(world)
    assert len(own(world)) == 2


def test_what_a_person_unmutes_is_muted_again_after_14_days():
    unmute = control(30 * DAY, "mute", **NAMES, environment="production", muted=False)
    assert own(run([FIRST, pulse(30 * DAY), unmute, pulse(45 * DAY)]))[2:] == [(44.0, "monitor_muted")]


def test_time_during_which_the_monitor_was_disabled_does_not_count():
    lines = [
        FIRST,
        pulse(10 * DAY),
        control(10 * DAY, "set_monitor_status", **NAMES, status="disabled"),
        control(20 * DAY, "set_monitor_status", **NAMES, status="active"),
    ]  # the newest of its check-ins were missed on the days 1 to 9
    assert record(run([*lines, pulse(33 * DAY)])) == []
    assert record(run([*lines, pulse(35 * DAY)])) == [(34.0, None, None)]


def test_a_deleted_monitor_leaves_no_record():
    assert record(run([FIRST, pulse(16 * DAY), control(17 * DAY, "delete_monitor", **NAMES)])) == []


@st.composite
def long_streams(draw, slugs):
    """Nightly and hourly jobs over months, mostly failing."""
    schedules = [NIGHTLY, NIGHTLY | {"recovery_threshold": 3, "failure_issue_threshold": 2}]
    lines = [
        check_in(0, slug, number=9000 + n, config=draw(st.sampled_from(schedules)))
        for n, slug in enumerate(slugs)
    ]
    at_s = 0
    for number in range(draw(st.integers(1, 15))):
        at_s += draw(st.sampled_from([60, DAY, 5 * DAY, 14 * DAY, 20 * DAY]))
        names = {"project_id": 1, "monitor_slug": draw(st.sampled_from(slugs))}
        kind = draw(st.integers(0, 9))
        if kind <= 4:
            status = draw(st.sampled_from(["ok", "error", "error", "in_progress"]))
            lines.append(check_in(at_s, names["monitor_slug"], status, number=number + 1))
        elif kind <= 6:
            lines.append(pulse(at_s))
        elif kind == 7:
            muted = draw(st.booleans())
            lines.append(control(at_s, "mute", **names, environment="production", muted=muted))
        elif kind == 8:
            status = draw(st.sampled_from(["disabled", "active"]))
            lines.append(control(at_s, "set_monitor_status", **names, status=status))
        else:
            lines.append(control(at_s, "mute", **names, muted=draw(st.booleans())))
    return [*lines, pulse(at_s + 10 * DAY)]


@several
@given(long_streams(["alpha", "beta"]), batchings())
def test_any_batching_gives_the_same(lines, sizes):
    same_in_batches(lines, sizes, **FAST)


@few
@given(st.tuples(long_streams(["alpha"]), long_streams(["beta"])), st.tuples(batchings(), batchings()))
def test_any_interleaving_and_number_of_workers_give_the_same(partitions, sizes):
    same_in_any_order(partitions, sizes, workers=2, **FAST)


@few
@given(long_streams(["alpha", "beta"]), st.integers(0, 8))
def test_stopping_at_any_batch_and_resuming_gives_the_same(lines, crash_at):
    same_after_a_crash(lines, crash_at, **FAST)


@several
@given(long_streams(["alpha"]))
def test_the_record_tells_what_is_broken_now(lines):
    world = run(lines, **FAST)
    for row in world.rows("broken_monitors"):
        assert row["muted_at"] is None or row["muted_at"] >= row["detected_at"] + 14 * DAY * 10**6
        assert row["recovered_at"] is None or row["recovered_at"] >= row["detected_at"]
    open_ids = {row["open_incident_id"] for row in world.rows("monitor_environments")}
    for row in world.rows("broken_monitors"):
        if row["recovered_at"] is None:
            assert row["incident_id"] in open_ids


def test_a_snapshot_of_an_earlier_release_is_read():
    before = [
        "production",
        2,
        False,
        5,
        6,
        7,
        7,
        None,
        None,
        b"",
        None,
        0,
        ["a" * 32, "b" * 32, b"g" * 16, 60],
    ]
    environment = msgspec.msgpack.decode(msgspec.msgpack.encode(before), type=Environment)
    assert environment.flapping is None
    assert environment.incident is not None
    assert environment.incident.due_minute == FAR_MINUTE
    assert earliest_due(environment) == 7
