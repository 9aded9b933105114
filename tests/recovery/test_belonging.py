"""Data folder, recovery store and published snapshot that do not belong together; and who may read them."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path
from typing import Any

import duckdb
import pytest

from state.schema.database import shard_path
from tests.builders import check_in, pulse
from tests.processes import Ended, make_store, run_warm, settings, write_jsonl

MINUTE = 60
CONFIG = {"schedule": {"type": "crontab", "value": "* * * * *"}}


class Place:
    """An input that grows, and a flow that reads what is new of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.store = make_store(folder / "store")
        self._minutes = 0
        self._lines: list[dict[str, Any]] = []

    def run(self, with_store: bool = True, **others: object) -> Ended:
        """Another ten minutes of input."""
        for minute in range(self._minutes, self._minutes + 10):
            self._lines.append(check_in(minute * MINUTE, number=minute, config=CONFIG, status="error"))
        self._minutes += 10
        self._lines.append(pulse(self._minutes * MINUTE))
        path = write_jsonl(self.folder / "input.jsonl", self._lines)
        chosen = settings(**{"source": "file", "checkins_path": path, "data_dir": self.data} | others)
        return run_warm(chosen, *(("-r", self.store, "-s", 0, "-b", 0) if with_store else ()))

    @property
    def snapshot(self) -> bytes:
        return (self.data / "monitors.duckdb").read_bytes()

    def count(self) -> int:
        with duckdb.connect(str(self.data / "monitors.duckdb"), read_only=True) as connection:
            ((count,),) = connection.execute("SELECT count(*) FROM check_ins").fetchall()
            return int(count)


def is_refused(ended: Ended, text: str) -> bool:
    """Whether it ended with one line that says so, and a status that asks for no restart."""
    assert (ended.status, len(ended.complaints)) == (2, 1), ended
    assert text in ended.complaints[0], ended
    return True


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    assert place.run().status == 0
    assert place.count() == 10
    return place


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def made_anew(path: Path) -> None:
    path.unlink()
    duckdb.connect(str(path)).close()


@pytest.mark.parametrize("lose", [emptied, made_anew])
@pytest.mark.parametrize("with_store", [True, False])
def test_an_empty_file_does_not_take_the_place_of_a_shards(place, lose, with_store):
    before = place.snapshot
    lose(shard_path(place.data, 0))
    for _ in range(2):  # by the second start the file was made
        assert is_refused(place.run(with_store), "is not the file that ")
    assert place.snapshot == before


def test_a_data_folder_that_is_older_than_the_store_is_refused_until_it_is_asked_for(place):
    shutil.copytree(place.data, place.folder / "backup")
    assert place.run().status == 0
    shutil.copy(place.data / "occurrences.jsonl", place.folder / "backup")  # which has a rule of its own
    shutil.rmtree(place.data)
    (place.folder / "backup").rename(place.data)
    before = place.snapshot
    assert is_refused(place.run(), "is older than the recovery store: ")
    assert place.snapshot == before
    ended = place.run(accept_other_data=True)
    assert (ended.status, ended.complaints) == (0, [])
    assert place.count() in (30, 40)  # ten in between are missing unless the store still held them
    assert place.run().status == 0


def test_a_snapshot_that_knows_more_than_the_state_is_not_replaced(place):
    shutil.copytree(place.data / "state", place.folder / "backup")
    assert place.run().status == 0
    shutil.rmtree(place.data / "state")
    (place.folder / "backup").rename(place.data / "state")
    before = place.snapshot
    assert is_refused(place.run(with_store=False), "is older than ")
    assert place.snapshot == before
    assert place.run(with_store=False, accept_other_data=True).status == 0
    assert place.count() == 40


def test_a_store_that_is_older_than_the_data_folder_reads_again(place):
    shutil.copytree(place.store, place.folder / "backup")
    assert place.run().status == 0
    shutil.rmtree(place.store)
    (place.folder / "backup").rename(place.store)
    assert place.run().status == 0
    assert place.count() == 30


def test_fewer_shards_than_a_store_has_are_refused_in_one_line(tmp_path):
    place = Place(tmp_path)
    assert place.run(state_shards=2).status == 0
    assert is_refused(place.run(), "CRONWAX_STATE_SHARDS is fixed for the life of a store")
    assert is_refused(
        place.run(with_store=False), "the number of shards is fixed for the life of a data folder"
    )


@pytest.mark.parametrize(
    ("chosen", "folders", "files"), [({}, 0o700, 0o600), ({"umask": "027"}, 0o750, 0o640)]
)
def test_what_the_flow_makes_is_for_its_user_alone_or_as_the_umask_says(tmp_path, chosen, folders, files):
    place = Place(tmp_path)
    assert place.run(state_shards=2, history_hot_rows=100, **chosen).status == 0
    made = [*place.data.rglob("*"), place.data, *place.store.rglob("process-*")]
    assert {path.name for path in made} >= {"monitors.duckdb", "shard-001.duckdb", "occurrences.jsonl"}
    for path in made:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (folders if path.is_dir() else files), f"{path}: {mode:o}"


def test_a_new_recovery_store_is_for_its_user_alone(tmp_path):
    store = make_store(tmp_path / "store")
    assert {stat.S_IMODE(path.stat().st_mode) for path in [store, *store.rglob("*")]} == {0o700, 0o600}
