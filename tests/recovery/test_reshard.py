"""`cronwax reshard`: tables, history and store in another number of shards."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time

import duckdb
import pytest

from state.publish import replacement
from state.schema.database import shard_path
from tests import warm
from tests.examples import IS_FULL
from tests.processes import HANGS_AFTER_S, PROJECT, Ended, assert_same, night, signal_after_writes
from tests.recovery.test_repair import Place

pytestmark = pytest.mark.process


def start_reshard(place: Place, shards: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "cronwax", "reshard", "-r", str(place.store), str(shards)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=PROJECT, env=place.variables, stdout=pipe, stderr=pipe, text=True)


def reshard(place: Place, shards: int) -> Ended:
    ended = Ended(*warm.run_warm(place.variables, "cronwax", "reshard", "-r", str(place.store), str(shards)))
    if ended.status == 0:
        place.variables["CRONWAX_STATE_SHARDS"] = str(shards)
    return ended


def history_files(place: Place) -> int:
    with duckdb.connect(str(place.data / "monitors.duckdb"), read_only=True) as connection:
        ((count,),) = connection.execute(
            "SELECT count(*) FROM internal.history_files WHERE superseded_at IS NULL"
        ).fetchall()
    listed = len(list((place.data / "history").rglob("*.parquet")))
    assert listed >= count
    return int(count)


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 4), (3, 2)] if IS_FULL else [(1, 4), (3, 2)])
def test_the_tables_are_the_same_and_the_flow_goes_on_with_them(tmp_path, before, after):
    place = Place(tmp_path, state_shards=before, history_hot_rows=100)
    if before == 3:
        process = place.start()
        assert signal_after_writes([process], place.data, 12, signal.SIGTERM, [0])
        assert process.wait(HANGS_AFTER_S) == 0
    else:
        place.cut(0.8)
        assert place.run().status == 0
        assert history_files(place) > 0
    tables = place.outcome()
    assert tables.tables != night().result.tables
    ended = reshard(place, after)
    assert (ended.status, ended.complaints) == (0, []), ended
    assert f"set CRONWAX_STATE_SHARDS={after}" in ended.out
    assert_same(place.outcome(), tables)
    assert before == 3 or history_files(place) > 0
    place.cut(1)
    assert len(list((place.data / "state").glob("shard-*.duckdb"))) == after
    ended = place.run()
    assert (ended.status, ended.complaints) == (0, []), ended
    assert_same(place.outcome(), night().result)
    assert "has" in reshard(place, after).out


def test_killed_at_any_time_it_is_done_or_not_and_can_be_called_again(tmp_path):
    place = Place(tmp_path, history_hot_rows=100)
    place.cut(0.4)
    assert place.run().status == 0
    tables = place.outcome()
    took_s, shards = 0.0, 1
    for share in (1.5, 0.6, 0.8, 0.95) if IS_FULL else (1.5, 0.7):
        shards = 3 - shards  # there and back
        began = time.monotonic()
        process = start_reshard(place, shards)
        try:
            process.communicate(timeout=took_s * share or HANGS_AFTER_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        took_s = took_s or time.monotonic() - began
        if not (place.data / ".tables.complete").exists():  # else what is published waits for the next call
            assert_same(place.outcome(), tables)
        assert reshard(place, shards).status == 0
        assert_same(place.outcome(), tables)
        assert not list(place.data.glob(".tables.*"))
        ended = place.run()
        assert (ended.status, ended.complaints) == (0, []), ended


def test_what_was_begun_is_finished_by_the_command_alone(tmp_path):
    place = Place(tmp_path)
    place.cut(0.4)
    assert place.run().status == 0
    tables = place.outcome()
    assert reshard(place, 2).status == 0
    (place.data / ".tables.complete").mkdir()
    for name in ("state", "history"):
        shutil.move(place.data / name, place.data / ".tables.complete" / name)
    (place.data / ".tables.complete" / "command").write_text("reshard")
    assert "start cronwax reshard again" in place.run().complaints[0]
    assert "start cronwax reshard again" in place.repair().complaints[0]
    ended = reshard(place, 2)
    assert ended.status == 0
    assert "finished what had been begun" in ended.out
    assert_same(place.outcome(), tables)
    assert place.run().status == 0


def test_store_and_tables_must_be_of_one_moment(tmp_path):
    place = Place(tmp_path)
    place.cut(0.3)
    assert place.run().status == 0
    shutil.copytree(place.store, tmp_path / "backup")
    place.cut(0.4)
    assert place.run().status == 0
    file = shard_path(place.data, 0)
    shutil.rmtree(place.store)
    shutil.copytree(tmp_path / "backup", place.store)
    ended = reshard(place, 2)
    assert (ended.status, len(ended.complaints)) == (2, 1), ended
    assert "the flow was not stopped in order" in ended.complaints[0]
    assert file.exists()
    assert not shard_path(place.data, 1).exists()


def test_a_kill_while_the_tables_of_before_are_removed_leaves_nothing_to_be_finished(tmp_path, monkeypatch):
    """Half of a folder would be nobody's to finish, and the flow would not start."""
    (tmp_path / ".tables.complete").mkdir()
    (tmp_path / ".tables.complete" / "command").write_text("reshard")
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)
    replacement.finish(tmp_path)
    replacement.check_command(tmp_path, None)
    monkeypatch.undo()
    replacement.finish(tmp_path)
    assert list(tmp_path.iterdir()) == []
