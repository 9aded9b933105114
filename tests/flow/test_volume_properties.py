"""System incidents: what comes out depends on what came in, not on how it was read."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bytewax.recovery import RecoveryConfig, init_db_dir
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.builders import check_in, pulse
from tests.examples import IS_FULL, examples
from tests.flow.memory import Plan, World, run, run_until_crash
from tests.flow.volume_days import (
    EVERY_FIVE,
    EVERY_MINUTE,
    QUARTERLY,
    RULES,
    assert_same,
    background,
    history,
    today,
)

few = settings(
    max_examples=examples(25),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[
        Phase.reuse,
        Phase.generate,
    ],  # to shrink three days of check-ins takes minutes, and shows no more
)


JOBS = ("alpha", "beta", "gamma")
CONFIGS = (EVERY_MINUTE, EVERY_FIVE, QUARTERLY)


@st.composite
def bad_days(draw):
    """Three partitions of a fourth day: each loses minutes of its own or all of them, and its job reports this and
    that."""
    first = draw(st.integers(3, 18))
    lost = set(range(first, first + draw(st.integers(0, 7)))) - draw(st.sets(st.integers(3, 24), max_size=3))
    partitions = []
    for part, slug in enumerate(JOBS):
        lines = history(range(30), part, 3)
        own = draw(st.sets(st.integers(3, 24), max_size=5))
        config = draw(st.sampled_from(CONFIGS))
        lines.append(check_in(60 * today(0), slug, number=6000 + part, config=config))
        second = 0
        for minute in range(1, 30):
            if minute not in lost | own:
                lines += background(today(minute), part=part, parts=3)
            for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2]))):
                second = draw(st.integers(2, 58))
                number = draw(st.sampled_from([0, 1, 2, 3, 4, 4 + minute, 4 + minute]))
                status = draw(st.sampled_from(["ok", "ok", "error", "in_progress", "in_progress"]))
                start_s = 60 * today(minute) + second - draw(st.sampled_from([0, 0, 0, 50, 130]))
                lines.append(
                    check_in(
                        60 * today(minute) + second,
                        slug,
                        status,
                        9000 * (part + 1) + number if number else 0,
                        start_s=start_s,
                    )
                )
        lines.append(pulse(60 * today(30)))
        partitions.append(sorted(lines, key=lambda line: line["ts"]))
    return partitions


def batchings():
    """Sizes of batches: the ordinary days at once, then the fourth in small pieces; 0 lets others go first."""
    sizes = st.lists(st.sampled_from([0, 0, 0, 2, 10, 40]), min_size=10, max_size=60)
    return sizes.map(lambda each: [360, *each])


def named(partitions):
    return {f"{n}.jsonl": lines for n, lines in enumerate(partitions)}


@few
@given(bad_days(), st.tuples(batchings(), batchings(), batchings()))
def test_any_interleaving_and_batching_gives_the_same(partitions, sizes):
    plans = {f"{n}.jsonl": Plan(each) for n, each in enumerate(sizes)}
    assert_same(run(named(partitions), **RULES), run(named(partitions), plans, **RULES))


@settings(few, max_examples=examples(6) if IS_FULL else 2)
@given(bad_days(), st.tuples(batchings(), batchings(), batchings()))
def test_any_number_of_workers_gives_the_same(partitions, sizes):
    plans = {f"{n}.jsonl": Plan(each) for n, each in enumerate(sizes)}
    alone = run(named(partitions), **RULES)
    assert_same(alone, run(named(partitions), plans, workers=2, **RULES))
    assert_same(alone, run(named(partitions), plans, workers=3, **RULES))


@settings(few, max_examples=examples(20))
@given(bad_days(), batchings(), st.integers(1, 30))
def test_stopping_anywhere_and_resuming_gives_the_same(partitions, sizes, crash_at):
    with TemporaryDirectory() as folder:
        init_db_dir(Path(folder), 1)
        recovery, every = RecoveryConfig(folder), timedelta(seconds=0)
        world = World()
        options: dict[str, Any] = {"world": world, "recovery": recovery, "epoch_interval": every, **RULES}
        crashing = {f"{n}.jsonl": Plan([*sizes, *[5] * 40], crash_at) for n in range(3)}
        run_until_crash(named(partitions), crashing, **options)
        run(named(partitions), {f"{n}.jsonl": Plan(sizes) for n in range(3)}, **options)
        assert_same(run(named(partitions), **RULES), world)


@settings(few, max_examples=examples(10))
@given(bad_days())
def test_one_partition_alone_has_the_outcome_of_its_monitors_for_a_given_volume(partitions):
    merged = sorted((line for lines in partitions for line in lines), key=lambda line: line["ts"])
    apart, together = run(named(partitions), **RULES), run(merged, **RULES)
    assert [row["decision"] for row in apart.rows("clock_ticks")] == [
        row["decision"] for row in together.rows("clock_ticks")
    ]
