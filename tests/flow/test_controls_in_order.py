"""A control acts at its own time, however its input and those of the check-ins are read (SPEC, section 8)."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from bytewax.recovery import RecoveryConfig, init_db_dir
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import check_in, control, pulse
from tests.flow.memory import Plan, World, run, run_until_crash
from tests.flow.streams import _control as any_control
from tests.flow.streams import batchings
from tests.flow.test_properties import assert_same, few

pytestmark = pytest.mark.usual_blocks

EVERY_MINUTE = {"schedule": {"type": "crontab", "value": "* * * * *"}}
NAMED = {"project_id": 1, "monitor_slug": "m"}
CONTROLS = "controls"
DISABLE = control(11 * 60 + 30, "set_monitor_status", **NAMED, status="disabled")
SIXTY = [check_in(60 * minute, number=minute + 1, config=EVERY_MINUTE) for minute in range(60)]
"""One run a minute, for an hour."""


def apart(check_ins: Any, controls: Any, parts: int = 1) -> dict[str, Any]:
    """Check-ins in some partitions, in turn, and controls in one of their own."""
    inputs: dict[str, Any] = {f"{part}.jsonl": check_ins[part::parts] for part in range(parts)}
    return inputs | {CONTROLS: controls}


def plans(inputs: Any, size: int, late: str | None = None) -> dict[str, Plan]:
    """Batches of one size; one input is read only when all others are."""
    return {name: Plan([0] * 200 * (name == late) + [size] * 100) for name in inputs}


def ran(world: World) -> int:
    return Counter(row["status"] for row in world.rows("check_ins"))["ok"]


@pytest.mark.parametrize("as_topic", [True, False])
@pytest.mark.parametrize("size", [1, 64, 4096])
@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("late", [CONTROLS, "0.jsonl"])
def test_a_monitor_that_is_disabled_after_twelve_runs_has_twelve(as_topic, size, parts, late):
    inputs = apart(SIXTY, [DISABLE], parts)
    controls = [CONTROLS] if as_topic else []
    world = run(inputs, plans(inputs, size, late), controls=controls)
    assert ran(world) == 12
    assert len(world.rows("processing_errors")) == 48


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("late", [CONTROLS, "0.jsonl"])
def test_a_monitor_that_is_deleted_comes_back_with_the_next_run_only(workers, late):
    inputs = apart(SIXTY, [control(690, "delete_monitor", **NAMED)], 2)
    world = run(inputs, plans(inputs, 7, late), controls=[CONTROLS], workers=workers)
    assert ran(world) == 48
    assert [row["created_at"] for row in world.rows("monitors")] == [1_740_960_720_000_000]


@pytest.mark.parametrize("late", [CONTROLS, "0.jsonl", None])
@pytest.mark.parametrize("size", [1, 64])
def test_enabling_and_muting_act_at_their_own_times(late, size):
    controls = [
        DISABLE,
        control(20 * 60 + 30, "set_monitor_status", **NAMED, status="active"),
        control(30 * 60 + 30, "set_killswitch", organization_id=1, enabled=True),
        control(40 * 60 + 30, "set_killswitch", organization_id=1, enabled=False),
    ]
    inputs = apart(SIXTY, controls, 2)
    world = run(inputs, plans(inputs, size, late), controls=[CONTROLS])
    kinds = Counter(kind for row in world.rows("processing_errors") for kind in row["error_types"])
    assert kinds == {"MONITOR_DISABLED": 9, "ORGANIZATION_KILLSWITCH_ENABLED": 10}


@pytest.mark.parametrize("delay_s", [0, 5, 60])
@pytest.mark.parametrize("late", [CONTROLS, "0.jsonl"])
def test_what_is_further_apart_than_the_clock_delay_is_in_order(delay_s, late):
    at_s = 11 * 60 + 30
    lines = [
        check_in(0, number=1, config=EVERY_MINUTE),
        check_in(at_s - delay_s - 1, number=2),
        check_in(at_s + delay_s + 1, number=3),
        pulse(at_s + 600),
    ]
    inputs = apart(lines, [DISABLE])
    world = run(inputs, plans(inputs, 1, late), controls=[CONTROLS], clock_delay_seconds=delay_s)
    assert ran(world) == 2


def test_ticks_before_a_control_come_before_it_and_later_ones_after_it():
    """A job of which nothing is heard is missed until it is disabled, and no longer."""
    lines = [check_in(0, config=EVERY_MINUTE), *(check_in(60 * n, "other", number=n) for n in range(1, 40))]
    inputs = apart(lines, [DISABLE])
    worlds = [
        run(inputs, plans(inputs, size, late), controls=[CONTROLS])
        for size in (1, 64, 4096)
        for late in (CONTROLS, "0.jsonl", None)
    ]
    for left, right in pairwise(worlds):
        assert_same(left, right)
    missed = [row for row in worlds[0].rows("check_ins") if row["status"] == "missed"]
    assert len(missed) == 10  # of minutes 1 to 10: that of 11 is due at 12


@st.composite
def streams_with_controls(draw: st.DrawFn) -> dict[str, Any]:
    """Each monitor's check-ins in one partition, controls of all of them in others."""
    slugs = ["alpha", "beta", "gamma"]
    inputs: dict[str, Any] = {}
    for index, slug in enumerate(slugs):
        at_s = 0.0
        lines = [check_in(0, slug, number=7000 + index, config=EVERY_MINUTE)]
        for number in range(draw(st.integers(0, 12))):
            at_s += draw(st.sampled_from([1, 30, 60, 61, 300]))
            status = draw(st.sampled_from(["ok", "error", "in_progress"]))
            lines.append(check_in(at_s, slug, status, number=100 * index + number + 1))
        inputs.setdefault(f"{draw(st.integers(0, 1))}.jsonl", []).extend(lines)
    for lines in inputs.values():
        lines.sort(key=lambda line: line["ts"])
    at_s, controls = 0.0, []
    for _ in range(draw(st.integers(0, 6))):
        at_s += draw(st.sampled_from([1, 31, 62, 301]))
        controls.append(draw(any_control(at_s + 0.5, slugs)))
    inputs[CONTROLS] = controls
    return inputs


