"""What is kept so that `why` can tell: configs that no longer hold, and who muted what when."""

from __future__ import annotations

from tests.builders import HOURLY, START_S, check_in, control, pulse
from tests.flow.memory import run

NAMES = {"project_id": 1, "monitor_slug": "m"}
OTHER = {"schedule": {"type": "interval", "value": 2, "unit": "hour"}, "checkin_margin": 9}


def seconds(us):
    return us / 1e6 - START_S


def configs(world):
    rows = sorted(world.rows("monitor_config_history"), key=lambda row: row["replaced_at"])
    return [(seconds(row["replaced_at"]), row["schedule"], row["checkin_margin"]) for row in rows]


def mutes(world):
    rows = sorted(world.rows("mute_history"), key=lambda row: row["changed_at"])
    return [(seconds(row["changed_at"]), row["environment"], row["is_muted"]) for row in rows]


def test_a_config_is_kept_when_another_takes_its_place():
    lines = [
        check_in(0, number=1, config=HOURLY),
        check_in(10, number=2, config=HOURLY),
        check_in(20, number=3, config=OTHER),
        control(30, "upsert_monitor", **NAMES, monitor_config=HOURLY),
    ]
    assert configs(run(lines)) == [(20, "0 * * * *", None), (30, "2 hour", 9)]


def test_a_monitor_that_never_changed_has_no_history():
    assert configs(run([check_in(0, number=1, config=HOURLY), check_in(9, number=2)])) == []


def test_it_is_kept_when_monitors_and_environments_are_muted_and_unmuted():
    lines = [
        check_in(0, number=1, config=HOURLY),
        control(10, "mute", **NAMES, muted=True),
        control(20, "mute", **NAMES, muted=True),
        control(30, "mute", **NAMES, environment="production", muted=True),
        control(40, "mute", **NAMES, muted=False),
    ]
    assert mutes(run(lines)) == [(10, "", True), (30, "production", True), (40, "", False)]


def test_a_deleted_monitor_leaves_neither():
    lines = [
        check_in(0, number=1, config=HOURLY),
        control(10, "mute", **NAMES, muted=True),
        check_in(20, number=2, config=OTHER),
        control(30, "delete_monitor", **NAMES),
        pulse(60),
    ]
    world = run(lines)
    assert (configs(world), mutes(world)) == ([], [])
