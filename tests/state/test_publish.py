"""The snapshot that analysts open."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime
from uuid import UUID

import duckdb
import pytest

from state.errors import StateError
from state.publish.publish import HOLD_SECONDS, Publisher
from state.publish.snapshot_views import SNAPSHOT
from state.schema.tables.internal import PartitionRow
from state.write.writer import StateWriter
from tests.state.state_rows import START_US, answer, check_in, partition, row

START = START_US / 1_000_000
STATUSES = "SELECT status FROM check_ins ORDER BY check_in_id"


class Flow:
    """A writer and its publisher, with a clock that stands still until it is moved."""

    def __init__(self, folder, interval=10.0):
        self.now = START
        self.writer = StateWriter.open(folder)
        self.publisher = Publisher(self.writer, folder, interval, lambda: self.now)

    def epoch(self, *check_ins, at=None, clock_minute=0):
        rows = {"check_ins": list(check_ins)}
        if at is not None:
            rows["partitions"] = [partition(at, clock_minute)]
        self.writer.write(rows)
        self.writer.commit()
        self.now += 60
        return self.publisher.publish()

    def end(self, **how):
        self.writer.commit()
        published = self.publisher.publish(force=True, **how)
        self.writer.close()
        return published


@pytest.fixture
def start(tmp_path):
    flows: list[Flow] = []

    def start_flow(**settings):
        for flow in flows:
            flow.writer.close()
        flows.append(Flow(tmp_path, **settings))
        return flows[-1]

    yield start_flow
    for flow in flows:
        flow.writer.close()


@pytest.fixture
def snapshot(tmp_path):
    return tmp_path / SNAPSHOT


def version_of(path):
    """Differs whenever the file was replaced or written."""
    status = path.stat()
    return status.st_ino, status.st_mtime_ns


def test_a_snapshot_holds_what_was_committed(start, snapshot):
    flow = start()
    flow.writer.write({"check_ins": [check_in(1)]})
    flow.epoch()
    flow.writer.write({"check_ins": [check_in(2)]})
    flow.publisher.publish(force=True)
    assert answer(snapshot, "SELECT check_in_id FROM check_ins") == [(UUID(int=1),)]


def test_it_says_what_it_covers(start, snapshot):
    flow = start()
    flow.writer.write(
        {
            "partitions": [
                partition(18, 7, number=1),
                partition(5, 3),
                row(PartitionRow, "controls", 0, 2, None),
            ]
        }
    )
    flow.epoch()
    at = [datetime(2025, 3, 3, 0, minute, tzinfo=UTC) for minute in (1, 3, 7)]
    assert answer(snapshot, "SELECT published_at, event_clock, positions FROM snapshot_info") == [
        (
            at[0],
            at[1],
            [
                {"topic": "checkins", "partition": 0, "position": 5, "clock": at[1]},
                {"topic": "checkins", "partition": 1, "position": 18, "clock": at[2]},
                {"topic": "controls", "partition": 0, "position": 2, "clock": None},
            ],
        )
    ]


def test_it_says_how_large_it_is_and_how_long_it_took(start, snapshot):
    published = start().epoch(*(check_in(number) for number in range(5_000)), at=1)
    ((size, seconds),) = answer(snapshot, "SELECT size_bytes, publish_seconds FROM snapshot_info")
    assert size == published.size_bytes == snapshot.stat().st_size
    assert 0 < seconds <= published.seconds


def test_it_says_so_once_however_often_it_is_published(start, snapshot):
    flow = start()
    for position in range(3):
        flow.epoch(at=position)
    assert answer(snapshot, "SELECT positions[1].position FROM snapshot_info") == [(2,)]


def test_an_empty_run_leaves_an_empty_snapshot(start, snapshot):
    start().end()
    assert answer(snapshot, STATUSES) == []
    assert answer(snapshot, "SELECT event_clock, positions FROM snapshot_info") == [(None, [])]


def test_it_is_published_no_more_often_than_the_interval_allows(start, snapshot):
    flow = start(interval=150.0)
    assert flow.epoch(check_in(1), at=1)
    assert not flow.epoch(check_in(2), at=2)
    assert not flow.epoch(check_in(3), at=3)
    assert answer(snapshot, "SELECT count(*) FROM check_ins") == [(1,)]
    assert flow.epoch(check_in(4), at=4)
    assert answer(snapshot, "SELECT count(*) FROM check_ins") == [(4,)]


def test_what_is_written_late_is_due_by_when_its_epoch_ended(start, snapshot):
    """The flow's last epoch comes an interval after the one before, and is written right behind it."""
    flow = start(interval=100.0)
    written = [(check_in(1), START), (check_in(2), START + 50), (check_in(3), START + 100)]
    flow.now = START + 3600
    shown = []
    for run, ended_at in written:
        flow.writer.write({"check_ins": [run]})
        flow.writer.commit()
        shown.append(flow.publisher.publish(asked_at=ended_at) is not None)
    assert shown == [True, False, True]
    assert answer(snapshot, "SELECT count(*) FROM check_ins") == [(3,)]


