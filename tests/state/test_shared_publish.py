"""One snapshot of several shards."""

from __future__ import annotations

import fcntl
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest

from state.errors import StateError
from state.history.history import History, Limits
from state.publish.publish import HOLD_SECONDS
from state.publish.shared_publish import KEPT_COPIES, SharedPublisher
from state.publish.snapshot_views import SNAPSHOT
from state.write.writer import StateWriter
from tests.state.state_rows import START_US, answer, check_in, environment, monitor, partition

START = START_US / 1_000_000
STATUSES = "SELECT slug, status FROM check_ins ORDER BY ALL"
POSITION = "SELECT positions[1].position FROM snapshot_info"


class Shards:
    """The writers and publishers of all shards; each comes to the end of an epoch when it is told to."""

    def __init__(self, folder, count=2, interval=0.0):
        self.snapshot = folder / SNAPSHOT
        self.copies = folder / "state" / "copies"
        self.now = START
        self.writers = [StateWriter.open(folder, shard, count) for shard in range(count)]
        self.publishers = [
            SharedPublisher(writer, folder, interval, lambda: self.now) for writer in self.writers
        ]
        self.histories = [
            History(writer, folder, Limits(hot_rows=100), lambda: self.now) for writer in self.writers
        ]

    def epoch(self, shard, at, *check_ins, moment=None, **rows):
        self.now = START + (60 * at if moment is None else moment)
        deletes = [each for each in check_ins if isinstance(each, tuple)]
        written = [each for each in check_ins if not isinstance(each, tuple)]
        self.writers[shard].write(
            {"check_ins": written, "partitions": [partition(at, at)]} | rows, {"check_ins": deletes}
        )
        self.writers[shard].commit()
        self.histories[shard].maintain()
        return self.publishers[shard].publish()

    def all(self, at, status="ok"):
        return [
            self.epoch(shard, at, check_in(shard, status, slug=f"m{shard}"))
            for shard in range(len(self.writers))
        ]

    def close(self):
        for writer in self.writers:
            writer.close()


@pytest.fixture
def start(tmp_path):
    started: list[Any] = []

    def start_shards(**settings):
        for shards in started:
            shards.close()
        started.append(Shards(tmp_path, **settings))
        return started[-1]

    yield start_shards
    for shards in started:
        shards.close()


def test_a_snapshot_is_there_once_the_last_shard_is_as_far_and_holds_all_rows(start):
    shards = start(count=3)
    for shard in range(2):
        assert shards.epoch(shard, 1, check_in(shard, slug=f"m{shard}")) is None
        assert not shards.snapshot.exists()
    published = shards.epoch(2, 1, check_in(2, "error", slug="m2"))
    assert published.size_bytes == shards.snapshot.stat().st_size
    assert answer(shards.snapshot, STATUSES) == [("m0", "ok"), ("m1", "ok"), ("m2", "error")]
    assert not list(shards.copies.iterdir())


def test_it_looks_as_if_there_were_one_shard(start):
    shards = start()
    rows = {
        "monitors": [monitor(slug="m1")],
        "monitor_environments": [environment(slug="m1", status="error")],
    }
    shards.epoch(0, 7, check_in(0, slug="m0"), monitors=[monitor(slug="m0")])
    shards.epoch(1, 7, check_in(1, "error", slug="m1"), **rows)
    clock = datetime(2025, 3, 3, 0, 7, tzinfo=UTC)
    position = {"topic": "checkins", "partition": 0, "position": 7, "clock": clock}
    assert answer(shards.snapshot, "SELECT event_clock, positions FROM snapshot_info") == [
        (clock, [position])
    ]
    assert answer(shards.snapshot, "SELECT count(*) FROM partitions") == [(1,)]
    assert answer(shards.snapshot, "SELECT slug, status FROM monitor_status") == [("m1", "error")]


