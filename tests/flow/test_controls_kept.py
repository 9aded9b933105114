"""The table `controls`: what took effect, and nothing else."""

from __future__ import annotations

from tests.builders import HOURLY, START_S, check_in, control, pulse
from tests.flow.memory import Plan, run

NAMES = {"project_id": 1, "monitor_slug": "m"}


def test_controls_that_took_effect_are_kept_and_those_that_were_refused_are_not():
    lines = [
        check_in(0, number=1, config=HOURLY),
        control(10, "mute", **NAMES, muted=True),
        control(11, "mute", project_id=1, monitor_slug="nobody", muted=True),
        control(12, "set_seats", organization_id=1, seats=5),
        control(
            13, "upsert_sampling_rule", organization_id=1, project_ids=[], condition={"op": "and", "inner": []},
            start="2025-03-03T00:00:00Z", end="2025-03-04T00:00:00Z", num_samples=5, sample_rate=1.0, query="",
        ),
        control(14, "delete_monitor", **NAMES),
        pulse(120),
    ]  # fmt: skip
    world = run(lines)
    kept = sorted(
        (row["received_at"] // 1_000_000 - START_S, row["type"], row["slug"])
        for row in world.rows("controls")
    )
    assert kept == [
        (10, "mute", "m"),
        (12, "set_seats", None),
        (13, "upsert_sampling_rule", None),
        (14, "delete_monitor", "m"),
    ]


def test_controls_are_kept_once_however_the_input_is_batched():
    lines = [check_in(0, number=1, config=HOURLY), control(10, "mute", **NAMES, muted=True), pulse(120)]
    one, other = run(lines), run(lines, {"checkins.jsonl": Plan([1, 1, 1])})
    assert one.tables["controls"] == other.tables["controls"] != {}
