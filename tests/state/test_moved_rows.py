"""Rows of one identity are one row, also when the older one is in a Parquet file and has another time."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from state.errors import StateError
from state.history import row_filter
from state.history.moved_rows import MovedRows
from state.history.row_filter import RowFilter
from state.schema.catalogue import COLD_TABLES, TABLES
from tests.examples import examples
from tests.state.history_state import COUNT, DAY, State
from tests.state.state_rows import MINUTE_US, START_US, check_in, guid, row

ONE = "SELECT status, date_added::VARCHAR FROM check_ins WHERE check_in_id = '{}'"


def of(number: int) -> str:
    text = guid(number).hex()
    return ONE.format("-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:])))


@pytest.fixture
def state(tmp_path):
    state = State(tmp_path)
    yield state
    state.history.close()
    state.writer.close()


def reopened(state: State) -> State:
    """The state after its process was killed: nothing is closed in order."""
    state.writer.close()
    return State(state.folder)


def test_a_guid_used_again_after_its_run_was_moved_has_one_row(state):
    state.fill(days=2)
    for day in (2, 3, 4):
        state.write(check_ins=[check_in(5, "error", minute=day * DAY)])
        expected = [("error", f"2025-03-0{3 + day} 00:00:00+00")]
        assert state.ask(of(5)) == expected
        assert state.ask(COUNT) == [(576 + (day - 2) * 288, 576 + (day - 2) * 288)]
        state.fill(first_day=day)
        assert state.hot() <= 112
        assert state.ask(of(5)) == expected
        assert state.ask(COUNT) == [(864 + (day - 2) * 288, 864 + (day - 2) * 288)]
    state.next_day(6)
    state.next_day(7)
    assert state.ask("SELECT count(*) FROM late_check_ins") == [(0,)]
    assert state.ask(of(5)) == [("error", "2025-03-07 00:00:00+00")]


def test_used_again_on_the_day_that_was_moved_it_has_one_row(state):
    state.fill(days=2)
    state.write(check_ins=[check_in(5, "error", minute=600)])
    for _ in range(2):
        assert state.ask(of(5)) == [("error", "2025-03-03 10:00:00+00")]
        assert state.ask(COUNT) == [(576, 576)]
        state.next_day(3)


def test_an_older_time_than_that_in_the_file_is_taken_too(state):
    state.fill(days=3)
    state.write(check_ins=[check_in(2 * DAY, "error", minute=5)])
    for _ in range(2):
        assert state.ask(of(2 * DAY)) == [("error", "2025-03-03 00:05:00+00")]
        assert state.ask(COUNT) == [(864, 864)]
        state.next_day(4)


def test_the_same_guid_of_another_environment_stays(state):
    state.fill(days=2)
    state.write(check_ins=[replace(check_in(5, minute=2 * DAY), environment="other")])
    assert len(state.ask(of(5))) == 2


@pytest.mark.parametrize("name", COLD_TABLES)
def test_it_holds_for_every_table_that_has_history(state, name):
    table, time = TABLES[name], COLD_TABLES[name].time
    known = {"project_id": 1, "slug": "backup", "environment": "production", "counted": True, "status": "ok"}

    def rows(numbers, minute):
        return [
            row(
                table.row,
                **{
                    column: value
                    for column, value in (
                        known
                        | {
                            "check_in_id": guid(n),
                            "error_id": guid(n),
                            "message_id": f"m{n}",
                            "verdict": "failure",
                        }
                        | {time: START_US + (minute + n) * MINUTE_US}
                    ).items()
                    if column in table.names
                },
            )
            for n in numbers
        ]

    count = f"SELECT count(*), min({time})::VARCHAR FROM {name}"
    state.write(2 * DAY, **{name: rows(range(300), 0)})
    assert state.hot(name) < 300
    state.write(**{name: rows(range(300), 2 * DAY)})
    assert state.ask(count) == [(300, "2025-03-05 00:00:00+00")]
    state.next_day(4)
    assert state.hot(name) < 300
    assert state.ask(count) == [(300, "2025-03-05 00:00:00+00")]


def damage_nothing(path: Path) -> None:
    pass


def remove(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:70_000])


def of_another_state(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[8:24] = bytes(16)
    data[65_536:] = bytes(len(data) - 65_536)
    path.write_bytes(data)


def never_flushed(path: Path) -> None:
    """What is on disk after the machine died, if nothing but the header of an empty filter was."""
    data = bytearray(path.read_bytes())
    data[24:] = bytes(len(data) - 24)
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [damage_nothing, remove, cut, of_another_state, never_flushed])
def test_what_is_missing_of_the_filter_is_made_up_for_at_the_start(tmp_path, damage):
    state = State(tmp_path).fill(days=2)
    state.writer.close()
    (path,) = (tmp_path / "state").glob("*-check_ins.filter")
    damage(path)
    state = State(tmp_path)
    state.write(check_ins=[check_in(5, "error", minute=2 * DAY)])
    assert state.ask(COUNT) == [(576, 576)]
    state.writer.close()


def test_a_file_that_somebody_took_away_stops_nobody(tmp_path):
    state = State(tmp_path).fill(days=2, step=60)
    (tmp_path / "state" / "shard-000-check_ins.filter").unlink()
    state.live()[0].unlink()
    state = reopened(state)
    state.write(check_ins=[check_in(n, "error", minute=2 * DAY) for n in range(0, 2 * DAY, 5)])
    state.writer.close()


def test_what_is_new_is_looked_for_in_no_file(state, monkeypatch):
    state.fill(days=2)
    asked = []
    monkeypatch.setattr(MovedRows, "_look_up", lambda moved, name, maybe: asked.append(name))
    state.write(check_ins=[check_in(n, minute=2 * DAY) for n in range(10_000, 12_000)])
    assert asked == []
    state.write(check_ins=[check_in(5, minute=2 * DAY)])
    assert asked == ["check_ins"]


def test_a_full_disk_is_one_line(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    state = State(tmp_path)
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(
        StateError, match=r"shard-000-check_ins\.filter: cannot write: No space left on device"
    ):
        state.fill(days=2, step=120)  # what is only copied meets no disk
    state.writer.close()


def test_without_history_there_is_no_filter(tmp_path):
    state = State(tmp_path, hot_rows=10_000).fill(days=2)
    assert list((tmp_path / "state").glob("*.filter")) == []
    state.writer.close()


@settings(max_examples=examples(8), deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(st.tuples(st.integers(0, 60), st.integers(0, 3_000)), min_size=5, max_size=40),
            st.sampled_from(["", "", "", "delete", "kill"]),
        ),
        min_size=5,
        max_size=12,
    )
)
def test_whatever_is_used_again_there_is_one_row_the_newest(steps):
    expected = {}
    with TemporaryDirectory() as folder:
        state = State(Path(folder), hot_rows=100)
        state.fill(days=1)
        expected = {minute: (minute, "ok") for minute in range(0, DAY, 5)}
        for number, (runs, then) in enumerate(steps):
            hour = DAY + number * 300
            rows = []
            for which, back in runs:
                minute = max(0, hour - back)
                expected[which * 5] = (minute, f"step {number}")
                rows.append(check_in(which * 5, f"step {number}", minute=minute))
            state.write(hour, check_ins=rows)
            if then == "kill":
                state = reopened(state)
            if then == "delete":
                state.write(check_ins=[(1, "backup")])
                expected = {}
        found = state.ask("SELECT check_in_id, status, epoch_us(date_added) FROM check_ins")
        state.writer.close()
    assert len(found) == len(expected)
    minutes = {id_.int: ((us - START_US) // MINUTE_US, status) for id_, status, us in found}
    assert minutes == expected


def hashes(numbers) -> pa.Array:
    """Numbers that look like hashes."""
    return pa.array([hash((number, "x")) % 2**64 for number in numbers], pa.uint64())


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(row_filter, "FIRST_ROWS", 1 << 14)
    monkeypatch.setattr(row_filter, "_LARGEST_ROWS", 1 << 15)


def test_a_filter_knows_all_that_was_added_and_hardly_anything_else(tmp_path, small_parts):
    known = RowFilter(tmp_path / "f", b"o" * 16)
    added = hashes(range(100_000))
    for at in range(0, 100_000, 30_000):
        known.add(added.slice(at, 30_000))
    assert all(known.may_hold(added).to_pylist())
    strange = known.may_hold(hashes(range(100_000, 300_000))).to_pylist()
    assert sum(strange) <= 2
    known.covered = 7
    known.flush()
    known.close()
    again = RowFilter(tmp_path / "f", b"o" * 16)
    assert (again.rows, again.covered) == (100_000, 7)
    assert all(again.may_hold(added).to_pylist())
    again.close()


def test_a_filter_of_another_owner_is_empty(tmp_path, small_parts):
    known = RowFilter(tmp_path / "f", b"o" * 16)
    known.add(hashes(range(10)))
    known.flush()
    known.close()
    other = RowFilter(tmp_path / "f", b"p" * 16)
    assert (other.rows, any(other.may_hold(hashes(range(10))).to_pylist())) == (0, False)
    other.close()
