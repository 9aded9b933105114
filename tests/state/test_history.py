"""Rows of closed hours in Parquet files, and tables that do not show it."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Any

import duckdb
import pytest
from msgspec.structs import replace

from state.errors import StateError
from state.history.history import KEEP_SUPERSEDED
from state.publish.snapshot_views import SNAPSHOT
from state.schema.catalogue import SCHEMA_VERSION
from state.schema.database import shard_path
from state.schema.tables.runs import ProcessingErrorRow, StatusChangeRow
from tests.state.history_state import COUNT, DAY, State
from tests.state.state_rows import START_US, answer, check_in, environment, guid, monitor, row


@pytest.fixture
def start(tmp_path):
    states: list[Any] = []

    def start_state(**settings):
        for state in states:
            state.writer.close()
        states.append(State(tmp_path, **settings))
        return states[-1]

    yield start_state
    for state in states:
        state.writer.close()


def test_a_small_installation_has_tables_and_no_files(start, tmp_path):
    state = start(hot_rows=10_000).fill(days=3)
    assert state.ask("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'check_ins'") == [(1,)]
    assert not (tmp_path / "history").exists()


def test_closed_hours_move_to_files_and_all_rows_are_still_there_once(start):
    state = start().fill(days=3)
    assert state.hot() <= 112  # an hour more than may stay
    assert state.ask(COUNT) == [(3 * 288, 3 * 288)]


def test_of_many_rows_an_hour_those_that_are_older_than_some_minutes_move_too(start):
    """Else each publishing would copy two hours of them."""
    state = start(hot_rows=100)
    written = 0
    for minute in range(90):
        rows = [check_in(1_000 * minute + number, "ok", minute=minute) for number in range(15)]
        state.write(minute + 1, check_ins=rows)
        written += len(rows)
    # the margin, a slot that is open, and one that is to be moved
    assert state.hot() <= 15 * (10 + 5 + 5 + 1)
    assert state.ask(COUNT) == [(written, written)]
    ((last,),) = state.writer.connection.execute("SELECT min(date_added) FROM check_ins").fetchall()
    assert last.minute % 5 == 0


def test_of_very_many_rows_a_minute_only_some_minutes_stay(start):
    """How many are there does not grow with what comes in a quarter of an hour."""
    state = start(hot_rows=100)
    written, most = 0, 0
    for minute in range(40):
        rows = [check_in(1_000 * minute + number, "ok", minute=minute) for number in range(100)]
        state.write(minute + 1, check_ins=rows)
        written += len(rows)
        most = max(most, state.hot())
    assert most <= 100 * (2 + 2 + 2)  # the margin, a slot that is open, and one that is to be moved
    assert state.ask(COUNT) == [(written, written)]


def test_the_files_of_a_closed_day_become_one(start):
    state = start().fill(days=3)
    names = [path.parent.name for path in state.live()]
    assert names.count("date=2025-03-03") == names.count("date=2025-03-04") == 1


def test_a_file_is_sorted_by_project_slug_and_time_and_compressed(start):
    state = start()
    for hour in range(0, 1_200, 60):
        numbers = [(minute, 1 + minute % 2, f"m{minute * 7 % 5}") for minute in range(hour, hour + 60, 5)]
        rows = [
            check_in(minute, project=project, slug=slug, minute=minute) for minute, project, slug in numbers
        ]
        state.write(hour + 60, check_ins=rows)
    assert state.live()
    for path in state.live():
        stored = duckdb.execute(f"SELECT project_id, slug, date_added FROM '{path}'").fetchall()
        assert stored == sorted(stored)
        codecs = duckdb.execute(f"SELECT DISTINCT compression FROM parquet_metadata('{path}')").fetchall()
        assert codecs == [("ZSTD",)]


def test_the_open_hour_and_runs_in_progress_stay_where_they_can_change(start):
    state = start()
    state.write(0, check_ins=[check_in(9_999, "in_progress")])
    state.fill(days=2)
    hot = "SELECT min(date_added) FILTER (status <> 'in_progress'), count(*) FILTER (status = 'in_progress')"
    ((first, running),) = state.writer.connection.execute(f"{hot} FROM check_ins").fetchall()
    assert first.minute == 0
    assert running == 1
    state.write(check_ins=[check_in(9_999, "ok")])
    assert state.ask("SELECT status, count(*) FROM check_ins GROUP BY ALL") == [("ok", 2 * 288 + 1)]


def test_the_columns_and_what_they_mean_are_those_of_the_table(start, tmp_path):
    describe = (
        "SELECT column_name, data_type, comment FROM duckdb_columns() WHERE table_name = $name ORDER BY ALL"
    )
    small = start(hot_rows=10_000)
    small.ask(COUNT)
    with duckdb.connect(small.snapshot, read_only=True) as connection:
        tables = connection.execute(describe, {"name": "check_ins"}).fetchall()
    state = start().fill(days=2)
    state.ask(COUNT)
    with duckdb.connect(state.snapshot, read_only=True) as connection:
        assert connection.execute(describe, {"name": "check_ins"}).fetchall() == tables
        ((meaning,),) = connection.execute(
            "SELECT comment FROM duckdb_views() WHERE view_name = 'check_ins'"
        ).fetchall()
    assert meaning.startswith("Runs of jobs")


def test_every_value_comes_back_from_a_file_as_it_was(start):
    state = start()
    texts = ['{"a": "é\\u0000 \'"}', "[1, 2]", "7"]
    errors = [
        row(
            ProcessingErrorRow,
            *(guid(number), START_US + number, ["A", "B'"], b"[1]", texts[number % 3]),
            *(2**64 - 1, "x'", None, guid(4), "t", 0, number),
        )
        for number in range(300)
    ]
    messages = [
        row(
            StatusChangeRow,
            *(f"m{number}", "occurrence", 1, "s", "e", "i", guid(1), START_US, texts[number % 3].encode()),
        )
        for number in range(300)
    ]
    state.write(0, processing_errors=errors, status_changes=messages)
    queries = ["FROM processing_errors ORDER BY ALL", "FROM status_changes ORDER BY ALL"]
    before = [state.ask(query) for query in queries]
    state.write(2 * DAY)
    assert state.hot("processing_errors") == state.hot("status_changes") == 0
    assert [state.ask(query) for query in queries] == before


def test_a_late_update_replaces_the_row_in_the_file(start):
    state = start().fill(days=2)
    state.write(check_ins=[check_in(300, "timeout", minute=300)])
    assert state.ask(COUNT) == [(576, 576)]
    late = "SELECT date_added, status FROM check_ins WHERE status = 'timeout'"
    ((_, status),) = before = state.ask(late)
    assert status == "timeout"
    state.next_day(3)
    assert state.ask(late) == before
    assert state.ask(COUNT) == [(576, 576)]
    assert state.ask("SELECT count(*) FROM late_check_ins") == [(0,)]


def test_a_run_that_is_in_progress_again_stays_so_until_it_has_ended(start):
    state = start().fill(days=2)
    for status in ("in_progress", "error"):
        state.write(check_ins=[check_in(300, status, minute=300)])
        state.next_day(3 if status == "in_progress" else 4)
        assert state.ask("SELECT status, count(*) FROM check_ins GROUP BY ALL ORDER BY 2") == [
            (status, 1),
            ("ok", 575),
        ]


def test_writing_everything_again_changes_nothing(start):
    state = start().fill(days=3)
    before = state.ask("FROM check_ins ORDER BY ALL")
    state.fill(days=3)
    assert state.ask("FROM check_ins ORDER BY ALL") == before
    state.next_day(5)
    assert state.ask("FROM check_ins ORDER BY ALL") == before


@pytest.mark.parametrize("gone", [(1,), (1, "backup"), (1, "backup", "production")])
def test_a_deleted_monitor_is_gone_from_files_too_and_one_of_the_same_name_begins_anew(start, gone):
    state = start().fill(days=2)
    state.write(check_ins=[(1, "mail"), check_in(1, slug="other", project=2, minute=1), gone])
    assert state.ask(COUNT) == [(1, 1)]
    state.fill(first_day=2, days=2)
    assert state.ask(COUNT) == [(577, 577)]
    state.next_day(5)
    assert state.ask(COUNT) == [(577, 577)]
    assert state.ask("SELECT count(*) FROM deleted_check_ins") == [(0,)]


def test_one_deleted_row_is_gone_from_a_file(start):
    state = start().fill(days=2)
    state.write(check_ins=[(1, "backup", "production", guid(300))])
    assert state.ask(COUNT) == [(575, 575)]


def test_days_beyond_the_retention_are_dropped_with_their_files(start, tmp_path):
    state = start(check_ins=2, check_in_samples=1).fill(days=6)
    kept = "SELECT min(date_added)::DATE::VARCHAR, count(*) FROM check_ins"
    assert state.ask(kept) == [("2025-03-07", 2 * 288)]
    state.now += KEEP_SUPERSEDED.total_seconds() + 1
    state.history.clean_up(state.writer.commits)
    days = {path.parent.name for path in (tmp_path / "history").glob("*/*/*")}
    assert min(days) == "date=2025-03-07"


def test_retention_reaches_rows_that_never_were_in_a_file(start):
    state = start(hot_rows=10_000, check_ins=2).fill(days=6)
    assert state.ask("SELECT count(*) FROM check_ins") == [(2 * 288,)]


def test_superseded_files_stay_as_long_as_the_published_snapshot_is_of_before(start):
    state = start().fill(days=2)
    state.ask(COUNT)
    before = state.writer.commits
    state.fill(first_day=2, days=2)
    state.now += KEEP_SUPERSEDED.total_seconds() + 1
    assert state.history.clean_up(before) == 0
    assert state.history.clean_up(state.writer.commits) > 0


def test_superseded_files_stay_for_readers_of_older_snapshots_for_a_while(start):
    state = start().fill(days=2)
    state.ask(COUNT)
    with duckdb.connect(state.snapshot, read_only=True) as reader:
        state.fill(first_day=2, days=2)
        state.ask(COUNT)
        state.now += KEEP_SUPERSEDED.total_seconds() - 60
        assert state.history.clean_up(state.writer.commits) == 0
        assert reader.execute(COUNT).fetchall() == [(576, 576)]
    state.now += 61
    assert state.history.clean_up(state.writer.commits) > 0
    assert state.ask(COUNT) == [(4 * 288, 4 * 288)]


def test_files_that_a_crash_left_unlisted_are_removed_at_the_next_start(start):
    state = start().fill(days=2)
    listed = state.live()
    unlisted = listed[0].with_name("000-999999.parquet")
    shutil.copy(listed[0], unlisted)
    listed[0].with_name(".000-999998.unfinished").write_text("half")
    other = listed[0].with_name("001-000000.parquet")
    shutil.copy(listed[0], other)
    state = start()
    assert not unlisted.exists()
    assert not list(other.parent.glob(".*"))
    assert other.exists(), "another shard's"
    assert state.ask(COUNT) == [(576, 576)]


def test_the_history_of_another_state_is_left_alone(start, tmp_path):
    state = start().fill(days=2)
    files = state.live()
    state.writer.close()
    shard_path(tmp_path, 0).unlink()
    with pytest.raises(StateError, match=r"history: holds the history of another state .*; move it away$"):
        start()
    assert all(path.exists() for path in files)


def test_the_writers_file_does_not_grow_with_the_history(start, tmp_path):
    state = start(hot_rows=1_000)
    sizes = []
    for hour in range(20):
        rows = [check_in(hour * 500 + number, minute=hour * 60 + number % 60) for number in range(500)]
        state.write(hour * 60, check_ins=rows)
        state.publisher.publish(force=True)
        sizes.append(shard_path(tmp_path, 0).stat().st_size)
    assert max(sizes[8:]) <= 1.5 * max(sizes[:8])
    assert state.ask(COUNT) == [(10_000, 10_000)]


def test_a_snapshot_is_not_published_again_when_a_restart_finds_nothing_new(start):
    state = start().fill(days=2)
    state.ask(COUNT)
    before = state.snapshot.stat().st_ino
    state = start()
    state.ask(COUNT)
    assert state.snapshot.stat().st_ino == before


def test_a_folder_that_was_copied_finds_its_own_files(start, tmp_path_factory, tmp_path):
    state = start().fill(days=2)
    state.ask(COUNT)
    state.writer.close()
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "a 'copy'"
    shutil.copytree(tmp_path, elsewhere)
    shutil.rmtree(tmp_path / "history")
    assert answer(elsewhere / SNAPSHOT, COUNT) == [(576, 576)]
    with duckdb.connect() as connection:
        connection.execute("SET VARIABLE cronwax_data_dir = $folder", {"folder": str(elsewhere)})
        path = str(elsewhere / SNAPSHOT).replace("'", "''")
        connection.execute(f"ATTACH '{path}' AS jobs (READ_ONLY)")
        assert connection.execute(COUNT.replace("check_ins", "jobs.check_ins")).fetchall() == [(576, 576)]


def test_an_attached_snapshot_finds_its_files_where_it_was_published(start):
    state = start().fill(days=2)
    state.ask(COUNT)
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{state.snapshot}' AS jobs (READ_ONLY)")
        assert connection.execute(COUNT.replace("check_ins", "jobs.check_ins")).fetchall() == [(576, 576)]


OLD_CLIENT = """
import duckdb, os, sys
os.chdir("/")
connection = duckdb.connect(sys.argv[1], read_only=True)
print(connection.execute("SELECT count(*), count(DISTINCT check_in_id) FROM check_ins").fetchall())
"""


@pytest.mark.process
def test_an_old_client_reads_the_history(start):
    """Only with CRONWAX_TEST_OLD_DUCKDB, an interpreter that has one."""
    interpreter = os.environ.get("CRONWAX_TEST_OLD_DUCKDB")
    if not interpreter:
        pytest.skip("CRONWAX_TEST_OLD_DUCKDB names no interpreter with an old duckdb")
    state = start().fill(days=2)
    state.write(check_ins=[check_in(300, "timeout", minute=300), (1, "nobody")])
    state.ask(COUNT)
    process = subprocess.run(
        [interpreter, "-c", OLD_CLIENT, str(state.snapshot)], capture_output=True, text=True, check=False
    )
    assert (process.stdout, process.stderr) == ("[(576, 576)]\n", "")


def test_a_state_of_the_first_version_is_brought_up_to_date(start, tmp_path):
    state = start(hot_rows=10_000)
    disabled = replace(monitor(slug="off"), status="disabled")
    environments = [environment()]
    state.write(
        5,
        monitors=[monitor(), disabled],
        monitor_environments=environments,
        check_ins=[check_in(1)],
    )
    state.writer.close()
    with duckdb.connect(shard_path(tmp_path, 0)) as connection:
        names = connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE regexp_matches(table_name, '^(history|late|deleted)_')"
        ).fetchall()
        for (name,) in names:
            connection.execute(f"DROP TABLE {name}")
        connection.execute("DROP TABLE monitor_status_history")
        connection.execute("ALTER TABLE snapshot_info DROP COLUMN publish_seconds")
        connection.execute("ALTER TABLE snapshot_info DROP COLUMN size_bytes")
        connection.execute("ALTER TABLE monitor_environments DROP COLUMN is_flapping")
        connection.execute("UPDATE schema_info SET version = 1")
    state = start().fill(days=2)
    assert state.ask("SELECT version FROM schema_info") == [(SCHEMA_VERSION,)]
    assert state.ask("SELECT count(*) FROM check_ins") == [(577,)]
    assert state.ask("SELECT slug, is_flapping FROM monitor_environments") == [("backup", False)]
    since = "SELECT slug, status, epoch_us(changed_at) FROM monitor_status_history"
    assert state.ask(since) == [("off", "disabled", START_US)]
