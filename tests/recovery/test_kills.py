"""kill -9 at any moment, and resume: nothing is lost, nothing is there twice."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import pytest

from tests.examples import IS_FULL
from tests.processes import (
    CALM,
    assert_same,
    end,
    make_store,
    night,
    outcome,
    run_cluster,
    signal_after_writes,
    start_cluster,
)

KILLS = int(os.environ.get("CRONWAX_TEST_KILLS") or (20 if IS_FULL else 2))
"""Kills in each of three cases."""
SEED = int(os.environ.get("CRONWAX_TEST_SEED") or 2)


@pytest.mark.parametrize(
    ("processes", "interval_s", "most_writes", "more"),
    [(1, 0, 25, {}), (2, 0, 25, {"publish_interval": 0}), (1, 1, 2, {})],
)
def test_whatever_is_killed_and_whenever_the_end_is_the_same(
    tmp_path, processes, interval_s, most_writes, more
):
    choices = random.Random(f"{SEED}/{processes}/{interval_s}")
    data, store = tmp_path / "data", make_store(tmp_path / "store", processes)
    arguments = ("-r", store, "-s", interval_s, "-b", 0)
    variables = night().settings(data, **more)
    hits = 0
    for _ in range(KILLS):
        cluster = start_cluster(variables, processes, *arguments)
        victims = sorted(choices.sample(range(processes), choices.randint(1, processes)))
        hit = signal_after_writes(cluster, data, choices.randint(1, most_writes), signal.SIGKILL, victims)
        hits += hit
        ended = [end(process) for process in cluster]
        if hit:
            assert_survivors_say_why(victims, ended)
    for each in run_cluster(variables | CALM, processes, *arguments):
        assert (each.status, each.complaints) == (0, [])
    assert hits
    assert_same(outcome(data), night().result)


def test_check_ins_that_wait_for_sampling_are_kept_once_whatever_is_killed(tmp_path):
    """With a rate of 1 all of them wait for the watermark, and are in blocks of snapshots meanwhile."""
    choices, kept = random.Random(f"{SEED}/sampling"), {"base_sample_rate": 1}
    run_cluster(night().settings(tmp_path / "whole", **kept) | CALM, 1)
    data, store = tmp_path / "data", make_store(tmp_path / "store")
    variables, arguments = night().settings(data, **kept), ("-r", store, "-s", 0, "-b", 0)
    hits = 0
    for _ in range(KILLS):
        cluster = start_cluster(variables, 1, *arguments)
        hits += signal_after_writes(cluster, data, choices.randint(1, 25), signal.SIGKILL, [0])
        end(cluster[0])
    (ended,) = run_cluster(variables | CALM, 1, *arguments)
    assert (ended.status, ended.complaints) == (0, [])
    assert hits
    assert len(outcome(data).tables["check_in_samples"]) > len(night().result.tables["check_in_samples"])
    assert_same(outcome(data), outcome(tmp_path / "whole"))


def assert_survivors_say_why(victims: list[int], ended: list) -> None:
    for number, process in enumerate(ended):
        if number not in victims:
            assert process.status == 1
            assert process.complaints == [
                "cronwax: another process of the cluster has ended, so this one ends too; start all of them again"
            ]


def test_a_kill_before_the_first_snapshot_leaves_nothing_twice(tmp_path):
    data, store = tmp_path / "data", make_store(tmp_path / "store")
    variables = night().settings(data)
    for _ in range(2):
        cluster = start_cluster(variables, 1, "-r", store, "-s", 3600, "-b", 0)
        _wait_for(data / "state" / "shard-000.duckdb")
        cluster[0].kill()
        end(cluster[0])
    (ended,) = run_cluster(variables | CALM, 1, "-r", store, "-s", 0, "-b", 0)
    assert ended.status == 0
    assert_same(outcome(data), night().result)


def _wait_for(path: Path) -> None:
    while not path.exists():
        os.sched_yield()
