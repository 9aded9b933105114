"""The source that reads JSON lines from files."""

import gzip
import tempfile
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow.connectors.jsonl_source import FileSource
from dataflow.monitors.check_in import NO_MINUTE
from dataflow.monitors.event_order import FOREVER
from dataflow.stream.batch import Format, SourceBatch
from tests.connectors.jsonl_files import (
    START_MINUTE,
    SUFFIXES,
    batches,
    line,
    lines,
    read,
    write,
)


@SUFFIXES
def test_every_line_is_handed_on_with_its_number_and_time(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"in{suffix}", b"\n".join(lines(3)) + b"\n")
    (batch,), _ = batches(path)
    at_us = START_MINUTE * 60_000_000
    assert batch == SourceBatch(
        origin=0,
        topic=f"in{suffix}",
        partition=0,
        format=Format.LINES,
        clock_before=NO_MINUTE,
        messages=[(1, at_us, line(0)), (2, at_us + 60_000_000, line(1)), (3, at_us + 120_000_000, line(2))],
        clock_after=START_MINUTE + 2,
        position=4,
        ended=True,
        read_us=FOREVER,
    )


@SUFFIXES
def test_batches_follow_each_other_without_gap_and_only_the_last_has_ended(
    tmp_path: Path, suffix: str
) -> None:
    path = write(tmp_path / f"in{suffix}", b"\n".join(lines(6)) + b"\n")
    found, _ = batches(path, size=3)
    assert [[number for number, _, _ in batch.messages] for batch in found] == [[1, 2, 3], [4, 5, 6], []]
    assert [batch.ended for batch in found] == [False, False, True]
    assert [batch.clock_before for batch in found[1:]] == [batch.clock_after for batch in found[:-1]]
    assert [batch.position for batch in found] == [4, 7, 7]


@SUFFIXES
def test_a_resumed_run_goes_on_where_the_last_one_stopped(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"in{suffix}", b"\n".join(lines(10)) + b"\n")
    source = FileSource(path, 4)
    first = source.build_part("input", path.name, None)
    first.next_batch()
    state = first.snapshot()
    (batch,), _ = batches(path, state)
    assert [number for number, _, _ in batch.messages] == [5, 6, 7, 8, 9, 10]
    assert batch.clock_before == START_MINUTE + 3


@SUFFIXES
def test_a_resumed_run_that_finds_nothing_new_says_once_that_the_file_has_ended(
    tmp_path: Path, suffix: str
) -> None:
    path = write(tmp_path / f"in{suffix}", b"\n".join(lines(3)) + b"\n")
    _, state = batches(path)
    (batch,), again = batches(path, state)
    assert (batch.messages, batch.ended, batch.clock_after) == ([], True, START_MINUTE + 2)
    assert again == state


@settings(deadline=None)
@given(
    content=st.lists(st.sampled_from([line(0), line(1), b"", b" ", b"\r", b"{", b"\n"])).map(b"\n".join),
    suffix=st.sampled_from([".jsonl", ".jsonl.gz", ".jsonl.zst"]),
    size=st.integers(1, 4),
)
def test_wherever_a_run_stops_the_next_one_goes_on(content: bytes, suffix: str, size: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / f"in{suffix}", content or b"\n")
        whole, end = batches(path)
        partition = FileSource(path, size).build_part("input", path.name, None)
        stops = [partition.snapshot()]
        found: list[tuple[int, int | None, bytes]] = []
        while stops[-1] != end:
            (batch,) = partition.next_batch()
            found += batch.messages
            stops.append(partition.snapshot())
            (rest, *more), _ = batches(path, stops[-1])
            assert found + rest.messages == whole[0].messages
            assert (rest.clock_after, rest.position, rest.ended, more) == (
                *(whole[0].clock_after, whole[0].position, True),
                [],
            )


def test_a_file_that_has_grown_is_read_on(tmp_path: Path) -> None:
    path = write(tmp_path / "in.jsonl", line(0) + b"\n")
    _, state = batches(path)
    with path.open("ab") as file:
        file.write(line(1) + b"\n" + line(2) + b"\n")
    assert read(path, state) == [line(1), line(2)]


@SUFFIXES
def test_a_last_line_without_newline_is_a_message_too(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"in{suffix}", line(0) + b"\n" + line(1))
    found, state = batches(path)
    assert [number for number, _, _ in found[0].messages] == [1, 2]
    assert found[0].position == 3
    assert read(path, state) == []


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b" \n"])
def test_a_newline_that_comes_later_doubles_nothing_and_shifts_no_number(
    tmp_path: Path, newline: bytes
) -> None:
    path = write(tmp_path / "in.jsonl", line(0) + b"\n" + line(1))
    _, state = batches(path)
    with path.open("ab") as file:
        file.write(newline + line(2) + b"\n")
    found, _ = batches(path, state)
    assert [(number, message) for number, _, message in found[0].messages] == [(3, line(2))]


def test_a_torn_last_line_is_handed_on_whole_once_it_is_complete(tmp_path: Path) -> None:
    path = write(tmp_path / "in.jsonl", line(0) + b"\n" + line(1)[:20])
    found, state = batches(path)
    assert found[0].messages[1] == (2, None, line(1)[:20])
    with path.open("ab") as file:
        file.write(line(1)[20:] + b"\n" + line(2) + b"\n")
    found, _ = batches(path, state)
    assert [(number, message) for number, _, message in found[0].messages] == [(2, line(1)), (3, line(2))]