@few
@given(streams_with_controls(), st.data(), st.booleans())
def test_however_inputs_are_read_the_same_comes_out(inputs, data, as_topic):
    controls = [CONTROLS] if as_topic else []
    chosen = {name: Plan(data.draw(batchings())) for name in inputs}
    alone = run(inputs, controls=controls)
    assert_same(alone, run(inputs, chosen, controls=controls))
    # With several groups of organizations, all that was read goes to each of them.
    assert_same(alone, run(inputs, chosen, controls=controls, key_groups=64))


@few
@given(streams_with_controls(), st.data())
def test_on_several_workers_the_same_comes_out(inputs, data):
    chosen = {name: Plan(data.draw(batchings())) for name in inputs}
    alone = run(inputs, controls=[CONTROLS])
    assert_same(alone, run(inputs, chosen, controls=[CONTROLS], workers=2))


@few
@given(streams_with_controls(), st.integers(0, 12), st.data())
def test_stopped_while_items_wait_and_resumed_the_same_comes_out(inputs, crash_at, data):
    sizes = {name: [2] * 20 if name != CONTROLS else data.draw(batchings()) for name in inputs}
    with TemporaryDirectory() as folder:
        init_db_dir(Path(folder), 1)
        world = World()
        stored: dict[str, Any] = {
            "world": world,
            "recovery": RecoveryConfig(folder),
            "epoch_interval": timedelta(0),
            "controls": [CONTROLS],
        }
        crashing = {name: Plan(each, crash_at if name == "0.jsonl" else None) for name, each in sizes.items()}
        run_until_crash(inputs, crashing, **stored)
        run(inputs, {name: Plan(each) for name, each in sizes.items()}, **stored)
        assert_same(run(inputs, controls=[CONTROLS]), world)


@few
@given(streams_with_controls())
def test_a_store_made_again_gives_the_same_rows(inputs):
    once = run(inputs, controls=[CONTROLS])
    run(inputs, plans(inputs, 3, CONTROLS), world=once, controls=[CONTROLS])
    assert_same(once, run(inputs, controls=[CONTROLS]))
