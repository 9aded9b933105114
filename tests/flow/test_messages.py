"""What is sent: one occurrence for the opening of an incident and each later failure, one resolve."""

from __future__ import annotations

import json
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from sentry_kafka_schemas import get_codec

from tests.builders import HOURLY, START_S, check_in, control, guid, pulse
from tests.examples import examples
from tests.flow.memory import run
from tests.flow.streams import streams

CODEC = get_codec("ingest-occurrences")
NIGHTLY = {"schedule": {"type": "crontab", "value": "0 0 * * *"}}


def messages(lines, **options):
    """The messages in the order of their rows' times, and the rows."""
    world = run(lines, **options)
    rows = sorted(world.rows("status_changes"), key=lambda row: row["created_at"])
    return [json.loads(world.messages[row["message_id"]]) for row in rows], rows


@settings(max_examples=examples(40), deadline=None, suppress_health_check=list(HealthCheck))
@given(streams(["alpha", "beta"]))
def test_every_message_is_valid_by_the_public_schema_and_has_its_row(lines):
    world = run(lines)
    rows = {row["message_id"]: row for row in world.rows("status_changes")}
    assert rows.keys() == world.messages.keys()
    for id_, payload in world.messages.items():
        message = CODEC.decode(payload, validate=True)
        assert message["id"] == id_
        assert rows[id_]["payload"] == payload
        assert message["payload_type"] == rows[id_]["payload_type"]


def reasons(lines):
    found, _ = messages(lines)
    return [
        message["evidence_display"][0]["value"]
        for message in found
        if message["payload_type"] == "occurrence"
    ]


def test_the_row_is_counted_by_kind_in_order_of_first_appearance():
    config = HOURLY | {"failure_issue_threshold": 6, "max_runtime": 5}
    lines = [check_in(0, number=1, config=config)]
    for hour, (status, number) in enumerate(
        [
            ("in_progress", 2),
            ("missed", 0),
            ("in_progress", 3),
            ("error", 4),
            ("missed", 0),
            ("in_progress", 5),
        ],
        1,
    ):
        at_s = hour * 3600
        lines.append(check_in(at_s, status=status, number=number) if number else pulse(at_s + 60))
        lines.append(pulse(at_s + 600))
    assert reasons(lines) == ["3 timeout, 2 missed and 1 error check-ins detected"]


def test_several_of_one_kind_are_counted():
    lines = [check_in(0, number=1, config=HOURLY | {"failure_issue_threshold": 3}), pulse(4 * 3600)]
    assert reasons(lines) == ["3 missed check-ins detected"]


def test_each_failure_after_the_opening_one_is_notified_by_itself():
    lines = [
        check_in(0, number=1, config=HOURLY),
        pulse(3 * 3600),
        check_in(3 * 3600 + 30, status="error", number=2),
    ]
    assert reasons(lines) == [
        "A missed check-in was detected",
        "A missed check-in was detected",
        "An error check-in was detected",
    ]


def test_messages_of_one_incident_share_its_fingerprint_and_have_ids_of_their_own():
    lines = [
        check_in(0, number=1, config=NIGHTLY),
        check_in(60, status="error", number=2),
        check_in(120, status="error", number=3),
        check_in(180, number=4),
        check_in(240, status="error", number=5),
    ]
    found, rows = messages(lines)
    kinds = [message["payload_type"] for message in found]
    assert kinds == ["occurrence", "occurrence", "status_change", "occurrence"]
    first, second = found[0]["fingerprint"], found[3]["fingerprint"]
    assert [message["fingerprint"] for message in found] == [first, first, first, second]
    assert first != second
    assert len({message["id"] for message in found}) == 4
    assert rows[0]["incident_id"] == rows[2]["incident_id"] != rows[3]["incident_id"]


