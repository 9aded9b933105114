"""`cronwax repair`: lost, damaged or older tables made again from the inputs, up to where the store stands."""

from __future__ import annotations

import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from state.publish.remade import mark_of, published_mark_of
from state.schema.database import shard_path
from tests import warm
from tests.examples import IS_FULL
from tests.processes import (
    HANGS_AFTER_S,
    PROJECT,
    Ended,
    Outcome,
    assert_same,
    make_store,
    night,
    outcome,
    run_warm,
    signal_after_writes,
    start,
)

pytestmark = pytest.mark.process

BATCHES = {"CRONWAX_BATCH_SIZE": "400"}
"""Of what runs to the end of its input; what is stopped or killed is so in the midst of many small ones."""


class Place:
    """The night in files that have come half way, a store and a data folder."""

    def __init__(self, folder: Path, **others: object) -> None:
        self.folder, self.data, self.input = folder, folder / "data", folder / "input"
        self.store = make_store(folder / "store")
        shutil.copytree(night().folder / "input", self.input)
        self._whole = {path: path.read_bytes() for path in sorted(self.input.iterdir())}
        self.variables = night().settings(self.data, checkins_path=self.input, **others)

    def cut(self, share: float) -> None:
        """Let the files be only so much of the night."""
        for path, content in self._whole.items():
            lines = content.splitlines(keepends=True)
            path.write_bytes(b"".join(lines[: round(len(lines) * share)]))

    def run(self) -> Ended:
        return run_warm(self.variables | BATCHES, "-r", self.store, "-s", 0, "-b", 0)

    def start(self) -> subprocess.Popen[str]:
        return start(self.variables, "-r", self.store, "-s", 0, "-b", 0)

    def start_repair(self, *options: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "cronwax", "repair", "-r", str(self.store), *options]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=PROJECT, env=self.variables, stdout=pipe, stderr=pipe, text=True)

    def repair(self, *options: str) -> Ended:
        return Ended(*warm.run_warm(self.variables, "cronwax", "repair", "-r", str(self.store), *options))

    def store_bytes(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.store.glob("part-*.sqlite3")}

    def outcome(self) -> Outcome:
        return outcome(self.data)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def made_anew(path: Path) -> None:
    path.unlink()
    duckdb.connect(str(path)).close()


def removed(path: Path) -> None:
    path.unlink()


def damaged(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:20_000] + b"\0" * 50_000)


@pytest.mark.parametrize(("lose", "shards"), [(emptied, 1), (made_anew, 2), (removed, 2), (damaged, 1)])
def test_a_lost_file_is_made_again_and_the_flow_goes_on_as_if_nothing_had_been(
    tmp_path: Path, lose: Callable[[Path], None], shards: int
) -> None:
    place = Place(tmp_path, state_shards=shards, history_hot_rows=100 if lose is emptied else 500_000)
    place.cut(0.5)
    assert place.run().status == 0
    before, store = place.outcome(), place.store_bytes()
    lose(shard_path(place.data, shards - 1))
    assert place.run().status == 2
    ended = place.repair()
    assert (ended.status, len(ended.complaints)) == (0, 1), ended
    assert str(shard_path(place.data, shards - 1)) in ended.complaints[0]
    assert "made again in" in ended.out
    assert_same(place.outcome(), before)
    assert place.store_bytes() == store
    made = [*(place.data / "state").glob("*.duckdb"), place.data / "monitors.duckdb"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o600}
    place.cut(1)
    ended = place.run()
    assert (ended.status, ended.complaints) == (0, []), ended
    assert_same(place.outcome(), night().result)


def test_a_data_folder_that_is_older_than_the_store_is_brought_up_to_it(tmp_path):
    place = Place(tmp_path)
    place.cut(0.3)
    assert place.run().status == 0
    shutil.copytree(place.data / "state", tmp_path / "backup")
    place.cut(0.6)
    assert place.run().status == 0
    before = place.outcome()
    shutil.rmtree(place.data / "state")
    shutil.copytree(tmp_path / "backup", place.data / "state")
    (place.data / "monitors.duckdb").unlink()
    place.cut(1)  # the files have gone on meanwhile
    assert place.run().status == 2
    ended = place.repair()
    assert ended.status == 0
    assert "is older: " in ended.complaints[0]
    assert_same(place.outcome(), before)
    assert place.run().status == 0
    assert_same(place.outcome(), night().result)


