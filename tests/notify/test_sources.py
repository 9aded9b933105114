"""Reading the flow's file: as it grows, is torn, is replaced."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cronwax.notify.sources.base import Batch
from cronwax.notify.sources.occurrences_file import OccurrencesFile
from tests.examples import examples


class Reading:
    """A source, and the positions that somebody keeps for it."""

    def __init__(self, path) -> None:
        self.path = path
        self.positions: dict[str, str] = {}
        self.start()

    def start(self) -> bool:
        self.source = OccurrencesFile(self.path, sleep=lambda seconds: None)
        return self.source.start(self.positions)

    def read(self, limit: int = 100) -> Batch:
        batch = self.source.read(limit, 0)
        self.positions |= batch.positions
        return batch


@pytest.fixture
def path(tmp_path):
    return tmp_path / "occurrences.jsonl"


def append(path, content: bytes) -> None:
    with path.open("ab") as file:
        file.write(content)


def test_a_file_that_is_not_there_yet_is_waited_for(path):
    reading = Reading(path)
    assert reading.read() == Batch([], {}, True)
    append(path, b"a\n")
    assert reading.read().messages == [b"a"]


def test_lines_are_read_once_and_in_order_over_restarts(path):
    reading = Reading(path)
    append(path, b"a\nb\nc\n")
    assert reading.read(2).messages == [b"a", b"b"]
    assert reading.start()
    assert reading.read(2).messages == [b"c"]
    append(path, b"d\n")
    assert reading.read().messages == [b"d"]
    assert reading.start()
    assert reading.read().messages == []


def test_a_torn_last_line_waits(path):
    reading = Reading(path)
    append(path, b"a\nhal")
    assert reading.read().messages == [b"a"]
    assert reading.read().messages == []
    append(path, b"f\n")
    assert reading.read().messages == [b"half"]


def test_a_torn_line_that_is_cut_and_written_otherwise_is_read_as_it_is_then(path):
    reading = Reading(path)
    append(path, b"a\nhalf of a lo")
    assert reading.read().messages == [b"a"]
    os.truncate(path, 2)
    append(path, b"other\n")
    assert reading.read().messages == [b"other"]


def test_what_was_there_at_the_start_is_caught_up_with(path):
    append(path, b"a\nb\nc\n")
    reading = Reading(path)
    assert not reading.read(2).is_caught_up
    append(path, b"d\n")
    batch = reading.read(1)
    assert (batch.messages, batch.is_caught_up) == ([b"c"], True)


def test_a_file_that_ends_torn_is_caught_up_with_at_its_last_whole_line(path):
    append(path, b"a\nhal")
    reading = Reading(path)
    assert [reading.read().is_caught_up for _ in range(2)][-1]


@pytest.mark.parametrize("how", ["another file", "the same file cut", "after a restart"])
def test_another_content_is_read_from_its_beginning(path, how):
    reading = Reading(path)
    append(path, b"a\nb\n")
    reading.read()
    if how == "the same file cut":
        os.truncate(path, 0)
        append(path, b"x\n")
    else:
        path.unlink()
        append(path, b"x\ny\nz\n")
    if how == "after a restart":
        assert reading.start()
    batch = reading.read()
    assert batch.has_begun_again
    assert batch.messages[0] == b"x"
    assert not reading.read().has_begun_again
    assert reading.start()
    assert reading.read() == Batch([], {}, True)


def test_what_is_left_of_a_file_that_was_rotated_is_read_first(path):
    reading = Reading(path)
    append(path, b"a\n")
    reading.read()
    append(path, b"b\n")
    path.rename(path.with_suffix(".1"))
    append(path, b"c\n")
    assert reading.read().messages == [b"b"]
    batch = reading.read()
    assert (batch.messages, batch.has_begun_again) == ([b"c"], True)


def test_a_copy_put_in_its_place_goes_on(path):
    reading = Reading(path)
    append(path, b"a\nb\n")
    reading.read()
    content = path.read_bytes()
    path.unlink()
    append(path, content + b"c\n")
    batch = reading.read()
    assert (batch.messages, batch.has_begun_again) == ([b"c"], False)


def test_lost_lines_that_are_written_again_otherwise_are_another_content(path):
    reading = Reading(path)
    append(path, b"a\nb\nc\n")
    reading.read()
    os.truncate(path, 2)
    append(path, b"x\ny\nz\n")
    assert reading.start()
    batch = reading.read()
    assert (batch.has_begun_again, batch.messages) == (True, [b"a", b"x", b"y", b"z"])


def test_a_line_beyond_all_measure_is_passed_over(path, monkeypatch):
    from cronwax.notify.sources import occurrences_file

    monkeypatch.setattr(occurrences_file, "STEP_BYTES", 16)
    monkeypatch.setattr(occurrences_file, "MAX_LINE_BYTES", 64)
    reading = Reading(path)
    append(path, b"a\n" + b"x" * 1000 + b"\nb\n")
    assert [line for _ in range(3) for line in reading.read().messages] == [b"a", b"b"]


pieces = st.lists(st.binary(max_size=6), max_size=12)


@settings(max_examples=examples(100), deadline=None)
@given(st.data(), pieces)
def test_every_whole_line_is_read_once_however_it_is_written(tmp_path_factory, data, pieces):
    path = tmp_path_factory.mktemp("file") / "occurrences.jsonl"
    reading = Reading(path)
    read: list[bytes] = []
    for piece in pieces:
        append(path, piece)
        if data.draw(st.booleans()):
            reading.start()
        read += reading.read(data.draw(st.integers(1, 3))).messages
    while more := reading.read().messages:
        read += more
    assert read == b"".join(pieces).split(b"\n")[:-1]
