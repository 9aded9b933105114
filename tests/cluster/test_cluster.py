"""Several processes leave what one leaves; so does a replay over what is there."""

from __future__ import annotations

import os
import signal
import sqlite3
from contextlib import closing

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from dataflow.process.recovery_store import part_files
from tests.examples import IS_FULL
from tests.flow.streams import streams
from tests.processes import (
    assert_same,
    end,
    free_ports,
    make_store,
    night,
    outcome,
    run_cluster,
    run_warm,
    signal_after_writes,
    start,
    start_cluster,
    write_jsonl,
)
from tests.processes import settings as flow_settings

STREAMS = int(os.environ.get("CRONWAX_TEST_STREAMS") or (2 if IS_FULL else 1))
"""Random inputs that are run in one process and in two."""


def random_inputs(count):
    """So many times three partitions with monitors of their own; the same ones every time."""
    found = []

    @seed(2025)
    @settings(
        max_examples=count + 1,
        database=None,
        phases=[Phase.generate],
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(
        st.tuples(
            streams(["alpha", "beta"], size=200), streams(["gamma"], size=200), streams(["delta"], size=200)
        )
    )
    def take(partitions):
        found.append(partitions)

    take()
    return found[1:]  # the first one is the shortest that there is


@pytest.mark.parametrize("number", range(STREAMS))
def test_two_processes_make_of_random_streams_what_one_makes(tmp_path, number):
    for name, lines in zip("abc", random_inputs(STREAMS)[number], strict=True):
        write_jsonl(tmp_path / "input" / f"{name}.jsonl", lines)
    found = []
    for processes, batch_size in [(1, 1000), (2, 7)]:
        variables = flow_settings(
            source="file",
            checkins_path=tmp_path / "input",
            data_dir=tmp_path / str(processes),
            batch_size=batch_size,
        )
        for ended in run_cluster(variables, processes):
            assert (ended.status, ended.complaints) == (0, [])
        found.append(outcome(tmp_path / str(processes)))
    assert_same(found[1], found[0])
    assert found[0].tables["incidents"]


@pytest.mark.parametrize("processes", [2, 3] if IS_FULL else [3])
def test_several_processes_leave_what_one_leaves(tmp_path, processes):
    for ended in run_cluster(night().settings(tmp_path / "data"), processes):
        assert (ended.status, ended.complaints) == (0, [])
    assert_same(outcome(tmp_path / "data"), night().result)


def test_a_replay_changes_no_row_and_leaves_the_published_file_alone(tmp_path):
    variables = night().settings(tmp_path / "data", batch_size=4096)
    file = tmp_path / "data" / "monitors.duckdb"
    assert run_warm(variables).status == 0
    before, inode = file.read_bytes(), file.stat().st_ino
    for processes in (1, 2):
        for ended in run_cluster(variables, processes):
            assert (ended.status, ended.complaints) == (0, [])
        assert (file.read_bytes() == before, file.stat().st_ino) == (True, inode)
    assert_same(outcome(tmp_path / "data"), night().result)


def test_who_waits_for_another_process_says_so_once(tmp_path):
    addresses = ";".join(f"127.0.0.1:{port}" for port in free_ports(2))
    variables = night().settings(tmp_path / "data")
    early = start(variables, "-i", 1, "-a", addresses)
    assert early.stderr is not None
    line = early.stderr.readline()
    assert line.startswith(f"waiting for process 0 at {addresses.partition(';')[0]}: Connection refused")
    late = start(variables, "-i", 0, "-a", addresses)
    for ended in (end(early), end(late)):
        assert (ended.status, ended.complaints) == (0, [])
        assert "waiting" not in ended.out + ended.err
        assert "retrying" not in ended.out + ended.err


def test_one_process_that_is_killed_ends_the_others_with_one_line(tmp_path):
    cluster = start_cluster(night().settings(tmp_path / "data"), 3, "-s", 1)
    assert signal_after_writes(cluster, tmp_path / "data", 1, signal.SIGKILL, [2])
    ended = [end(process) for process in cluster]
    assert ended[2].status == -signal.SIGKILL
    for survivor in ended[:2]:
        assert survivor.status == 1
        assert len(survivor.complaints) == 1
        assert "another process of the cluster has ended" in survivor.complaints[0]


def test_what_was_written_of_an_epoch_that_did_not_end_is_gone_when_a_cluster_starts(tmp_path):
    variables, store = night().settings(tmp_path / "data"), make_store(tmp_path / "recovery")
    assert run_warm(variables, "-r", store, "-s", 1, "-b", 0).status == 0
    (part,) = part_files(store)
    of_later = "SELECT step_id, state_key FROM snaps WHERE snap_epoch >= 1000000"
    with closing(sqlite3.connect(part)) as rows:
        rows.execute(
            "INSERT INTO snaps (step_id, state_key, snap_epoch, ser_change)"
            " SELECT step_id, state_key, 1000000, ser_change FROM snaps"
            " WHERE step_id LIKE 'cronwax.gate%' AND ser_change IS NOT NULL LIMIT 1"
        )
        rows.commit()
        assert rows.execute(of_later).fetchall()
        for ended in run_cluster(variables, 2, "-r", store, "-s", 1, "-b", 0):
            assert (ended.status, ended.complaints) == (0, [])
        assert rows.execute(of_later).fetchall() == []
    assert_same(outcome(tmp_path / "data"), night().result)


def test_one_process_that_is_killed_leaves_no_part_of_an_epoch_to_analysts(tmp_path):
    data = tmp_path / "data"
    cluster = start_cluster(night().settings(data), 2)  # the one epoch would be as long as the run
    assert signal_after_writes(cluster, data, 1, signal.SIGKILL, [1])
    assert end(cluster[0]).status == 1
    assert not (data / "monitors.duckdb").exists()
