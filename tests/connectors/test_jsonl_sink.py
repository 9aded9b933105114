import base64
import json
import os
import resource
import signal
from pathlib import Path

import pytest

from dataflow.connectors.jsonl_sink import LinesPartition, dead_letters_sink, occurrences_sink
from dataflow.process.exit import at_border
from dataflow.stream.items import DeadLetter, Message


def message(number: int) -> Message:
    identity = f"{number:032x}"
    return Message(identity, "fingerprint", json.dumps({"id": identity, "number": number}).encode())


def partition(path: Path, state: int | None = None) -> LinesPartition[Message]:
    return occurrences_sink(path).build_part("occurrences", "0", state)


def write(path: Path, numbers: range, state: int | None = None) -> int:
    """One run that writes these messages; returns the state it leaves."""
    part = partition(path, state)
    part.write_batch([message(number) for number in numbers])
    left = part.snapshot()
    part.close()
    return left


def numbers(path: Path) -> list[int]:
    return [json.loads(line)["number"] for line in path.read_text().splitlines()]


def failure_of(action, capfd: pytest.CaptureFixture[str]) -> str:
    """What a process that does this says as it fails; with the signals of a process of its own."""
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(20)
            at_border(action)()
        finally:  # a child that went on would run the other tests too
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) in (1, 2)
    return capfd.readouterr().err


def test_messages_become_lines_in_order(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "occurrences.jsonl"
    state = write(path, range(5))
    assert numbers(path) == [0, 1, 2, 3, 4]
    assert state == path.stat().st_size


def test_a_payload_is_one_line_however_it_was_written(tmp_path: Path) -> None:
    part = partition(tmp_path / "out.jsonl")
    part.write_batch([Message("a", "f", '{\r\n "id": "a",\n "text": "x\\ny\u2028\u2029\x85é"\n}'.encode())])
    part.close()
    (line,) = (tmp_path / "out.jsonl").read_text().splitlines()
    assert json.loads(line) == {"id": "a", "text": "x\ny\u2028\u2029\x85é"}


def test_a_snapshot_is_readable_by_others_while_the_file_is_open(tmp_path: Path) -> None:
    part = partition(tmp_path / "out.jsonl")
    part.write_batch([message(1)])
    part.snapshot()
    assert numbers(tmp_path / "out.jsonl") == [1]


def test_a_resumed_run_writes_on(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    state = write(path, range(3))
    write(path, range(3, 5), state)
    assert numbers(path) == [0, 1, 2, 3, 4]


def test_what_a_crashed_epoch_wrote_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    state = write(path, range(3))
    write(path, range(3, 6), state)
    write(path, range(3, 9), state)
    assert numbers(path) == list(range(9))


def test_without_a_state_a_replay_writes_only_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    write(path, range(5))
    write(path, range(8))
    assert numbers(path) == list(range(8))


def test_only_what_is_behind_the_state_is_looked_for(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    state = write(path, range(2))
    write(path, range(1, 3), state)
    assert numbers(path) == [0, 1, 1, 2]


@pytest.mark.parametrize("state_known", [True, False])
def test_a_torn_last_line_is_cut_off_and_written_again(tmp_path: Path, state_known: bool) -> None:
    path = tmp_path / "out.jsonl"
    state = write(path, range(2))
    with path.open("ab") as file:
        file.write(message(2).payload + b"\n" + message(3).payload[:-1])
    write(path, range(2, 5), state if state_known else None)
    assert numbers(path) == [0, 1, 2, 3, 4]


def test_lines_of_somebody_else_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    strange = b'hello\n[1]\n{"no": "id"}\n\xff\n\n'
    path.write_bytes(strange)
    write(path, range(1))
    assert path.read_bytes() == strange + message(0).payload + b"\n"


def test_dead_letters_hold_text_or_base64(tmp_path: Path) -> None:
    path = tmp_path / "dead.jsonl"
    part = dead_letters_sink(path).build_part("dead", "0", None)
    binary = b"\xff\x00\x01"
    part.write_batch(
        [DeadLetter("in.jsonl", 0, 7, "no JSON", 'ä "b"\n'.encode()), DeadLetter("t", 3, 8, "x", binary)]
    )
    part.close()
    first, second = (json.loads(line) for line in path.read_bytes().splitlines())
    assert first == {
        "topic": "in.jsonl",
        "partition": 0,
        "offset": 7,
        "reason": "no JSON",
        "payload": 'ä "b"\n',
    }
    assert base64.b64decode(second.pop("payload_base64")) == binary
    assert second == {"topic": "t", "partition": 3, "offset": 8, "reason": "x"}


def test_dead_letters_are_told_apart_by_where_they_were(tmp_path: Path) -> None:
    path = tmp_path / "dead.jsonl"
    letters = [
        DeadLetter("t", 0, 1, "x", b"a"),
        DeadLetter("t", 1, 1, "x", b"a"),
        DeadLetter("t", 0, 2, "x", b"a"),
    ]
    for count in (2, 3):
        part = dead_letters_sink(path).build_part("dead", "0", None)
        part.write_batch(letters[:count])
        part.close()
    places = [(line["partition"], line["offset"]) for line in map(json.loads, path.read_text().splitlines())]
    assert places == [(0, 1), (1, 1), (0, 2)]


def test_every_key_goes_to_the_one_partition(tmp_path: Path) -> None:
    sink = occurrences_sink(tmp_path / "out.jsonl")
    assert sink.list_parts() == ["0"]
    assert {sink.part_fn(key) for key in ("0", "0017", "")} == {0}


@pytest.mark.process
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "shorter than what was written to it before"),
        (b"x" * 5000, "not the file that was written before"),
    ],
)
def test_a_file_that_was_replaced_is_not_written_to(
    tmp_path: Path, content: bytes, reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "out.jsonl"
    state = write(path, range(3))
    path.write_bytes(content)
    said = failure_of(lambda: partition(path, state), capfd)
    assert said.startswith(f"cronwax: {path}: {reason}")
    assert said.count("\n") == 1
    assert path.read_bytes() == content


@pytest.mark.process
def test_a_write_that_finds_no_room_is_told_in_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "out.jsonl"

    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))  # more than the line on stderr needs
        part = partition(path)
        part.write_batch([message(number) for number in range(100)])
        part.snapshot()

    assert failure_of(fill, capfd) == f"cronwax: {path}: File too large\n"
    write(path, range(100))
    assert numbers(path) == list(range(100))


@pytest.mark.process
def test_a_path_that_cannot_be_written_is_told_in_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "out.jsonl"
    assert failure_of(lambda: partition(path), capfd).startswith(f"cronwax: {path}: ")