def test_blank_lines_are_counted_and_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path / "in.jsonl", b"\n" + line(0) + b"\n \t\r\n\n" + line(1) + b"\n  ")
    (batch,), state = batches(path)
    assert [number for number, _, _ in batch.messages] == [2, 5]
    assert read(path, state) == []


def test_carriage_returns_and_a_byte_order_mark_are_no_part_of_a_message(tmp_path: Path) -> None:
    path = write(tmp_path / "in.jsonl", b"\xef\xbb\xbf" + line(0) + b"\r\n" + line(1) + b"\r\n")
    assert read(path) == [line(0), line(1)]


def test_bytes_that_are_not_utf8_and_broken_json_are_handed_on_as_they_are(tmp_path: Path) -> None:
    path = write(tmp_path / "in.jsonl", b"\xff\xfe\n" + b'{"ts": 1, \n')
    (batch,), _ = batches(path)
    assert batch.messages == [(1, None, b"\xff\xfe"), (2, None, b'{"ts": 1, ')]
    assert batch.clock_after == NO_MINUTE


@SUFFIXES
def test_a_line_of_many_megabytes_is_one_message(tmp_path: Path, suffix: str) -> None:
    huge = line(1, "x" * 12_000_000)
    path = write(tmp_path / f"in{suffix}", line(0) + b"\n" + huge + b"\n" + line(2) + b"\n")
    assert read(path) == [line(0), huge, line(2)]


def test_a_batch_of_huge_lines_holds_few_of_them(tmp_path: Path) -> None:
    huge = line(0, "x" * 6_000_000)
    path = write(tmp_path / "in.jsonl", (huge + b"\n") * 5)
    found, _ = batches(path)
    assert [len(batch.messages) for batch in found] == [3, 2]


def test_the_clock_stays_behind_by_its_delay_also_when_it_resumes(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", b"\n".join(lines(4)) + b"\n")
    found, left = batches(path, size=2, clock_delay_us=5_000_000)
    assert [batch.clock_after - START_MINUTE for batch in found[:2]] == [0, 2]
    with path.open("ab") as file:
        file.write(line(3) + b"\n")
    (batch,), _ = batches(path, left, clock_delay_us=5_000_000)
    assert (batch.clock_before, batch.clock_after) == (START_MINUTE + 2, START_MINUTE + 2)


def test_the_clock_never_goes_back(tmp_path: Path) -> None:
    path = write(tmp_path / "in.jsonl", b"\n".join([line(5), line(2), b"{}", line(3)]))
    found, _ = batches(path, size=2)
    assert [batch.clock_after for batch in found] == [START_MINUTE + 5] * len(found)


def test_a_folder_has_a_partition_for_each_file_in_the_order_of_names(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a.jsonl.zst", "c.jsonl.gz"):
        write(tmp_path / name, line(0) + b"\n")
    for name in ("notes.txt", ".hidden.jsonl", "d.json", "e.gz"):
        write(tmp_path / name, line(0) + b"\n")
    (tmp_path / "folder.jsonl").mkdir()
    source = FileSource(tmp_path, 10)
    assert source.origins == source.list_parts() == ["a.jsonl.zst", "b.jsonl", "c.jsonl.gz"]
    assert batches(tmp_path, part="c.jsonl.gz")[0][0].origin == 2


@SUFFIXES
def test_a_file_that_holds_nothing_is_no_partition(tmp_path: Path, suffix: str) -> None:
    write(tmp_path / f"empty{suffix}", b"")
    write(tmp_path / "full.jsonl", line(0))
    assert FileSource(tmp_path, 10).origins == ["full.jsonl"]


@SUFFIXES
def test_of_files_that_all_hold_nothing_one_stays(tmp_path: Path, suffix: str) -> None:
    write(tmp_path / f"b{suffix}", b"")
    write(tmp_path / f"a{suffix}", b"")
    assert FileSource(tmp_path, 10).origins == [f"a{suffix}"]
    assert read(tmp_path / f"a{suffix}") == []


def test_a_single_file_may_have_any_name(tmp_path: Path) -> None:
    assert read(write(tmp_path / "check-ins.log", line(0))) == [line(0)]
    assert read(write(tmp_path / "check-ins.gz", line(0))) == [line(0)]


def test_files_made_by_appending_compressed_files_are_read_to_their_end(tmp_path: Path) -> None:
    gz = tmp_path / "in.jsonl.gz"
    gz.write_bytes(
        gzip.compress(line(0) + b"\n") + gzip.compress(line(1)[:9]) + gzip.compress(line(1)[9:] + b"\n")
    )
    assert read(gz) == [line(0), line(1)]
    zst = tmp_path / "in.jsonl.zst"
    compress = zstandard.ZstdCompressor().compress
    zst.write_bytes(compress(line(0) + b"\n") + compress(b"") + compress(line(1) + b"\n"))
    assert read(zst) == [line(0), line(1)]


def test_gzip_padding_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl.gz"
    path.write_bytes(gzip.compress(line(0) + b"\n") + bytes(1000))
    assert read(path) == [line(0)]


def test_when_the_flow_stops_nothing_claims_to_have_ended(tmp_path: Path) -> None:
    path = write(tmp_path / "in.jsonl", b"\n".join(lines(4)))
    asked = iter([False, True])
    partition = FileSource(path, 2, stopping=lambda: next(asked)).build_part("input", "in.jsonl", None)
    (batch,) = partition.next_batch()
    with pytest.raises(StopIteration):
        partition.next_batch()
    assert not batch.ended
    assert read(path, partition.snapshot()) == lines(4)[2:]
