"""Days are rewritten in the background: what changes meanwhile is neither lost nor doubled."""

from __future__ import annotations

from uuid import UUID

import duckdb
import pytest

from state.errors import StateError
from state.history import history_files
from tests.state.history_state import COUNT, DAY, State
from tests.state.state_rows import check_in, write

WHOLE = "SELECT day FROM history_files WHERE is_whole_day AND superseded_at IS NULL"
STATUSES = "SELECT status, count(*) FROM check_ins GROUP BY ALL ORDER BY ALL"


@pytest.fixture
def begun(tmp_path):
    """A state whose first day is being compacted, of 288 check-ins numbered by their minute."""
    states = []

    def begin(**retention_days):
        state = State(tmp_path, **retention_days)
        states.append(state)
        state.is_patient = False
        hour = 0
        while not state.history.wait():
            rows = [check_in(minute, minute=minute) for minute in range(hour, hour + 60, 5)]
            state.write(hour + 60, check_ins=rows)
            hour += 60
        state.rows = hour // 5
        assert not state.ask(WHOLE)
        return state

    yield begin
    for state in states:
        state.history.close()
        state.writer.close()


def finish(state):
    assert state.history.maintain()
    assert len(state.ask(WHOLE)) == 1


def test_the_flow_goes_on_meanwhile(begun):
    state = begun()
    assert state.ask(COUNT) == [(state.rows, state.rows)]
    finish(state)
    assert state.ask(COUNT) == [(state.rows, state.rows)]


def test_a_row_that_changes_meanwhile_is_as_it_was_written_last(begun):
    state = begun()
    write(state.writer, check_ins=[check_in(300, "timeout", minute=300)])
    finish(state)
    assert state.ask(STATUSES) == [("ok", state.rows - 1), ("timeout", 1)]
    state.next_day(9)
    assert state.ask(STATUSES) == [("ok", state.rows - 1), ("timeout", 1)]


def test_a_late_row_that_changes_once_more_meanwhile_too(begun):
    state = begun()
    finish(state)
    state.write(check_ins=[check_in(300, "timeout", minute=300), check_in(305, "error", minute=305)])
    state.write(9 * DAY)  # its day is to be rewritten
    assert state.history.wait()
    write(state.writer, check_ins=[check_in(300, "missed", minute=300)])
    assert state.history.maintain()
    expected = [("error", 1), ("missed", 1), ("ok", state.rows - 2)]
    assert state.ask(STATUSES) == expected
    assert state.hot("late_check_ins") == 1
    state.next_day(10)
    assert state.ask(STATUSES) == expected
    assert state.hot("late_check_ins") == 0


def test_a_row_deleted_meanwhile_stays_deleted(begun):
    state = begun()
    write(state.writer, check_ins=[(1, "backup"), check_in(7, "error", minute=7)])
    state.history.maintain()
    assert state.ask("SELECT check_in_id FROM check_ins") == [(UUID(int=7),)]
    state.next_day(9)
    assert state.ask("SELECT check_in_id FROM check_ins") == [(UUID(int=7),)]


def test_a_day_dropped_meanwhile_does_not_come_back(begun):
    state = begun(check_ins=2)
    state.write(40 * DAY)
    assert state.ask(COUNT) == [(0, 0)]
    assert not [path for path in state.folder.glob("history/*/*/*") if path.name not in listed(state)]


def listed(state):
    return {path.rpartition("/")[2] for (path,) in state.ask("SELECT path FROM history_files")}


def test_a_file_that_cannot_be_read_ends_it_in_one_line(tmp_path):
    state = State(tmp_path)
    state.is_patient = False
    state.fill(days=1)
    assert not state.history.wait()
    broken = state.live()[0]
    broken.write_bytes(b"no Parquet file")
    with pytest.raises(StateError, match=r"^history/\S+\.parquet: cannot write: .*" + broken.name):
        state.fill(first_day=1).next_day(3)
    state.writer.close()


def test_what_takes_too_much_memory_to_sort_is_moved_and_compacted_unsorted(begun, monkeypatch):
    copy, unsorted = history_files._copy, []

    def copied(connection, query, target):
        if "ORDER BY" in query:
            raise duckdb.OutOfMemoryException("as of a sort")
        unsorted.append(target)
        return copy(connection, query, target)

    monkeypatch.setattr(history_files, "_copy", copied)
    state = begun()
    finish(state)
    assert len(unsorted) > 1
    assert state.ask(COUNT) == [(state.rows, state.rows)]


def test_a_flow_that_stops_meanwhile_leaves_the_day_as_it_was(begun, tmp_path):
    state = begun()
    files = set(state.live())
    state.history.close()
    assert set(state.live()) == files
    assert set(tmp_path.glob("history/*/*/*.parquet")) == files
    assert state.ask(COUNT) == [(state.rows, state.rows)]


@pytest.mark.parametrize("minute", [600, 5 * DAY])
def test_a_guid_that_is_used_again_meanwhile_is_one_row(begun, minute):
    state = begun()
    write(state.writer, check_ins=[check_in(300, "error", minute=minute)])
    finish(state)
    assert state.ask(STATUSES) == [("error", 1), ("ok", state.rows - 1)]
    write(state.writer, check_ins=[check_in(300, "timeout", minute=minute + 60)])
    for day in (9, 10):
        assert state.ask(STATUSES) == [("ok", state.rows - 1), ("timeout", 1)]
        state.next_day(day)


def test_a_table_of_which_nothing_is_left_has_no_file(tmp_path):
    state = State(tmp_path).fill(days=1)
    state.next_day(2)
    state.write(check_ins=[(1, "backup")])
    state.next_day(3)
    assert (state.live(), state.ask(COUNT)) == ([], [(0, 0)])
    state.history.close()
    state.writer.close()
