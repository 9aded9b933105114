import threading
import time
from typing import Any

import msgspec
import pyarrow
import pytest
from bytewax.outputs import FixedPartitionedSink

from dataflow.connectors import background_writer, unwritten_records
from dataflow.connectors.background_writer import DeferredSink, EpochPartition
from dataflow.process import exit as exit_of_process
from dataflow.process.exit import FlowError, LastingError
from dataflow.stream.items import Records
from state.schema.catalogue import Deletes
from state.schema.tables.sampling import SamplingRuleRow
from tests.state.state_rows import START_US, check_in, environment, guid, monitor, partition, row

PATIENCE_SECONDS = 30


class Tables(EpochPartition):
    """Writes epochs to a list, each only when `may_write` is set."""

    def __init__(self):
        self.may_write = threading.Event()
        self.taken, self.written, self.closed = [], [], False
        self.rests, self.seen, self.rested = 0, [], threading.Event()

    def write_batch(self, values):
        self.taken += values

    def end_epoch(self, ended_at):
        assert self.may_write.wait(PATIENCE_SECONDS)
        self.written.append(self.taken)
        self.taken = []

    def work_off(self, worked_off):
        self.worked_off = worked_off

    def rest_due_in(self):
        return 0.01 if self.rests else None

    def publish_rest(self):
        self.rests -= 1
        self.seen.append(list(self.written))
        if not self.rests:
            self.rested.set()

    def close(self):
        self.closed = True


class TablesSink(FixedPartitionedSink):
    def __init__(self, part):
        self.part = part

    def list_parts(self):
        return ["0"]

    def build_part(self, step_id, for_part, resume_state):
        assert resume_state is None
        return self.part


@pytest.fixture
def tables():
    made = Tables()
    yield made
    made.may_write.set()  # let its thread end


def build(tables, state=None, written=lambda part, seconds: None):
    return DeferredSink(TablesSink(tables), written).build_part("tables", "0", state)


def records(*numbers):
    return [Records(number, {"check_ins": [check_in(number, "missed")] * 3}) for number in numbers]


def resumed(state):
    """What is written before anything else when a flow goes on from this snapshot."""
    tables = Tables()
    tables.may_write.set()
    build(tables, state)
    return [each for epoch in tables.written for each in epoch]


def until_written(part, tables, count):
    tables.may_write.set()
    part._wait()
    assert len(tables.written) == count


def test_an_epoch_ends_while_its_records_are_still_to_be_written_and_they_are_in_its_snapshot(tables):
    part = build(tables)
    part.write_batch(records(1))
    part.write_batch(records(2, 3))
    state = part.snapshot()
    assert tables.written == []
    assert resumed(state) == records(1, 2, 3)
    part.write_batch(records(4))
    assert resumed(part.snapshot()) == records(1, 2, 3, 4)
    until_written(part, tables, 2)
    assert tables.written == [records(1, 2, 3), records(4)]


def test_what_is_written_is_in_no_later_snapshot(tables):
    told = []
    part = build(tables, written=lambda name, seconds: told.append(name))
    part.write_batch(records(1))
    part.snapshot()
    until_written(part, tables, 1)
    tables.may_write.clear()
    part.write_batch(records(2))
    assert resumed(part.snapshot()) == records(2)
    assert told == ["0"]


def test_many_records_are_kept_in_order_over_blocks(tables, monkeypatch):
    monkeypatch.setattr(unwritten_records, "_BLOCK_BYTES", 100)
    part = build(tables)
    for number in range(100):
        part.write_batch(records(number))
    assert resumed(part.snapshot()) == records(*range(100))


def test_with_too_much_unwritten_the_flow_waits(tables, monkeypatch):
    monkeypatch.setattr(background_writer, "MAX_UNWRITTEN_BYTES", 10)
    part = build(tables)
    part.write_batch(records(1))
    threading.Timer(0.05, tables.may_write.set).start()
    state = part.snapshot()
    assert tables.written == [records(1)]
    assert resumed(state) == []


def test_a_flow_that_was_asked_to_stop_waits_and_closes_the_tables(tables, monkeypatch):
    part = build(tables)
    part.write_batch(records(1))
    tables.may_write.set()
    monkeypatch.setattr(background_writer, "stopping", lambda: True)
    assert resumed(part.snapshot()) == []
    part.close()
    assert (tables.written, tables.closed) == ([records(1)], True)


def test_a_flow_that_broke_off_within_an_epoch_leaves_no_part_of_it(tables):
    tables.may_write.set()
    part = build(tables)
    part.write_batch(records(1))
    part.snapshot()
    part.write_batch(records(2))
    part.close()
    assert (tables.written, tables.closed) == ([records(1)], False)


def test_an_empty_epoch_writes_nothing(tables):
    part = build(tables)
    assert resumed(part.snapshot()) == []
    part.close()
    assert (tables.written, tables.closed) == ([], True)


def test_what_goes_wrong_beside_the_flow_ends_the_flow(tables, monkeypatch):
    part = build(tables)
    monkeypatch.setattr(tables, "end_epoch", lambda ended_at: 1 / 0)
    part.write_batch(records(1))
    part.snapshot()
    with pytest.raises(ZeroDivisionError):
        part.close()