def test_a_wall_clock_that_is_set_back_does_not_stop_publishing(start, snapshot):
    flow = start()
    flow.epoch(check_in(1), at=1)
    flow.now -= 86_400
    assert flow.epoch(check_in(2), at=2)


def test_the_last_one_does_not_wait(start, snapshot):
    flow = start(interval=3_600.0)
    flow.epoch(check_in(1), at=1)
    flow.writer.write({"check_ins": [check_in(2)]})
    assert flow.end()
    assert answer(snapshot, "SELECT count(*) FROM check_ins") == [(2,)]


def test_nothing_is_published_when_nothing_was_committed(start, snapshot):
    flow = start()
    flow.epoch(check_in(1), at=1)
    before = version_of(snapshot)
    assert not flow.epoch()
    assert not flow.end()
    assert version_of(snapshot) == before


def test_a_replay_that_changes_no_row_leaves_the_file_alone(start, snapshot):
    first = start()
    first.epoch(check_in(1, "in_progress"), at=1)
    first.epoch(check_in(1, "ok"), check_in(2, "error"), at=2)
    first.end()
    before = version_of(snapshot)
    again = start()
    again.epoch(check_in(1, "in_progress"), at=1)
    again.epoch(check_in(1, "ok"), check_in(2, "error"), at=2)
    again.end()
    assert version_of(snapshot) == before


def test_a_change_at_the_same_positions_is_published(start, snapshot):
    flow = start()
    flow.epoch(check_in(1, "in_progress"), at=1)
    assert flow.epoch(check_in(1, "timeout"), at=1)
    assert answer(snapshot, STATUSES) == [("timeout",)]


def test_what_was_committed_before_a_crash_is_published_after_it(start, snapshot):
    flow = start(interval=3_600.0)
    flow.epoch(check_in(1), at=1)
    flow.epoch(check_in(2), at=2)
    flow.writer.close()
    start().epoch()
    assert answer(snapshot, "SELECT count(*) FROM check_ins") == [(2,)]


def test_a_replayed_epoch_is_not_shown_until_it_is_as_far_as_it_was(start, snapshot):
    first = start()
    first.epoch(check_in(1, "ok"), at=100, clock_minute=9)
    first.writer.close()
    again = start()
    assert not again.epoch(check_in(1, "in_progress"), at=40, clock_minute=4)
    assert answer(snapshot, STATUSES) == [("ok",)]
    assert again.epoch(check_in(1, "ok"), check_in(2, "ok"), at=140, clock_minute=12)
    assert answer(snapshot, STATUSES) == [("ok",), ("ok",)]


def test_a_second_crash_in_the_replay_does_not_forget_how_far_it_was(start, snapshot):
    flow = start()
    flow.epoch(check_in(1, "ok"), at=100)
    flow.writer.close()
    flow = start()
    flow.epoch(check_in(1, "in_progress"), at=40)
    flow.writer.close()
    flow = start()
    assert not flow.epoch(check_in(2, "in_progress"), at=60)
    assert answer(snapshot, STATUSES) == [("ok",)]


def test_a_flow_stopped_in_the_replay_leaves_the_last_snapshot(start, snapshot):
    start().epoch(check_in(1, "ok"), at=100)
    before = version_of(snapshot)
    again = start()
    again.epoch(check_in(1, "in_progress"), at=40)
    assert not again.end(input_ended=False)
    assert version_of(snapshot) == before


def test_an_input_that_ends_earlier_than_it_did_is_published_at_its_end(start, snapshot):
    start().epoch(check_in(1, "ok"), at=100)
    again = start()
    assert not again.epoch(check_in(1, "error"), at=40)
    assert again.end()
    assert answer(snapshot, STATUSES) == [("error",)]
    assert answer(snapshot, "SELECT positions[1].position FROM snapshot_info") == [(40,)]


