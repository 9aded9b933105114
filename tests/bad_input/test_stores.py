"""Recovery stores and data folders that do not fit: one clear line and a status, never a traceback.

Each case is a process of its own, started as users start it.
"""

from __future__ import annotations

import fcntl
import shutil
import sqlite3
import subprocess
import sys

import duckdb
import pytest

from tests.bad_input.places import GOOD, assert_fine, assert_one_line
from tests.processes import make_store, run, write_jsonl


def test_a_store_with_another_number_of_key_groups_stops_the_start(resumable):
    ended = run(resumable.settings(key_groups=32), *resumable.arguments)
    assert_one_line(ended, resumable.store, "CRONWAX_KEY_GROUPS")


def test_a_store_of_another_source_stops_the_start(resumable):
    assert_one_line(run(resumable.settings(source="demo"), *resumable.arguments), "CRONWAX_SOURCE=file")


def test_a_store_whose_input_has_vanished_stops_the_start(resumable):
    resumable.input.rename(resumable.folder / "renamed.jsonl")
    variables = resumable.settings(checkins_path=resumable.folder / "renamed.jsonl")
    assert_one_line(run(variables, *resumable.arguments), "input.jsonl is no longer there")


def test_a_store_of_another_data_folder_stops_the_start(resumable):
    """What the store's flow had written would be missing."""
    shutil.rmtree(resumable.data)
    assert_one_line(run(resumable.settings(), *resumable.arguments), "CRONWAX_DATA_DIR", resumable.data)


def test_an_input_file_that_shrank_is_told(resumable):
    write_jsonl(resumable.input, GOOD[:2])
    ended = run(resumable.settings(), *resumable.arguments)
    assert_one_line(ended, resumable.input, "is shorter than what was read of it before", status=2)


def test_a_store_that_somebody_else_writes_ends_the_run(resumable):
    """The engine panics on it, as it does when the store's disk is full."""
    with sqlite3.connect(resumable.store / "part-0.sqlite3") as holder:
        holder.execute("BEGIN IMMEDIATE")
        ended = run(resumable.settings(), *resumable.arguments)
        holder.rollback()
    assert_one_line(ended, "the recovery store cannot be used: database is locked", status=1)
    assert_fine(run(resumable.settings(), *resumable.arguments))


OTHER_FLOW = """
import bytewax.operators as op
from bytewax.connectors.stdio import StdOutSink
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSource
flow = Dataflow("other")
op.output("output", op.input("input", flow, TestingSource([1])), StdOutSink())
"""


def test_a_store_of_another_flow_stops_the_start(place):
    store = make_store(place.folder / "store")
    (place.folder / "other.py").write_text(OTHER_FLOW)
    command = [sys.executable, "-m", "bytewax.run", "other:flow", "-r", str(store), "-s", "0", "-b", "0"]
    subprocess.run(command, cwd=place.folder, check=True, capture_output=True)
    ended = run(place.settings(), "-r", store, "-s", 0, "-b", 0)
    assert_one_line(ended, store, "it belongs to another flow, other")


@pytest.mark.parametrize("made", [False, True])
def test_a_store_that_is_none_stops_the_start_and_says_how_to_make_one(place, made):
    store = place.folder / "store"
    if made:
        store.mkdir()
    ended = run(place.settings(), "-r", store, "-s", 0, "-b", 0)
    assert_one_line(ended, store, f"cronwax recovery {store} 8")


def test_a_store_that_lacks_a_part_stops_the_start(place):
    store = make_store(place.folder / "store", 2)
    (store / "part-0.sqlite3").unlink()
    assert_one_line(run(place.settings(), "-r", store, "-s", 0, "-b", 0), "made with 2 partitions and 1 are")


def test_a_data_folder_of_a_newer_schema_stops_the_start(resumable):
    place = resumable
    file = place.data / "state" / "shard-000.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("UPDATE schema_info SET version = version + 1")
    before = (place.data / "monitors.duckdb").read_bytes()
    assert_one_line(run(place.settings()), file, "use a newer one")
    assert (place.data / "monitors.duckdb").read_bytes() == before


def test_a_second_flow_on_one_store_is_refused_before_the_store_knows_of_it(place):
    store = make_store(place.folder / "store")
    with open(store / "process-0.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert_one_line(run(place.settings(), "-r", store, "-s", 0, "-b", 0), store, "another flow")
        with sqlite3.connect(store / "part-0.sqlite3") as part:
            assert part.execute("SELECT * FROM exs").fetchall() == []
    assert_fine(run(place.settings(), "-r", store, "-s", 0, "-b", 0))
