"""Broker timestamps in files that cannot be true (SPEC, section 6): they set no clock and no deadline."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.connectors.jsonl_source import FileSource
from dataflow.connectors.untrue_times import UntrueTimes
from dataflow.monitors.check_in import NO_MINUTE, CheckIn
from dataflow.steps.decode import Decode
from dataflow.stream.batch import SourceBatch
from dataflow.stream.items import Chunk
from dataflow.stream.partition_clock import EARLIEST_US
from tests.builders import START_S, check_in, pulse

MINUTE = START_S // 60
DAY_S = 86_400
FUTURE_S = 4_000_000_000


def batches_of(path, size=4096, state=None):
    source = FileSource(path, size, projects={})
    part = source.build_part("source", path.name, state)
    found: list[SourceBatch] = []
    while not found or not found[-1].ended:
        found += part.next_batch()
    return found


def write(path, *lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def stamped(at_s, number):
    """A check-in with a timestamp in seconds since the epoch, and the same start."""
    return check_in(at_s - START_S, number=number)


def counted(batches):
    """Seconds since START_S that the messages count as."""
    return [(at_us / 1e6) - START_S for batch in batches for _, at_us, _ in batch.messages]


@pytest.mark.parametrize("size", [1, 2, 4096])
@pytest.mark.parametrize("untrue_s", [1.0, START_S / 1000, START_S - 32 * DAY_S, FUTURE_S])
def test_in_the_middle_it_counts_as_of_the_clock(tmp_path, size, untrue_s, caplog):
    lines = [pulse(0), pulse(60), stamped(untrue_s, 1), pulse(90), pulse(120)]
    batches = batches_of(write(tmp_path / "in.jsonl", *lines), size)
    assert counted(batches) == [0, 60, pytest.approx(119.999999), 90, 120]
    assert batches[-1].clock_after == MINUTE + 2
    assert [offset for batch in batches for offset in batch.untrue] == [3]
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("in.jsonl: the time of message 3, ")


@pytest.mark.parametrize("size", [1, 2, 4096])
@pytest.mark.parametrize("untrue_s", [1.0, START_S / 1000, FUTURE_S])
def test_at_the_start_it_counts_as_of_the_first_true_one(tmp_path, size, untrue_s):
    lines = [stamped(untrue_s, 1), stamped(untrue_s + 1, 2), pulse(60), pulse(120)]
    batches = batches_of(write(tmp_path / "in.jsonl", *lines), size)
    assert counted(batches)[2:] == [60, 120]
    assert counted(batches)[:2] == [pytest.approx(119.999999)] * 2
    assert batches[0].clock_after in {MINUTE + 1, MINUTE + 2}
    assert batches[-1].clock_after == MINUTE + 2


@given(at_us=st.integers())
def test_whatever_the_time_it_can_be_said(at_us):
    UntrueTimes("t/0").note(at_us, 5, "its producer's clock")


def test_a_file_of_nothing_else_has_no_clock(tmp_path):
    batches = batches_of(write(tmp_path / "in.jsonl", stamped(1, 1), stamped(2, 2)), 1)
    assert {batch.clock_after for batch in batches} == {NO_MINUTE}
    assert {at_us for batch in batches for _, at_us, _ in batch.messages} == {EARLIEST_US - 1}


def test_a_true_leap_moves_the_clock(tmp_path):
    """Nothing that follows contradicts it, though the host's clock may not have come there yet."""
    days = (FUTURE_S - START_S) // DAY_S
    lines = [pulse(0), pulse(days * DAY_S), pulse(days * DAY_S + 60)]
    batches = batches_of(write(tmp_path / "in.jsonl", *lines))
    assert batches[-1].clock_after == MINUTE + days * 1440 + 1
    assert batches[-1].untrue == []


def test_a_time_before_the_hosts_clock_is_not_contradicted_by_what_is_far_behind_it(tmp_path):
    (batch,) = batches_of(write(tmp_path / "in.jsonl", pulse(0), pulse(-32 * DAY_S)))
    assert batch.untrue == [2]
    assert batch.clock_after == MINUTE


def test_late_by_less_than_31_days_is_late_and_true(tmp_path):
    batches = batches_of(write(tmp_path / "in.jsonl", pulse(31 * DAY_S), pulse(0)))
    assert counted(batches) == [31 * DAY_S, 0]
    assert batches[-1].untrue == []


@pytest.mark.parametrize(("start_s", "begins_s"), [(1.0, 119.999999), (START_S - 60.0, -60)])
def test_a_start_that_cannot_be_true_either_sets_no_deadline(tmp_path, start_s, begins_s):
    line = check_in(1 - START_S, number=1, start_s=start_s - START_S)
    line["message"]["start_time"] = start_s
    (batch,) = batches_of(write(tmp_path / "in.jsonl", pulse(60), line, pulse(120)))
    chunks = [out for out in Decode({}, 1)([batch]) if isinstance(out, Chunk)]
    (item,) = [item for chunk in chunks for item in chunk.items]
    assert isinstance(item, CheckIn)
    assert (item.start_us / 1e6) - START_S == pytest.approx(begins_s)