def test_a_flow_that_does_not_catch_up_is_shown_after_a_while(start, snapshot):
    start().epoch(check_in(1, "ok"), at=100)
    again = start()
    assert not again.epoch(check_in(1, "error"), at=1)
    again.now += HOLD_SECONDS
    assert again.epoch(check_in(2, "error"), at=2)
    assert answer(snapshot, "SELECT positions[1].position FROM snapshot_info") == [(2,)]


def test_a_reader_keeps_the_snapshot_that_it_has_opened(start, snapshot):
    flow = start()
    flow.epoch(check_in(1, "in_progress"), at=1)
    with duckdb.connect(snapshot, read_only=True) as reader:
        flow.epoch(*(check_in(number, "ok") for number in range(1, 5_000)), at=2)
        assert reader.execute(STATUSES).fetchall() == [("in_progress",)]


def test_what_a_crash_left_unfinished_is_removed(start, tmp_path, snapshot):
    flow = start()
    flow.epoch(check_in(1), at=1)
    flow.writer.copy_to(tmp_path / ".monitors.duckdb.unfinished")
    flow.writer.close()
    start()
    assert sorted(path.name for path in tmp_path.iterdir()) == [SNAPSHOT, "state"]
    assert answer(snapshot, STATUSES) == [("ok",)]


def test_a_snapshot_that_cannot_be_written_is_one_clear_line_and_the_last_one_stays(
    start, tmp_path, snapshot
):
    flow = start()
    flow.epoch(check_in(1, "in_progress"), at=1)
    (tmp_path / ".monitors.duckdb.unfinished").mkdir()
    with pytest.raises(StateError, match=r"^\S*unfinished: cannot write: Is a directory$"):
        flow.epoch(check_in(1, "ok"), at=2)
    assert answer(snapshot, STATUSES) == [("in_progress",)]


@pytest.mark.parametrize("content", [b"", b"garbage" * 1_000])
def test_a_damaged_snapshot_is_replaced(start, snapshot, content):
    start().epoch(check_in(1), at=1)
    snapshot.write_bytes(content)
    start().end()
    assert answer(snapshot, STATUSES) == [("ok",)]


def test_what_somebody_wrote_into_the_last_snapshot_does_not_spoil_the_next(start, snapshot):
    flow = start()
    flow.epoch(check_in(1), at=1)
    with duckdb.connect(snapshot) as connection:
        connection.execute("PRAGMA disable_checkpoint_on_shutdown; CREATE TABLE mine AS SELECT 1")
    assert snapshot.with_name(f"{SNAPSHOT}.wal").exists()
    flow.epoch(check_in(2), at=2)
    assert answer(snapshot, "SELECT count(*) FROM check_ins") == [(2,)]


def test_the_file_is_in_the_format_of_duckdb_1_0(start, snapshot):
    """The format's number is in the 8 bytes from 12: 64 is that of DuckDB 0.10 to 1.1."""
    start().epoch(check_in(1), at=1)
    header = snapshot.read_bytes()[:20]
    assert header[8:12] == b"DUCK"
    assert int.from_bytes(header[12:20], "little") == 64


OLD_CLIENT = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1], read_only=True)
tables = connection.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall()
for schema, name in tables:
    connection.execute(f"CREATE TEMP TABLE copy_of_{name} AS FROM {schema}.{name}")
print(connection.execute("SELECT status, epoch(date_added)::BIGINT FROM check_ins").fetchall())
"""


@pytest.mark.process
def test_an_old_client_reads_it(start, snapshot):
    """Only with CRONWAX_TEST_OLD_DUCKDB, an interpreter that has one; the format is tested above."""
    start().epoch(check_in(1), at=1)
    interpreter = os.environ.get("CRONWAX_TEST_OLD_DUCKDB")
    if not interpreter:
        pytest.skip("CRONWAX_TEST_OLD_DUCKDB names no interpreter with an old duckdb")
    process = subprocess.run(
        [interpreter, "-c", OLD_CLIENT, str(snapshot)], capture_output=True, text=True, check=False
    )
    assert (process.stdout, process.stderr) == ("[('ok', 1740960000)]\n", "")
