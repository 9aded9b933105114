"""What a start deletes from a recovery store, and what it says when it cannot."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
from contextlib import closing, contextmanager

import pytest
from bytewax.recovery import init_db_dir

from dataflow.process import recovery_store
from dataflow.process.exit import FlowError, StartError
from dataflow.process.recovery_store import (
    drop_broken_off,
    drop_broken_off_of_cluster,
    drop_given_up,
    hold_running,
)

EPOCHS = [
    ("x.gate", "0", 3, b"a"),
    ("x.gate", "0", 7, b"b"),
    ("x.blocks", "k", 4, None),
    ("x.blocks", "l", 4, b"c"),
]


@pytest.fixture
def part(tmp_path):
    """The only part of a store whose last execution has ended epoch 6."""
    init_db_dir(tmp_path, 1)
    part = tmp_path / "part-0.sqlite3"
    with closing(sqlite3.connect(part)) as connection, connection:
        connection.execute("INSERT INTO exs (ex_num, worker_count, resume_epoch) VALUES (0, 1, 1)")
        connection.execute("INSERT INTO fronts (ex_num, worker_index, worker_frontier) VALUES (0, 0, 7)")
        connection.executemany(
            "INSERT INTO snaps (step_id, state_key, snap_epoch, ser_change) VALUES (?, ?, ?, ?)", EPOCHS
        )
    return part


def rows(part):
    with closing(sqlite3.connect(part)) as connection:
        return set(connection.execute("SELECT step_id, state_key, snap_epoch, ser_change FROM snaps"))


def test_rows_of_an_epoch_that_did_not_end_go_and_keys_that_were_given_up(part):
    drop_broken_off(part.parent)
    assert rows(part) == set(EPOCHS) - {EPOCHS[1]}
    drop_given_up(part.parent, "x.blocks")
    assert rows(part) == {EPOCHS[0], EPOCHS[3]}


@contextmanager
def running(store):
    """As another process of an earlier start does it."""
    descriptor = os.open(store / "running.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    try:
        yield
    finally:
        os.close(descriptor)


def test_a_process_of_a_cluster_waits_until_those_of_the_last_execution_have_ended(part, caplog):
    with running(part.parent):
        other = threading.Thread(target=drop_broken_off_of_cluster, args=[part.parent])
        other.start()
        while "waiting for processes of an earlier start" not in caplog.text:
            assert other.is_alive()
            time.sleep(0.01)
        assert rows(part) == set(EPOCHS)
    other.join()
    assert rows(part) == set(EPOCHS) - {EPOCHS[1]}


def test_processes_that_start_together_are_not_taken_for_those_of_an_earlier_start(part, caplog, monkeypatch):
    both, turns = threading.Barrier(2), []

    def drop_slowly(folder):
        turns.append("begins")
        time.sleep(0.3)  # in which the other one looks
        turns.append("ends")

    def start():
        both.wait()
        drop_broken_off_of_cluster(part.parent)

    monkeypatch.setattr(recovery_store, "drop_broken_off", drop_slowly)
    peers = [threading.Thread(target=start) for _ in range(2)]
    for each in peers:
        each.start()
    for each in peers:
        each.join()
    assert turns == ["begins", "ends"] * 2
    assert caplog.text == ""


def test_while_they_go_on_nothing_is_deleted_and_a_restart_is_asked_for(part, monkeypatch):
    monkeypatch.setattr(recovery_store, "OTHERS_SECONDS", 0.2)
    with running(part.parent), pytest.raises(FlowError, match="are still running on it") as found:
        drop_broken_off_of_cluster(part.parent)
    assert (found.value.status, rows(part)) == (1, set(EPOCHS))


def test_processes_that_have_found_each_other_share_the_store(part, monkeypatch):
    held: list[int] = []
    monkeypatch.setattr(recovery_store, "_held", held)
    monkeypatch.setattr(recovery_store, "OTHERS_SECONDS", 0)
    with running(part.parent):
        hold_running(part.parent)
        hold_running(part.parent)
    with pytest.raises(FlowError, match="are still running on it"):
        drop_broken_off_of_cluster(part.parent)
    (descriptor,) = held
    os.close(descriptor)
    drop_broken_off_of_cluster(part.parent)


def test_what_may_pass_asks_for_a_restart(part, monkeypatch):
    monkeypatch.setattr(recovery_store, "BUSY_SECONDS", 0.01)
    with closing(sqlite3.connect(part, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(FlowError, match=r"part-0.sqlite3 cannot be changed: database is locked") as found:
            drop_broken_off(part.parent)
    assert found.value.status == 1


def test_what_is_no_store_does_not(part):
    part.write_bytes(b"nonsense" * 1_000)
    with pytest.raises(StartError, match=r"part-0.sqlite3 cannot be changed"):
        drop_given_up(part.parent, "x.blocks")
