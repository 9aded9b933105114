"""Stopping in order, and going on: on other numbers of processes, with more input, with other intervals."""

from __future__ import annotations

import shutil
import signal

import pytest

from tests.processes import (
    assert_same,
    end,
    make_store,
    night,
    outcome,
    run_cluster,
    run_warm,
    signal_after_writes,
    start_cluster,
    write_jsonl,
)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_flow_in_order_and_a_larger_backup_interval_resumes_it(tmp_path, number):
    data, store = tmp_path / "data", make_store(tmp_path / "store")
    variables = night().settings(data)
    (process,) = start_cluster(variables, 1, "-r", store, "-s", 0, "-b", 0)
    assert signal_after_writes([process], data, 12, number, [0])
    stopped = end(process)
    assert (stopped.status, stopped.complaints, stopped.out) == (0, [], "")
    assert outcome(data) != night().result
    resumed = run_warm(variables, "-r", store, "-s", 1, "-b", 60)
    assert (resumed.status, resumed.complaints) == (0, [])
    assert_same(outcome(data), night().result)


def test_one_store_goes_from_one_process_to_two_and_three_and_back_to_one(tmp_path):
    data, store = tmp_path / "data", make_store(tmp_path / "store", 2)
    variables = night().settings(data)
    arguments = ("-r", store, "-s", 0, "-b", 0)
    for processes, workers in [(1, 1), (2, 1), (3, 1), (1, 2)]:
        cluster = start_cluster(variables, processes, *arguments, "-w", workers)
        assert signal_after_writes(cluster, data, 8, signal.SIGTERM, range(processes))
        for process in cluster:
            ended = end(process)
            assert (ended.status, ended.complaints) == (0, [])
    assert outcome(data) != night().result
    (ended,) = run_cluster(variables, 1, *arguments)
    assert ended.status == 0
    assert_same(outcome(data), night().result)


def test_files_that_have_grown_are_read_on(tmp_path):
    shutil.copytree(night().folder / "input", tmp_path / "input")
    data, store = tmp_path / "data", make_store(tmp_path / "store")
    variables = night().settings(data, checkins_path=tmp_path / "input", batch_size=500)
    whole = {path: path.read_bytes().splitlines(keepends=True) for path in (tmp_path / "input").iterdir()}
    for share in (0.3, 0.7, 1):
        for path, lines in whole.items():
            text = b"".join(lines[: int(len(lines) * share)])
            path.write_bytes(text if share == 1 else text.removesuffix(b"\n"))
        ended = run_warm(variables, "-r", store, "-s", 0, "-b", 0)
        assert (ended.status, ended.complaints) == (0, [])
    assert_same(outcome(data), night().result)


def test_a_run_that_finds_nothing_new_changes_nothing(tmp_path):
    data, store = tmp_path / "data", make_store(tmp_path / "store")
    variables = night().settings(data, batch_size=4096)
    for _ in range(2):
        assert run_warm(variables, "-r", store, "-s", 0, "-b", 0).status == 0
        assert_same(outcome(data), night().result)


def test_a_new_input_file_joins_those_that_were_there(tmp_path):
    data, store = tmp_path / "data", make_store(tmp_path / "store")
    first = min((night().folder / "input").iterdir())
    shutil.copytree(night().folder / "input", tmp_path / "input")
    (tmp_path / "input" / first.name).unlink()
    variables = night().settings(data, checkins_path=tmp_path / "input", batch_size=4096)
    assert run_warm(variables, "-r", store, "-s", 0, "-b", 0).status == 0
    write_jsonl(tmp_path / "input" / first.name, first.read_bytes().splitlines())
    assert run_warm(variables, "-r", store, "-s", 0, "-b", 0).status == 0
    positions = [row for row in outcome(data).tables["partitions"] if first.name in row]
    assert positions == [row for row in night().result.tables["partitions"] if first.name in row]
    assert len(outcome(data).tables["check_ins"]) == len(night().result.tables["check_ins"])
