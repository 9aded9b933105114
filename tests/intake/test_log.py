"""The log: written in segments, read while it is written, whole after any crash."""

from __future__ import annotations

import errno
import os

import pytest

from cronwax.intake.log_writer import LogWriter, SegmentWriter, append_controls
from dataflow.connectors.intake_log import (
    CONTROLS,
    LogError,
    LogReader,
    Position,
    last_line,
    open_log,
    partition_name,
    remove_before,
    segment_path,
    segments_of,
)

NOW_US = 1_700_000_000_000_000
LARGE = 1 << 20


def entry(text: str) -> bytes:
    return b'"message":"%b"}\n' % text.encode()


def texts(reader: LogReader, most: int = 100) -> list[str]:
    found: list[str] = []
    while lines := reader.read(most):
        found += [line.decode().split('"')[-2] for _, line in lines]
    return found


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "partition-0"
    made.mkdir()
    return made


def test_a_line_is_its_time_and_what_was_given(folder):
    writer = SegmentWriter(folder, LARGE)
    writer.append([entry("a")], NOW_US + 5)
    assert segment_path(folder, 1).read_bytes() == b'{"ts":1700000000.000005,"message":"a"}\n'


def test_time_never_goes_back_in_a_partition(folder):
    writer = SegmentWriter(folder, LARGE)
    writer.append([entry("a")], NOW_US)
    writer.append([entry("b")], NOW_US - 1_000_000)
    lines = segment_path(folder, 1).read_bytes().splitlines()
    assert lines[0][:24] == lines[1][:24]


def test_what_is_appended_is_read_on(folder):
    writer, reader = SegmentWriter(folder, LARGE), LogReader(folder, None)
    assert texts(reader) == []
    assert reader.at_end
    writer.append([entry("a"), entry("b")], NOW_US)
    assert texts(reader) == ["a", "b"]
    writer.append([entry("c")], NOW_US)
    assert texts(reader) == ["c"]


def test_segments_follow_each_other_and_positions_grow(folder):
    writer = SegmentWriter(folder, 50)
    for text in "abcdef":
        writer.append([entry(text)], NOW_US)
    assert len(segments_of(folder)) == 3
    reader = LogReader(folder, None)
    numbers = [number for lines in iter(lambda: reader.read(1), []) for number, _ in lines]
    assert numbers == sorted(numbers)
    for index, number in enumerate(numbers):
        assert texts(LogReader(folder, Position.of(number))) == list("abcdef")[index:]


def test_a_line_without_its_end_is_not_read_until_it_is_whole(folder):
    SegmentWriter(folder, LARGE).append([entry("a")], NOW_US)
    reader = LogReader(folder, None)
    with segment_path(folder, 1).open("ab") as file:
        file.write(b'{"ts":1,"message"')
        file.flush()
        assert texts(reader) == ["a"]
        file.write(b':"b"}\n')
    assert texts(reader) == ["b"]


def test_a_torn_tail_is_cut_and_a_new_run_begins_a_new_segment(folder):
    SegmentWriter(folder, LARGE).append([entry("a")], NOW_US)
    with segment_path(folder, 1).open("ab") as file:
        file.write(b'{"ts":1,"mess' + b"x" * 100_000)
    reader = LogReader(folder, None)
    assert texts(reader) == ["a"]
    SegmentWriter(folder, LARGE).append([entry("b")], NOW_US)
    assert segment_path(folder, 1).read_bytes().endswith(b'"a"}\n')
    assert texts(reader) == ["b"]
    assert segments_of(folder) == [1, 2]


def test_a_reader_that_has_seen_more_than_a_crash_left_goes_on_with_the_next_run(folder):
    SegmentWriter(folder, LARGE).append([entry("a"), entry("lost")], NOW_US)
    reader = LogReader(folder, None)
    assert texts(reader) == ["a", "lost"]
    os.truncate(segment_path(folder, 1), len(b'{"ts":1700000000.000000,"message":"a"}\n'))
    SegmentWriter(folder, LARGE).append([entry("b")], NOW_US)
    assert texts(reader) == ["b"]


def test_a_run_that_wrote_nothing_leaves_nothing(folder):
    for _ in range(3):
        SegmentWriter(folder, LARGE).close()
    assert segments_of(folder) == []


def test_a_write_that_fails_leaves_nothing_of_its_lines(folder, monkeypatch):
    writer, reader = SegmentWriter(folder, LARGE), LogReader(folder, None)
    writer.append([entry("a")], NOW_US)
    real = os.write

    def short(file: int, data: bytes) -> int:
        if len(data) < 20:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(file, data[: len(data) - 19])

    monkeypatch.setattr(os, "write", short)
    with pytest.raises(OSError, match="No space left"):
        writer.append([entry("b"), entry("c")], NOW_US)
    monkeypatch.undo()
    writer.append([entry("d")], NOW_US)
    assert texts(reader) == ["a", "d"]


def test_a_group_is_in_all_of_its_partitions_or_in_none(tmp_path, monkeypatch):
    log = LogWriter(tmp_path, 2, LARGE)
    log.commit({0: [entry("a")], 1: [entry("b")]}, NOW_US)
    syncs: list[int] = []

    def fail_second(file: int) -> None:
        syncs.append(file)
        if len(syncs) == 2:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fdatasync", fail_second)
    with pytest.raises(OSError, match="Input/output"):
        log.commit({0: [entry("c")], 1: [entry("d")]}, NOW_US)
    monkeypatch.undo()
    ends = log.commit({0: [entry("e")]}, NOW_US)
    read = [LogReader(tmp_path / partition_name(index), None) for index in range(2)]
    assert [texts(reader) for reader in read] == [["a", "e"], ["b"]]
    assert ends == {0: read[0].position.number}


def test_two_intakes_do_not_write_one_log(tmp_path):
    first = LogWriter(tmp_path, 1, LARGE)
    with pytest.raises(LogError, match="another intake"):
        LogWriter(tmp_path, 1, LARGE)
    first.close()
    LogWriter(tmp_path, 1, LARGE).close()


def test_a_log_keeps_the_number_of_its_partitions(tmp_path):
    assert open_log(tmp_path, 4) == 4
    assert open_log(tmp_path, 8) == 4


def test_only_old_segments_before_the_position_are_removed(folder):
    writer = SegmentWriter(folder, 10)
    for text in "abcd":
        writer.append([entry(text)], NOW_US)
    os.utime(segment_path(folder, 1), (1_000, 1_000))
    os.utime(segment_path(folder, 3), (1_000, 1_000))
    assert list(remove_before(folder, 3, 2_000)) == [1]
    assert segments_of(folder) == [2, 3, 4]


def test_what_is_gone_and_was_not_read_is_one_line(folder):
    writer = SegmentWriter(folder, 10)
    for text in "abc":
        writer.append([entry(text)], NOW_US)
    segment_path(folder, 1).unlink()
    with pytest.raises(LogError, match=r"0000000001\.jsonl: is missing"):
        LogReader(folder, Position(1, 5))


def test_controls_of_several_processes_follow_each_other(tmp_path):
    open_log(tmp_path, 1)
    for text in "ab":
        append_controls(tmp_path / CONTROLS, [entry(text)])
    assert texts(LogReader(tmp_path / CONTROLS, None)) == ["a", "b"]


def test_the_newest_line_is_found_behind_empty_segments(folder):
    writer = SegmentWriter(folder, 10)
    for text in "ab":
        writer.append([entry(text)], NOW_US)
    segment_path(folder, 3).touch()
    assert b'"b"' in (last_line(folder) or b"")