def test_a_shard_that_is_ahead_waits_for_nobody_and_each_set_is_shown_once_it_is_complete(start):
    shards = start()
    for at in (1, 2, 3):
        assert shards.epoch(0, at, check_in(at, slug="m0")) is None
    for at in (1, 2, 3):
        assert shards.epoch(1, at, check_in(10 + at, slug="m1"))
        assert answer(shards.snapshot, POSITION) == [(at,)]
        assert answer(shards.snapshot, "SELECT count(*) FROM check_ins") == [(2 * at,)]


def test_a_shard_that_is_far_ahead_keeps_so_many_copies(start):
    shards = start()
    for at in range(1, 20):
        shards.epoch(0, at, check_in(at, slug="m0"))
    assert len(list(shards.copies.glob("*/shard-000.duckdb"))) == KEPT_COPIES
    shown = [bool(shards.epoch(1, at, check_in(99, slug="m1"))) for at in range(1, 20)]
    assert shown == [False] * (19 - KEPT_COPIES) + [True] * KEPT_COPIES
    shards.all(20)
    assert len(list(shards.copies.rglob("*.duckdb"))) == 0


def test_shards_copy_at_the_same_epochs_whatever_each_had_published(start):
    shards = start(interval=100)
    moments = range(0, 1_000, 30)
    shown = []
    for at, moment in enumerate(moments, 1):
        shards.epoch(0, at, moment=moment)
        if shards.epoch(1, at, moment=moment):
            shown.append(moment)
    assert shown[0] == 0
    assert {later - earlier for earlier, later in pairwise(shown)} == {120}


def test_shards_that_resume_at_different_epochs_are_shown_when_all_have_caught_up(start):
    first = start()
    first.all(5, "error")
    first.epoch(0, 7, check_in(0, "error", slug="m0"))  # then all die: shard 1 had not committed this
    again = start()
    for at in (4, 5, 6):
        assert again.all(at) == [None, None]
        assert answer(again.snapshot, STATUSES) == [("m0", "error"), ("m1", "error")]
    assert again.all(7)[1]
    assert answer(again.snapshot, STATUSES) == [("m0", "ok"), ("m1", "ok")]


