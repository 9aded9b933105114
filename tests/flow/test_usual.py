"""The usual check-in is applied in one go (`monitors.usual`), and that comes to what the plain rules come to."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataflow.monitors import group
from dataflow.monitors.due import earliest_due
from dataflow.monitors.usual import take_usual
from dataflow.steps.transition import Transition
from tests.builders import check_in, pulse
from tests.examples import examples
from tests.flow.memory import Plan, run
from tests.flow.streams import batchings, streams
from tests.flow.test_order_of_runs import config_of, jobs
from tests.flow.test_properties import INPUT, assert_same

several = settings(max_examples=examples(100), deadline=None, suppress_health_check=list(HealthCheck))


@contextmanager
def plainly():
    """No check-in is taken for a usual one."""
    with patch.object(group, "take_usual", lambda *_: None):
        yield


def outcome(lines, sizes, **chosen):
    steps = []
    made = Transition.__init__

    def note(self, *arguments, **named):
        made(self, *arguments, **named)
        steps.append(self)

    with patch.object(Transition, "__init__", note):
        world = run(lines, {INPUT: Plan(sizes)}, **chosen)
    monitors = {key: monitor.state() for step in steps for key, monitor in step.group.monitors.items()}
    return world, {key: msgspec.msgpack.encode(state) for key, state in sorted(monitors.items())}


@several
@given(st.one_of(jobs().map(lambda job: job[1]), streams(["alpha", "beta"])), batchings())
def test_the_usual_path_and_the_plain_rules_agree(lines, sizes):
    world, held = outcome(lines, sizes, rate_limit=1000)
    with plainly():
        plain, plain_held = outcome(lines, sizes, rate_limit=1000)
    assert_same(world, plain)
    assert held == plain_held


@pytest.mark.parametrize("crontab", [True, False])
def test_runs_that_come_on_time_and_end_well_are_usual(crontab):
    config = config_of({"every": 5, "crontab": crontab, "max_runtime": 4})
    lines = [check_in(0, "m", "ok", 1, config=config)]
    for number in range(2, 40):
        at = 300 * (number - 1)
        lines.append(check_in(at + 1, "m", "in_progress", number))
        lines.append(check_in(at + 30, "m", "ok", number))
        lines.append(check_in(at + 40, "m", "ok", 1000 + number))
    seen: Counter[bool] = Counter()

    def counted(*arguments):
        due = take_usual(*arguments)
        seen[due is not None] += 1
        assert due in (None, earliest_due(arguments[1]))
        return due

    with patch.object(group, "take_usual", counted):
        world = run([*lines, pulse(300 * 39)])
    assert seen == {True: len(lines) - 1}  # the first one makes its environment
    assert {row["status"] for row in world.rows("check_ins")} == {"ok"}
