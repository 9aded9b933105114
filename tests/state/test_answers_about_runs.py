"""Views and macros about runs, noise, errors and one monitor's story, against numbers worked out by hand."""

from __future__ import annotations

import pytest

from tests.state.answer_rows import START, World, at, minutes

DAY = 24 * 60
WEEK = 7 * DAY


def test_late_starts_are_measured_against_the_expected_time():
    world = World(now=100)
    world.monitor(checkin_margin=5)
    for minute, late in ((10, 0), (20, 1), (30, 2), (40, 4), (50, -0.5)):
        world.check_in(minute + late, expected_time=at(minute))
    world.check_in(60, "missed", expected_time=at(60))
    world.check_in(64, expected_time=at(70))
    assert world.answer("runs, late_runs, p50_late, p95_late, max_late, checkin_margin", "late_starts") == [
        (6, 4, minutes(1.5), minutes(4), minutes(4), 5)  # the last one is the run that was missed
    ]
    assert world.answer("late_seconds", "runs WHERE status = 'ok' AND due_at = $1", at(60)) == [(240.0,)]


@pytest.fixture
def hourly():
    world = World(now=600)
    world.monitor(schedule_type="crontab", checkin_margin=5)
    world.check_in(0)
    world.check_in(60, expected_time=at(60))
    return world


def test_a_second_run_for_one_time_is_unexpected(hourly):
    extra = hourly.check_in(61, expected_time=at(120))
    hourly.check_in(120, expected_time=at(120))
    assert hourly.answer("check_in_id, early_by", "unexpected_runs") == [(extra, minutes(59))]


def test_a_late_run_makes_good_for_its_miss(hourly):
    hourly.check_in(120, "missed", expected_time=at(120))
    hourly.check_in(130, expected_time=at(180))
    hourly.check_in(180, expected_time=at(180))
    assert hourly.answer("check_in_id", "unexpected_runs") == []


def test_a_run_whose_clock_is_a_little_fast_is_not_unexpected(hourly):
    hourly.check_in(119.9, expected_time=at(120))
    hourly.check_in(120, "missed", expected_time=at(120))
    hourly.check_in(179.9, expected_time=at(180))
    assert hourly.answer("check_in_id", "unexpected_runs") == []


def test_an_interval_is_counted_from_start_to_start():
    world = World(now=600)
    world.monitor(schedule_type="interval", checkin_margin=5)
    world.check_in(0, date_updated=at(20))
    world.check_in(60, expected_time=at(80), date_updated=at(80))
    extra = world.check_in(100, expected_time=at(140), date_updated=at(101))
    assert world.answer("check_in_id, early_by", "unexpected_runs") == [(extra, minutes(20))]


def test_the_noisiest_is_who_most_was_said_about_in_the_last_week():
    world = World(now=WEEK)
    told = [("loud", "occurrence", "i1")] * 2 + [
        ("loud", "status_change", "i1"),
        ("quiet", "occurrence", "i2"),
    ]
    for minute, (slug, kind, incident) in enumerate(told):
        world.insert(
            "status_changes",
            project_id=1,
            slug=slug,
            environment="production",
            payload_type=kind,
            incident_id=incident,
            created_at=at(minute),
        )
    world.insert("status_changes", project_id=1, slug="old", payload_type="occurrence", created_at=at(-1))
    assert world.rows("SELECT * EXCLUDE (organization_id, name, owner) FROM noisiest") == [
        (1, "loud", "production", 3, 2, 1, 1, 0.75, at(2)),
        (1, "quiet", "production", 1, 1, 0, 1, 0.25, at(3)),
    ]


def test_errors_are_summed_up_by_type_and_project():
    world = World(now=2 * DAY)
    for minute, project, slug, types in (
        (0, 1, "a", ["MONITOR_NOT_FOUND"]),
        (DAY, 1, "b", ["MONITOR_INVALID_CONFIG", "MONITOR_NOT_FOUND"]),
        (DAY + 1, 1, "a", ["MONITOR_NOT_FOUND"]),
        (5, None, None, ["MALFORMED_MESSAGE"]),
    ):
        world.insert(
            "processing_errors", received_at=at(minute), project_id=project, slug=slug, error_types=types
        )
    assert world.answer("*", "error_summary") == [
        (1, "MONITOR_INVALID_CONFIG", 1, 1, 1, at(DAY), at(DAY), "b"),
        (1, "MONITOR_NOT_FOUND", 3, 2, 2, at(0), at(DAY + 1), "a"),
        (None, "MALFORMED_MESSAGE", 1, 0, 0, at(5), at(5), None),
    ]


def test_a_timeline_tells_everything_in_order():
    world = World(now=100)
    failed = world.check_in(10, "error", duration_ms=5)
    incident = world.incident(10, 20, starting_check_in_id=failed)
    world.check_in(20, expected_time=at(19))
    world.check_in(15, slug="other")
    world.check_in(30)
    of = {"project_id": 1, "slug": "backup", "environment": "production"}
    world.insert("status_changes", **of, payload_type="occurrence", created_at=at(11), incident_id=incident)
    world.insert("processing_errors", **of, received_at=at(12), error_types=["CHECKIN_FINISHED", "OTHER"])
    rows = world.rows(
        "SELECT moment, event, what, duration_ms FROM timeline(1, 'backup', $1, $2)", START, at(30)
    )
    assert rows == [
        (at(10), "check-in", "error", 5),
        (at(10), "incident", "opened", None),
        (at(11), "message", "occurrence", None),
        (at(12), "rejected", "CHECKIN_FINISHED, OTHER", None),
        (at(20), "check-in", "ok", None),
        (at(20), "incident", "resolved", None),
    ]
