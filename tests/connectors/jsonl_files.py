"""Input files, and what a source makes of them."""

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard

from dataflow.connectors.jsonl_source import FileSource, FileState
from dataflow.stream.batch import SourceBatch

START_MINUTE = 29_016_000  # 2025-03-03T00:00:00Z


def line(minute: int, text: str = "") -> bytes:
    return b'{"ts": %d, "message": "%s"}' % ((START_MINUTE + minute) * 60, text.encode())


def lines(count: int) -> list[bytes]:
    return [line(minute) for minute in range(count)]


def write(path: Path, content: bytes) -> Path:
    if path.suffix == ".gz":
        content = gzip.compress(content)
    elif path.suffix == ".zst":
        content = zstandard.ZstdCompressor().compress(content)
    path.write_bytes(content)
    return path


def batches(
    path: Path,
    state: FileState | None = None,
    size: int = 1000,
    part: str | None = None,
    clock_delay_us: int = 0,
) -> tuple[list[SourceBatch], FileState]:
    """What a run over one partition hands on, and the position it leaves."""
    source = FileSource(path, size, clock_delay_us=clock_delay_us)
    partition = source.build_part("input", part or source.list_parts()[0], state)
    out = []
    while True:
        try:
            (batch,) = partition.next_batch()
        except StopIteration:
            break
        out.append(batch)
    left = partition.snapshot()
    partition.close()
    return out, left


def read(path: Path, state: FileState | None = None, size: int = 1000) -> list[bytes]:
    return [message for batch in batches(path, state, size)[0] for _, _, message in batch.messages]


def run_in_process(path: Path, size: int = 1000) -> subprocess.CompletedProcess[str]:
    """A flow that prints the last line number of each batch once it is snapshotted."""
    script = Path(__file__).with_name("read_files.py")
    root = str(script.parents[2])
    return subprocess.run(
        [sys.executable, str(script), str(path), str(size)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": root},
    )


SUFFIXES = pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".jsonl.zst"])
