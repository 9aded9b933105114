"""Making a recovery store, and packing one that a flow has left."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from bytewax.recovery import init_db_dir

from cronwax.commands.recovery import main
from dataflow.process.recovery_store import PAGE_BYTES
from tests.processes import (
    PROJECT,
    assert_same,
    end,
    make_store,
    night,
    outcome,
    run_warm,
    signal_after_writes,
    start_cluster,
)


def pages(folder):
    """Page sizes of the parts."""
    sizes = []
    for file in sorted(folder.glob("part-*.sqlite3")):
        with closing(sqlite3.connect(file)) as connection:
            sizes.append(connection.execute("PRAGMA page_size").fetchone()[0])
    return sizes


def pack(folder):
    """In a process of its own, as it holds the store until it ends."""
    command = [sys.executable, "-m", "cronwax", "recovery", folder]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)


def test_a_store_is_made_with_large_pages(tmp_path):
    assert main([str(tmp_path / "a" / "store"), "3"]) == 0
    assert pages(tmp_path / "a" / "store") == [PAGE_BYTES] * 3


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["there", "2"], "there: there is a recovery store already"),
        (["empty"], "empty: there is no recovery store"),
        (["nowhere"], "nowhere: there is no recovery store"),
        (["new", "0"], "PARTS must be from 1 to 9,999, not 0"),
        (["file/new", "1"], "file/new: cannot make it: Not a directory"),
        (["damaged"], "part-0.sqlite3: cannot be packed: file is not a database"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(tmp_path, monkeypatch, capsys, words, complaint):
    monkeypatch.chdir(tmp_path)
    make_store(tmp_path / "there")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "part-0.sqlite3").write_bytes(b"no database" * 1_000)
    assert main(words) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert complaint in said.err
    assert pages(tmp_path / "there") == [PAGE_BYTES]


def test_a_store_of_an_older_release_is_packed_and_the_flow_goes_on_from_it(tmp_path):
    data, store = tmp_path / "data", tmp_path / "store"
    store.mkdir()
    init_db_dir(store, 2)
    arguments = ("-r", store, "-s", 0, "-b", 0)
    (process,) = start_cluster(night().settings(data), 1, *arguments)
    assert signal_after_writes([process], data, 8, signal.SIGTERM, [0])
    assert end(process).status == 0
    assert outcome(data) != night().result
    assert pages(store) == [4096, 4096]
    packed = pack(store)
    assert (packed.returncode, packed.stderr) == (0, "")
    assert "packed" in packed.stdout
    assert pages(store) == [PAGE_BYTES] * 2
    assert run_warm(night().settings(data), *arguments).status == 0
    assert_same(outcome(data), night().result)


def test_a_store_on_which_a_flow_runs_is_not_packed(tmp_path):
    data, store = tmp_path / "data", make_store(tmp_path / "store")
    (process,) = start_cluster(night().settings(data), 1, "-r", store, "-s", 0, "-b", 0)
    assert signal_after_writes([process], data, 2, signal.SIGSTOP, [0])
    packed = pack(store)
    process.kill()
    end(process)
    assert (packed.returncode, packed.stdout) == (2, "")
    assert f"another flow (process {process.pid} " in packed.stderr