@pytest.mark.parametrize("shards", [1, 2])
def test_after_a_stop_in_the_middle_the_tables_come_to_where_it_was(tmp_path, shards):
    place = Place(tmp_path, state_shards=shards)
    process = place.start()
    assert signal_after_writes([process], place.data, 8, signal.SIGTERM, [0])
    assert process.wait(HANGS_AFTER_S) == 0
    before = place.outcome()
    assert before.tables != night().result.tables
    emptied(shard_path(place.data, 0))
    assert place.repair().status == 0
    assert_same(place.outcome(), before)
    assert place.run().status == 0
    assert_same(place.outcome(), night().result)


def test_after_a_kill_the_flow_comes_to_the_same_end(tmp_path):
    place = Place(tmp_path)
    place.cut(0.4)
    assert place.run().status == 0
    place.cut(1)
    process = place.start()
    assert signal_after_writes([process], place.data, 8, signal.SIGKILL, [0])
    process.wait(HANGS_AFTER_S)
    emptied(shard_path(place.data, 0))
    assert place.repair().status == 0
    assert place.run().status == 0
    assert_same(place.outcome(), night().result)


def test_a_repair_that_is_killed_has_changed_nothing_or_all(tmp_path):
    place = Place(tmp_path)
    place.cut(0.3)
    assert place.run().status == 0
    before = place.outcome()
    emptied(shard_path(place.data, 0))
    began = time.monotonic()
    process = place.start_repair()
    process.communicate(timeout=HANGS_AFTER_S)
    assert process.returncode == 0
    took_s = time.monotonic() - began
    assert_same(place.outcome(), before)
    for share in (0.5, 0.8, 0.95) if IS_FULL else (0.5, 0.9):
        emptied(shard_path(place.data, 0))
        process = place.start_repair()
        try:
            process.communicate(timeout=took_s * share)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        assert_same(place.outcome(), before)  # what is published was never taken away
        assert place.repair().status == 0
        assert_same(place.outcome(), before)
        assert not list(place.data.glob(".tables.*"))
    assert place.run().status == 0


def test_a_replacement_that_was_not_finished_is_said_at_the_start_and_finished_by_the_command(tmp_path):
    place = Place(tmp_path)
    assert place.run().status == 0
    before = place.outcome()
    shutil.copytree(place.data / "state", place.data / ".tables.complete" / "state")
    (place.data / ".tables.complete" / "history").mkdir()
    (place.data / ".tables.complete" / "command").write_text("repair")
    emptied(shard_path(place.data, 0))
    ended = place.run()
    assert (ended.status, len(ended.complaints)) == (2, 1), ended
    assert "start cronwax repair again" in ended.complaints[0]
    assert place.repair().status == 0
    assert_same(place.outcome(), before)
    assert place.run().status == 0


def test_where_nothing_is_missing_nothing_is_done(tmp_path):
    place = Place(tmp_path)
    place.cut(0.3)
    assert place.run().status == 0
    file = shard_path(place.data, 0)
    assert (known := mark_of(file, 0)) is not None
    assert published_mark_of(place.data, 0) == known
    before = file.read_bytes()
    ended = place.repair()
    assert (ended.status, ended.complaints) == (0, [])
    assert "nothing is missing" in ended.out
    assert file.read_bytes() == before


def test_an_input_that_does_not_hold_it_any_more_is_refused_in_one_line(tmp_path):
    place = Place(tmp_path)
    place.cut(0.5)
    assert place.run().status == 0
    before = (place.data / "monitors.duckdb").read_bytes()
    emptied(shard_path(place.data, 0))
    place.cut(0.4)
    ended = place.repair()
    assert ended.status == 2
    assert "it ends before" in ended.complaints[-1]
    place.input.joinpath("demo-0.jsonl").unlink()
    ended = place.repair()
    assert ended.status == 2
    assert "its input demo-0.jsonl is no longer there" in ended.err
    assert (place.data / "monitors.duckdb").read_bytes() == before
