"""Ways to read the same input that must give the same: batches, partitions, ticks, restarts."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bytewax.recovery import RecoveryConfig, init_db_dir

from tests.builders import START_S, pulse
from tests.flow.memory import Plan, World, run, run_until_crash
from tests.flow.test_properties import assert_same

INPUT = "checkins.jsonl"


def same_in_batches(lines: Any, sizes: Any, **options: Any) -> None:
    """However the lines are batched."""
    assert_same(run(lines, **options), run(lines, {INPUT: Plan(sizes)}, **options))


def same_in_any_order(partitions: Any, sizes: Any, *, workers: int = 1, **options: Any) -> None:
    """However partitions are interleaved, on one worker and on several."""
    inputs = {f"{n}.jsonl": lines for n, lines in enumerate(partitions)}
    plans = {f"{n}.jsonl": Plan(each) for n, each in enumerate(sizes)}
    alone = run(inputs, **options)
    assert_same(alone, run(inputs, plans, **options))
    if workers > 1:
        assert_same(alone, run(inputs, plans, workers=workers, **options))


def same_in_ticks(lines: Any, minutes: int, **options: Any) -> None:
    """Whether the clock goes minute by minute or jumps."""
    end_s = max(line["ts"] for line in lines if isinstance(line, dict)) - START_S
    at_once = [*lines, pulse(end_s + 60 * minutes)]
    one_by_one = lines + [pulse(end_s + 60 * minute) for minute in range(1, minutes + 1)]
    left, right = run(at_once, **options), run(one_by_one, **options)
    for world in (left, right):
        world.tables["partitions"].clear()
    assert_same(left, right)


def same_after_a_crash(lines: Any, crash_at: int, **options: Any) -> None:
    """Stopped before any batch of two lines, and resumed."""
    sizes = [2] * 20
    with TemporaryDirectory() as folder:
        init_db_dir(Path(folder), 1)
        world = World()
        stored: dict[str, Any] = {
            "world": world,
            "recovery": RecoveryConfig(folder),
            "epoch_interval": timedelta(0),
        }
        run_until_crash(lines, {INPUT: Plan(sizes, crash_at)}, **stored, **options)
        run(lines, {INPUT: Plan(sizes)}, **stored, **options)
        assert_same(run(lines, **options), world)