def test_a_snapshot_of_the_first_version_is_read_as_it_was_meant():
    """There the columns of the identity came first, and deletes were short rows among the others."""
    times = (120, START_US, START_US, None, None, None)
    old = {
        "monitors": [
            (
                *(1, "backup", 1, guid(7), "Backup", "active", False, None, "crontab", "*/5 * * * *", "UTC"),
                *(1, 30, 1, 1, START_US, START_US),
            )
        ],
        "check_ins": [
            (1, "backup", "production", guid(1), "ok", *times),
            (1, "backup"),
            (1, "backup", "production", guid(2), "error", *times),
        ],
        "sampling_rules": [
            (
                *(1, 2, START_US, 3002, b"[1]", '{"op": "and"}', "f00d", START_US, START_US, 9, 0.5, 3),
                *(True, False, "", None),
            )
        ],
        "partitions": [("checkins", 0, 7, START_US)],
    }
    block = msgspec.msgpack.encode([(3, old, 0.5)])
    compressed = pyarrow.compress(block, codec="zstd", asbytes=True)
    rule = row(
        SamplingRuleRow,
        *(1, 2, 3002, b"[1]", b'{"op": "and"}', "f00d", START_US, START_US, 9, 0.5, 3, True, False, ""),
        created_at=START_US,
    )
    assert resumed(msgspec.msgpack.encode((1, [(len(block), compressed)]))) == [
        Records(3, {"monitors": [monitor()]}, 0.5),
        Records(3, {"check_ins": [check_in(1)]}, 0.5),
        Records(3, {}, 0.5, {"check_ins": [(1, "backup")]}),
        Records(3, {"check_ins": [check_in(2, "error")]}, 0.5),
        Records(3, {"sampling_rules": [rule]}, 0.5),
        Records(3, {"partitions": [partition(7)]}, 0.5),
    ]


def test_a_row_that_is_shorter_than_its_table_gets_what_an_upgrade_would_give():
    """Columns that came since the snapshot was taken, of a table and in the middle of its rows."""
    whole: dict[str, Any] = {
        "monitor_environments": [environment(1)],
        "check_ins": [check_in(1), check_in(2, "error")],
    }
    assert [each.is_flapping for each in whole["monitor_environments"]] == [False]
    assert [each.trace_id for each in whole["check_ins"]] == [None, None]
    short = {
        name: [msgspec.to_builtins(each, builtin_types=(bytes,))[:-1] for each in rows]
        for name, rows in whole.items()
    }
    deletes: Deletes = {"check_ins": [(1, "backup")]}
    block = msgspec.msgpack.encode([(3, short, 0.5, deletes), (3, whole, 0.5, {})])
    compressed = pyarrow.compress(block, codec="zstd", asbytes=True)
    assert resumed(msgspec.msgpack.encode((2, [(len(block), compressed)]))) == [
        Records(3, whole, 0.5, deletes),
        Records(3, whole, 0.5),
    ]


def test_a_snapshot_of_a_newer_release_is_refused(tables):
    with pytest.raises(LastingError, match=rf"newer release .*\(version {unwritten_records.VERSION + 1}\)"):
        build(tables, msgspec.msgpack.encode((unwritten_records.VERSION + 1, [])))


def test_an_error_beside_the_flow_ends_the_process_at_once(tables, monkeypatch):
    ended = threading.Event()
    said = []

    def end(message, status):
        said.append((message, status))
        ended.set()

    def full(ended_at):
        raise FlowError("no room")

    monkeypatch.setattr(exit_of_process, "end_process", end)
    monkeypatch.setattr(tables, "end_epoch", full)
    part = build(tables)
    part.write_batch(records(1))
    part.snapshot()
    assert ended.wait(10)
    assert said == [("no room", 1)]


def test_how_far_each_key_group_is_is_known_again_whichever_epoch_said_it(tables):
    tables.may_write.set()
    part = build(tables)
    for worked_off in ({7: 100, 3: 90}, {3: 100, 5: -1}):
        part.write_batch([Records(0, {}, worked_off=worked_off)])
        state = part.snapshot()
        part.settle()
    for _ in range(2):  # also if nothing comes after the start
        again = Tables()
        again.may_write.set()
        part = build(again, state)
        assert again.worked_off == {3: 100, 5: -1, 7: 100}
        state = part.snapshot()
    assert [*again.worked_off] == sorted(again.worked_off)


def test_what_is_left_to_publish_is_published_though_no_epoch_comes_any_more(tables):
    part = build(tables)
    tables.rests = 2
    part.write_batch(records(1))
    part.snapshot()
    until_written(part, tables, 1)
    assert tables.rested.wait(PATIENCE_SECONDS)
    assert tables.seen == [[records(1)]] * 2
    part.write_batch(records(2))
    part.snapshot()
    until_written(part, tables, 2)


def test_what_fails_while_the_rest_is_published_comes_up_at_the_next_snapshot(tables):
    def fail():
        tables.rests = 0
        raise ZeroDivisionError

    part = build(tables)
    tables.rests, tables.publish_rest = 1, fail
    part.write_batch(records(1))
    part.snapshot()
    until_written(part, tables, 1)
    while part._resting is None or not part._resting.done():
        time.sleep(0.01)
    with pytest.raises(ZeroDivisionError):
        part.snapshot()


def test_closing_does_not_wait_for_the_time_at_which_the_rest_would_be_published(tables):
    part = build(tables)
    tables.rest_due_in = lambda: 3600.0
    tables.may_write.set()
    part.write_batch(records(1))
    part.snapshot()
    part.close()
    assert (tables.seen, tables.closed) == ([], True)
    assert part._timer.finished.is_set()