def test_an_occurrence_tells_of_the_monitor_as_it_was():
    lines = [
        check_in(0, number=1, config={"schedule": {"type": "interval", "value": 2, "unit": "hour"}}),
        control(10, "upsert_monitor", project_id=1, monitor_slug="m", name="Nightly", monitor_config=NIGHTLY),
        check_in(60, status="error", number=2, contexts={"trace": {"trace_id": "ab" * 16}}),
        control(90, "upsert_monitor", project_id=1, monitor_slug="m", name="Other", monitor_config=HOURLY),
    ]
    (message,), _ = messages(lines)
    assert message["issue_title"] == "Monitor failure: Nightly"
    monitor = message["event"]["contexts"]["monitor"]
    assert (monitor["name"], monitor["slug"], monitor["status"]) == ("Nightly", "m", "error")
    assert (monitor["config"]["schedule"], monitor["config"]["schedule_type"]) == ("0 0 * * *", 1)
    assert message["event"]["contexts"]["trace"]["trace_id"] == "ab" * 16
    assert message["event"]["tags"] == {
        "monitor.id": monitor["id"],
        "monitor.slug": "m",
        "monitor.incident": _incident(lines),
    }
    assert message["detection_time"] == lines[2]["ts"]


def _incident(lines):
    (row,) = run(lines).rows("incidents")
    assert row["starting_check_in_id"].hex() == guid(2)
    return row["incident_id"]


@pytest.mark.parametrize("where", [{}, {"environment": "production"}])
def test_a_muted_failure_is_recorded_and_not_notified_and_its_end_is(where):
    lines = [
        check_in(0, number=1, config=NIGHTLY),
        control(10, "mute", project_id=1, monitor_slug="m", muted=True, **where),
        check_in(60, status="error", number=2),
        check_in(120, number=3),
    ]
    found, _ = messages(lines)
    assert [message["payload_type"] for message in found] == ["status_change"]
    (incident,) = run(lines).rows("incidents")
    assert incident["resolving_check_in_id"].hex() == guid(3)


def test_an_occurrence_says_which_check_in_it_is_about():
    config = HOURLY | {"checkin_margin": 5, "max_runtime": 10}
    found, rows = messages(
        [
            check_in(60, number=1, config=config),
            check_in(3600 + 30, status="error", number=2, duration=7.5),
            check_in(7200 + 30, status="in_progress", number=3),
            pulse(4 * 3600),
            check_in(4 * 3600 + 30, number=4),
        ]
    )
    about = [message["evidence_data"] for message in found if message["payload_type"] == "occurrence"]
    facts = [(each["status"], each["began"], each["expected"], each["duration_ms"]) for each in about]
    assert facts == [
        ("error", START_S + 3622.5, START_S + 3600, 7500),
        ("timeout", START_S + 7230.0, START_S + 7200, None),
        ("missed", None, START_S + 10800, None),
    ]
    assert {each["incident_began"] for each in about} == {START_S + 3622.5}
    occurrences = [row for row in rows if row["payload_type"] == "occurrence"]
    assert [UUID(each["check_in_id"]) for each in about] == [
        UUID(bytes=row["check_in_id"]) for row in occurrences
    ]
    [resolved] = [message for message in found if message["payload_type"] == "status_change"]
    assert resolved["detection_time"] == START_S + 4 * 3600 + 30


def test_what_flapping_leaves_to_be_said_names_its_check_in_as_far_as_it_is_known():
    lines = [check_in(60, number=1, config=HOURLY)]
    for minute, status in enumerate(("error", "ok", "error", "ok", "error"), 2):
        lines.append(check_in(60 * minute, status=status, number=minute))
    found, _ = messages([*lines, pulse(7200)], flapping_changes=2, flapping_window=10)
    later = [each for each in found if each.get("detection_time", 0) > START_S + 600]
    calm = next(each for each in later if each["payload_type"] == "occurrence")
    assert calm["evidence_data"]["status"] == "error"
    assert calm["evidence_data"]["began"] is None