def test_a_flow_that_does_not_catch_up_is_shown_after_a_while(start):
    start().all(1_000)
    again = start()
    assert again.all(1, "error") == [None, None]
    assert again.all(1 + int(HOLD_SECONDS // 60), "error")[1]
    assert answer(again.snapshot, STATUSES) == [("m0", "error"), ("m1", "error")]


def test_what_a_crash_left_is_removed_and_never_mixed_with_what_comes(start):
    shards = start()
    shards.epoch(0, 1, check_in(0, "error", slug="m0"))
    assert list(shards.copies.glob("*/shard-000.duckdb"))
    again = start()
    assert not list(again.copies.iterdir())
    assert again.epoch(1, 1, check_in(1, slug="m1")) is None
    assert again.epoch(0, 1, check_in(0, "ok", slug="m0"))
    assert answer(again.snapshot, STATUSES) == [("m0", "ok"), ("m1", "ok")]


def test_a_replay_that_changes_no_row_leaves_the_file_alone(start):
    start().all(1)
    again = start()
    before = again.snapshot.stat()
    assert again.all(1) == [None, None]
    assert [publisher.was_last for publisher in again.publishers] == [False, True]
    assert again.snapshot.stat().st_ino == before.st_ino
    assert again.all(2)[1]


def test_the_history_of_all_shards_is_in_one_view(start):
    shards = start()
    for hour in range(0, 72, 8):
        minutes = range(hour * 60, (hour + 8) * 60, 5)
        for shard in range(2):
            rows = [check_in(10_000 * shard + m, slug=f"m{shard}", minute=m) for m in minutes]
            shards.epoch(shard, (hour + 8) * 60, *rows)
    shards.epoch(0, 72 * 60 + 1, (1, "m0"))  # a delete, and a late update
    shards.epoch(1, 72 * 60 + 1, check_in(10_005, "error", slug="m1", minute=5))
    files = "SELECT DISTINCT shard FROM history_files WHERE superseded_at IS NULL ORDER BY ALL"
    assert answer(shards.snapshot, files) == [(0,), (1,)]
    query = "SELECT slug, count(*), count(DISTINCT check_in_id) FROM check_ins GROUP BY ALL"
    assert answer(shards.snapshot, query) == [("m1", 864, 864)]
    assert answer(shards.snapshot, "SELECT check_in_id FROM check_ins WHERE status = 'error'") == [
        (UUID(int=10_005),)
    ]


def test_a_shard_knows_when_others_have_shown_what_it_handed_in(start):
    shards = start()
    shards.epoch(0, 1)
    assert shards.publishers[0].take_shown() is None
    shards.epoch(1, 1)
    assert shards.publishers[1].take_shown() == 1
    shards.epoch(0, 2)
    assert shards.publishers[0].take_shown() == 1  # and not 2, of which the snapshot knows nothing yet
    assert shards.publishers[0].take_shown() is None


def test_a_copy_that_cannot_be_written_is_one_clear_line(start, tmp_path):
    shards = start()
    (tmp_path / "state" / "copies").write_text("in the way")
    with pytest.raises(StateError, match=r"^\S*shard-000\.duckdb: cannot write: \S"):
        shards.epoch(0, 1)


def test_a_shard_that_starts_leaves_its_old_copies_while_another_joins_them(start, tmp_path):
    shards = start()
    shards.epoch(0, 1, check_in(0, slug="m0"))
    (copy,) = shards.copies.glob("*/shard-000.duckdb")
    with (tmp_path / "state" / "publish.lock").open("r+") as lock, ThreadPoolExecutor() as other:
        fcntl.flock(lock, fcntl.LOCK_EX)
        starting = other.submit(SharedPublisher, shards.writers[0], tmp_path, 0.0, lambda: START)
        with pytest.raises(TimeoutError):
            starting.result(timeout=0.3)
        assert copy.exists()
        fcntl.flock(lock, fcntl.LOCK_UN)
        starting.result()
    assert not copy.exists()


def test_no_place_for_a_copy_is_taken_away_by_a_shard_whose_copy_was_the_last_in_it(start):
    shards = start()
    shards.epoch(0, 1, check_in(0, slug="m0"))
    (copy,) = shards.copies.glob("*/shard-000.duckdb")
    shards.writers[1].write({"partitions": [partition(1, 1)]})
    shards.writers[1].commit()
    copy_to = shards.writers[1].copy_to

    def copy_meanwhile(target):
        copy.unlink()
        with pytest.raises(OSError, match="not empty"):
            copy.parent.rmdir()
        return copy_to(target)

    shards.writers[1].copy_to = copy_meanwhile
    assert shards.publishers[1].publish() is None
    assert [path.name for path in shards.copies.glob("*/*")] == ["shard-001.duckdb"]


def test_the_columns_of_a_table_with_history_are_the_tables_own(start):
    """The copies of the other shards are attached while the views are laid: their tables have the same names."""
    shards = start()
    columns = "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'check_ins'"
    shards.all(1)
    plain = answer(shards.snapshot, columns)
    for at in range(60, 360, 60):
        for shard in range(2):
            rows = [
                check_in(1_000 * at + 100 * shard + n, slug=f"m{shard}", minute=at - n) for n in range(60)
            ]
            shards.epoch(shard, at, *rows)
            while shards.histories[shard].wait():
                shards.histories[shard].maintain()
    shards.all(400)
    assert answer(shards.snapshot, "SELECT count(*) > 0 FROM history_files") == [(True,)]
    assert answer(shards.snapshot, columns) == plain
    assert answer(shards.snapshot, "SELECT count(DISTINCT check_in_id) FROM check_ins") == [(602,)]
