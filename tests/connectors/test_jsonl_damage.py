"""Input files that cannot be read: named, and what stands before the damage is safe."""

import os
from pathlib import Path

import pytest

from dataflow.connectors.jsonl_source import FileSource, SourceError
from dataflow.process.exit import FlowError
from tests.connectors.jsonl_files import SUFFIXES, batches, line, lines, read, run_in_process, write


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "no such file or folder"),
        (lambda path: path.mkdir(), "no *.jsonl, *.jsonl.gz, *.jsonl.zst in this folder"),
        (os.mkfifo, "neither a file nor a folder"),
    ],
)
def test_a_path_that_cannot_be_read_is_named(tmp_path: Path, make, reason: str) -> None:
    path = tmp_path / "input"
    make(path)
    with pytest.raises(SourceError) as caught:
        FileSource(path, 10)
    assert str(caught.value) == f"{path}: {reason}"


@pytest.mark.parametrize("name", ["in.jsonl.gz", "in.jsonl.zst"])
def test_a_file_that_is_not_compressed_as_its_name_says_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(line(0))
    with pytest.raises(SourceError, match=rf"{name} is corrupt \("):
        FileSource(tmp_path, 10)


def test_a_link_to_nowhere_is_refused_and_not_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", line(0))
    (tmp_path / "b.jsonl").symlink_to(tmp_path / "gone")
    with pytest.raises(SourceError, match=r"b\.jsonl: No such file"):
        FileSource(tmp_path, 10)


@pytest.mark.process
@pytest.mark.parametrize("suffix", [".jsonl.gz", ".jsonl.zst"])
def test_what_stands_before_a_files_end_that_is_missing_is_safe_before_the_process_fails(
    tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"in{suffix}"
    written = [line(minute, os.urandom(300).hex()) for minute in range(2000)]
    write(path, b"\n".join(written) + b"\n")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    write(tmp_path / "other.jsonl", b"\n".join(lines(10)))
    result = run_in_process(tmp_path, size=100)
    assert result.returncode == 2
    safe = [text.split() for text in result.stdout.splitlines()]
    last = max(int(number) for name, number in safe if name == path.name)
    assert last > 500
    assert result.stderr == f"cronwax: {path} is truncated after line {last}\n"


@pytest.mark.process
@pytest.mark.parametrize("suffix", [".jsonl.gz", ".jsonl.zst"])
def test_what_stands_before_damage_is_handed_on_and_a_repaired_file_is_read_on(
    tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"in{suffix}"
    written = [line(minute, os.urandom(300).hex()) for minute in range(2000)]
    write(path, b"\n".join(written) + b"\n")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    partition = FileSource(path, 10_000).build_part("input", path.name, None)
    (batch,) = partition.next_batch()
    assert not batch.ended
    assert partition.next_batch() == []
    path.write_bytes(whole)
    rest = read(path, partition.snapshot(), 10_000)
    assert [message for _, _, message in batch.messages] + rest == written


@pytest.mark.process
def test_corruption_in_the_middle_is_told_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl.gz"
    write(path, b"\n".join(line(minute, os.urandom(300).hex()) for minute in range(2000)))
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2 : len(damaged) // 2 + 4000] = b"\xff" * 4000
    path.write_bytes(damaged)
    result = run_in_process(path)
    assert result.returncode == 2
    assert result.stderr.startswith(f"cronwax: {path} is corrupt (")
    assert result.stderr.count("\n") == 1


@pytest.mark.process
@SUFFIXES
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (line(0) + b"\n", "is shorter than what was read of it before"),
        (b"x" * 5000, "is not the file that was read before"),
    ],
)
def test_a_file_that_was_replaced_is_not_read_on(
    tmp_path: Path, suffix: str, content: bytes, reason: str
) -> None:
    path = write(tmp_path / f"in{suffix}", b"\n".join(lines(20)) + b"\n")
    _, state = batches(path)
    write(path, content)
    with pytest.raises(FlowError) as error:
        FileSource(path, 10).build_part("input", path.name, state).next_batch()
    assert str(error.value).startswith(f"{path} {reason}")
