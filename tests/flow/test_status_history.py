"""When monitors were disabled is recorded, however that came about."""

from __future__ import annotations

from tests.builders import HOURLY, START_S, check_in, control
from tests.flow.memory import run

NAMES = {"project_id": 1, "monitor_slug": "m"}


def changes(lines, **options):
    """Seconds after the start, and the status from then on."""
    rows = run(lines, **options).rows("monitor_status_history")
    assert all((row["project_id"], row["slug"]) == (1, "m") for row in rows)
    return sorted((row["changed_at"] / 1e6 - START_S, row["status"]) for row in rows)


def set_status(at_s, status):
    return control(at_s, "set_monitor_status", **NAMES, status=status)


def test_a_monitor_that_was_always_active_has_no_row():
    assert changes([check_in(0, config=HOURLY), check_in(60, number=2), set_status(90, "active")]) == []


def test_each_control_that_changes_the_status_is_a_row():
    lines = [check_in(0, config=HOURLY), set_status(60, "disabled"), set_status(70, "disabled")]
    lines += [check_in(80, number=2), set_status(120, "active"), set_status(180, "disabled")]
    assert changes(lines) == [(60, "disabled"), (120, "active"), (180, "disabled")]


def test_a_monitor_created_without_a_seat_is_disabled_until_it_gets_one():
    lines = [check_in(0, config=HOURLY), check_in(30, number=2)]
    lines += [control(60, "set_seats", organization_id=1, seats=1), check_in(90, number=3)]
    assert changes(lines, monitor_seats=0) == [(0, "disabled"), (90, "active")]


def test_one_created_by_control_without_a_seat_too():
    lines = [control(5, "upsert_monitor", **NAMES, monitor_config=HOURLY)]
    assert changes(lines, monitor_seats=0) == [(5, "disabled")]


def test_a_deleted_monitor_leaves_no_history_to_one_of_the_same_name():
    lines = [check_in(0, config=HOURLY), set_status(60, "disabled"), set_status(120, "active")]
    lines += [control(180, "delete_monitor", **NAMES), check_in(240, number=2, config=HOURLY)]
    assert changes(lines) == []
    assert changes([*lines, set_status(300, "disabled")]) == [(300, "disabled")]
