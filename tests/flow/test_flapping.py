"""Flapping environments: what is sent, what waits, and what is recorded all the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.builders import START_S, check_in, control, guid, pulse
from tests.examples import examples
from tests.flow.memory import run
from tests.flow.same import same_after_a_crash, same_in_any_order, same_in_batches, same_in_ticks
from tests.flow.streams import batchings, streams
from tests.flow.test_properties import few, several

NIGHTLY = {"schedule": {"type": "crontab", "value": "0 0 * * *"}}
MINUTE = 60
OPTIONS: dict[str, Any] = {"flapping_changes": 3, "flapping_window": 10}
TITLE = "Monitor flapping: m"


def turns(*statuses, step_s=MINUTE):
    """One check-in a minute, from minute 1 on, under the numbers 1, 2, ..."""
    return [
        check_in(step_s * n, status=status, number=n, config=NIGHTLY if n == 1 else None)
        for n, status in enumerate(statuses, 1)
    ]


def sent(world):
    """What was sent, in order: (minute, kind, number of the check-in)."""
    rows = sorted(world.rows("status_changes"), key=lambda row: (row["created_at"], row["payload_type"]))
    out = []
    for row in rows:
        message = json.loads(world.messages[row["message_id"]])
        is_flapping = message.get("issue_title") == TITLE
        number = int(row["check_in_id"].hex(), 16)
        minute = (row["created_at"] / 1e6 - START_S) / MINUTE
        out.append((minute, "flapping" if is_flapping else message["payload_type"], number))
    return out


def is_flapping(world):
    (row,) = world.rows("monitor_environments")
    return row["is_flapping"]


def test_nothing_flaps_unless_it_is_set():
    lines = turns("ok", *["error", "ok"] * 10)
    assert len(sent(run(lines))) == 20
    assert not is_flapping(run(lines))


def test_as_many_changes_as_allowed_are_no_flapping():
    lines = turns("ok", "error", "ok", "error")
    world = run(lines, **OPTIONS)
    assert [kind for _, kind, _ in sent(world)] == ["occurrence", "status_change", "occurrence"]
    assert not is_flapping(world)


def test_one_more_is_notified_once_and_its_resolve_waits():
    world = run(turns("ok", "error", "ok", "error", "ok", "error", "ok"), **OPTIONS)
    assert sent(world)[3:] == [(5, "flapping", 5)]
    assert is_flapping(world)
    assert len(world.rows("incidents")) == 3


def test_an_occurrence_that_says_so_tells_the_number_of_changes():
    world = run(turns("error", "ok", "error", "ok", "error"), **(OPTIONS | {"flapping_changes": 4}))
    (message,) = [json.loads(m) for m in world.messages.values() if TITLE.encode() in m]
    assert message["payload_type"] == "occurrence"
    assert message["evidence_display"][0] == {
        "name": "Status changes",
        "value": "5 changes between ok and error within 10 minutes",
        "important": True,
    }


def test_calm_and_ok_resolves_what_was_notified_and_nothing_else():
    lines = turns("error", "ok", "error", "ok", "error", "ok")  # flaps with the fourth, at minute 4
    world = run([*lines, pulse(16 * MINUTE)], **OPTIONS)
    assert sent(world)[3:] == [(4, "flapping", 4), (13, "status_change", 4)]
    assert not is_flapping(world)


def test_calm_and_failing_is_notified_by_the_newest_failure_of_the_open_incident():
    lines = turns("error", "ok", "error", "ok", "error", "error", "error")
    world = run([*lines, pulse(20 * MINUTE)], **OPTIONS)
    assert sent(world)[3:] == [(4, "flapping", 4), (12, "occurrence", 7), (12, "status_change", 4)]


def test_flapping_that_begins_with_an_opening_ends_with_an_occurrence_of_the_same_incident():
    lines = turns("ok", "error", "ok", "error", "ok", "error")
    options = OPTIONS | {"flapping_changes": 4}
    world = run([*lines, pulse(20 * MINUTE)], **options)
    (_, first, _), (minute, second, number) = sent(world)[4:]
    assert (first, minute, second, number) == ("flapping", 12, "occurrence", 6)
    fingerprints = {
        json.loads(world.messages[row["message_id"]])["fingerprint"][0]
        for row in world.rows("status_changes")
        if row["check_in_id"].hex() == guid(6)
    }
    assert len(fingerprints) == 1


def test_after_it_is_calm_everything_is_notified_again():
    lines = turns("error", "ok", "error", "ok")
    lines += [check_in(60 * MINUTE, status="error", number=50), check_in(61 * MINUTE, number=51)]
    assert sent(run(lines, **OPTIONS))[5:] == [(60, "occurrence", 50), (61, "status_change", 51)]


def test_calm_is_noticed_by_a_tick_of_its_own():
    lines = turns("error", "ok", "error", "ok")
    before, after = (run([*lines, pulse(at_s)], **OPTIONS) for at_s in (11 * MINUTE - 1, 11 * MINUTE))
    assert (len(sent(before)), len(sent(after))) == (4, 5)


def test_further_changes_keep_it_going():
    lines = turns(*["error", "ok"] * 10)
    world = run([*lines, pulse(28 * MINUTE)], **OPTIONS)
    assert sent(world)[3:] == [(4, "flapping", 4), (27, "status_change", 4)]


@pytest.mark.parametrize("at_minute", [2, 5])
def test_where_it_is_muted_no_occurrence_is_sent_about_it(at_minute):
    mute = control(at_minute * MINUTE + 1, "mute", project_id=1, monitor_slug="m", muted=True)
    lines = turns("error", "ok", "error", "ok", "error", "ok", "error")
    world = run([*lines[:at_minute], mute, *lines[at_minute:], pulse(30 * MINUTE)], **OPTIONS)
    kinds = [kind for _, kind, _ in sent(world)]
    assert kinds.count("flapping") == (at_minute > 4)
    assert kinds.count("occurrence") == (at_minute + 1) // 2 - (at_minute > 4)
    assert kinds.count("status_change") == 2


def test_a_miss_and_a_recovery_in_turns_flap_too():
    config = {"schedule": {"type": "crontab", "value": "*/5 * * * *"}}
    lines = [check_in(0, number=1, config=config)]
    lines += [check_in(600 * n + 10, number=n + 1) for n in range(1, 8)]
    world = run(lines, flapping_changes=3, flapping_window=60)
    assert [kind for _, kind, _ in sent(world)].count("flapping") == 1
    assert len(world.rows("incidents")) == 7


def test_what_became_calm_while_disabled_is_said_when_the_monitor_is_enabled():
    names = {"project_id": 1, "monitor_slug": "m"}
    lines = turns("error", "ok", "error", "ok")
    lines += [
        control(5 * MINUTE, "set_monitor_status", **names, status="disabled"),
        control(100 * MINUTE, "set_monitor_status", **names, status="active"),
        pulse(102 * MINUTE),
    ]
    assert sent(run(lines, **OPTIONS))[3:] == [(4, "flapping", 4), (100, "status_change", 4)]


hypothesis_options = st.sampled_from(
    [{"flapping_changes": n, "flapping_window": w} for n in (1, 2, 4) for w in (5, 40, 600)]
)
QUIET = ("status_changes", "monitor_environments", "run_decisions")


@several
@given(streams(["alpha", "beta"]), batchings(), hypothesis_options)
def test_any_batching_gives_the_same(lines, sizes, options):
    same_in_batches(lines, sizes, **options)


@few
@given(
    st.tuples(streams(["alpha", "beta"]), streams(["gamma"])),
    st.tuples(batchings(), batchings()),
    hypothesis_options,
)
def test_any_interleaving_and_number_of_workers_give_the_same(partitions, sizes, options):
    same_in_any_order(partitions, sizes, workers=2, **options)


@several
@given(streams(["alpha", "beta"]), st.integers(1, 400), hypothesis_options)
def test_ticks_one_by_one_or_all_at_once_give_the_same(lines, minutes, options):
    same_in_ticks(lines, minutes, **options)


@settings(several, max_examples=examples(20))
@given(streams(["alpha", "beta"]), st.integers(0, 12), hypothesis_options)
def test_stopping_at_any_batch_and_resuming_gives_the_same(lines, crash_at, options):
    same_after_a_crash(lines, crash_at, **options)


@several
@given(streams(["alpha", "beta"]), hypothesis_options)
def test_only_messages_are_held_back_nothing_that_is_recorded(lines, options):
    plain, quiet = run(lines), run(lines, **options)
    for table in plain.tables.keys() - set(QUIET):
        assert plain.tables[table] == quiet.tables[table], table
    assert _environments(plain) == _environments(quiet)
    plain_decisions, quiet_decisions = _decisions(plain), _decisions(quiet)
    assert plain_decisions == quiet_decisions


def _environments(world):
    """What is kept of environments, but for what that it is calm changes."""
    return [{**row, "updated_at": None, "is_flapping": None} for row in world.rows("monitor_environments")]


def _decisions(world):
    """What was decided about runs, except what became of the message."""
    return sorted(
        ({**row, "message": None} for row in world.rows("run_decisions")),
        key=lambda row: (row["slug"], row["check_in_id"], row["verdict"]),
    )


@settings(max_examples=examples(100), deadline=None, suppress_health_check=list(HealthCheck))
@given(streams(["alpha", "beta"]), hypothesis_options)
def test_when_it_is_calm_the_world_knows_what_is_open_and_of_nothing_else(lines, options):
    """Without controls (a muted monitor is not notified, a deleted one not resolved), and long after the last line."""
    lines = [line for line in lines if not isinstance(line, dict) or "control" not in line]
    end_s = max(line["ts"] for line in lines if isinstance(line, dict)) - START_S
    world = run([*lines, pulse(end_s + 4 * 86_400)], **options)
    known, seen = set(), set()
    order = {message: n for n, message in enumerate(world.messages)}
    for row in sorted(world.rows("status_changes"), key=lambda row: order[row["message_id"]]):
        if row["payload_type"] == "occurrence":
            known.add(row["incident_id"])
            seen.add(row["incident_id"])
        else:
            assert row["incident_id"] in seen
            known.discard(row["incident_id"])
    calm = {
        row["open_incident_id"] for row in world.rows("monitor_environments") if not row["is_flapping"]
    } - {None}
    flapping = {
        row["environment"] + row["slug"] for row in world.rows("monitor_environments") if row["is_flapping"]
    }
    assert calm <= known
    if not flapping:
        assert known == calm
