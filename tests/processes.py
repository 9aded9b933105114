"""The flow in processes of its own, started as users start it, and what it leaves behind."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from dataflow.connectors.demo_day import lines_of_day
from dataflow.connectors.demo_source import DEMO_PROJECTS
from dataflow.process.recovery_store import make
from state.schema.catalogue import TABLES
from state.schema.layout import find_both
from tests import warm
from tests.shared import made_once

PROJECT = Path(__file__).resolve().parent.parent
FLOW = (sys.executable, "-m", "bytewax.run", "dataflow:flow")
CALM = {"CRONWAX_BATCH_SIZE": "4096", "CRONWAX_PUBLISH_INTERVAL": "5"}
"""For a run that only has to come to its end, after others in many small batches."""
HANGS_AFTER_S = 120
"""A process that runs for this long counts as hung."""
_PROGRESS = re.compile(r"cronwax: .* read, .* a second|waiting for process \d")


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    status: int
    out: str
    err: str

    @property
    def complaints(self) -> list[str]:
        """The lines on stderr that tell of no progress."""
        return [line for line in self.err.splitlines() if line and not _PROGRESS.match(line)]


@dataclass(frozen=True)
class Outcome:
    """Everything that a run leaves for others to read; two runs of one input leave the same."""

    tables: dict[str, list[str]]
    occurrences: list[str]
    dead_letters: list[str]


def settings(**settings: object) -> dict[str, str]:
    """The environment of a run with these CRONWAX_ settings; nothing of the caller's gets in."""
    foreign = ("CRONWAX_", "BYTEWAX_")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return variables | {f"CRONWAX_{name.upper()}": str(value) for name, value in settings.items()}


def start(variables: dict[str, str], *arguments: object) -> subprocess.Popen[str]:
    """Start one process of the flow."""
    command = [*FLOW, *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=PROJECT, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def end(process: subprocess.Popen[str]) -> Ended:
    """Wait for a process's end."""
    try:
        out, err = process.communicate(timeout=HANGS_AFTER_S)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"the flow hangs: {out}{err}") from None
    return Ended(process.returncode, out, err)


def run(variables: dict[str, str], *arguments: object) -> Ended:
    """Run the flow in one process, to its end."""
    return end(start(variables, *arguments))


def run_warm(variables: dict[str, str], *arguments: object) -> Ended:
    """As `run`, without the start of Python and its imports (tests/warm.py): for what does not ask how it starts."""
    return Ended(*warm.run_flow_warm(variables, *map(str, arguments)))


def start_cluster(
    variables: dict[str, str], processes: int, *arguments: object
) -> list[subprocess.Popen[str]]:
    """Start the flow in this many processes; one is started without the cluster's options."""
    if processes == 1:
        return [start(variables, *arguments)]
    addresses = ";".join(f"127.0.0.1:{port}" for port in free_ports(processes))
    return [start(variables, "-i", number, "-a", addresses, *arguments) for number in range(processes)]


def run_cluster(variables: dict[str, str], processes: int, *arguments: object) -> list[Ended]:
    """Run the flow in this many processes, to their end."""
    return [end(process) for process in start_cluster(variables, processes, *arguments)]


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def make_store(folder: Path, parts: int = 1) -> Path:
    """Make a recovery store, as `cronwax recovery` does."""
    make(folder, parts)
    return folder


def signal_after_writes(
    processes: Sequence[subprocess.Popen[str]], data: Path, writes: int, number: int, whom: Iterable[int]
) -> bool:
    """Send a signal to some of the processes once the tables have been written so often.

    Returns whether all of them were still running then.
    """
    file = data / "state" / "shard-000.duckdb"
    log = file.with_name(f"{file.name}.wal")
    seen = _stamps(file, log)
    while all(process.poll() is None for process in processes):
        now = _stamps(file, log)
        if now != seen:
            seen, writes = now, writes - 1
            if writes <= 0:
                break
        time.sleep(0.002)  # between two looks
    running = all(process.poll() is None for process in processes)
    for index in whom:
        processes[index].send_signal(number)
    return running


def _stamps(*files: Path) -> list[tuple[int, int]]:
    found = []
    for file in files:
        try:
            status = file.stat()
        except FileNotFoundError:
            found.append((0, 0))
        else:
            found.append((status.st_size, status.st_mtime_ns))
    return found


def outcome(data: Path) -> Outcome:
    """What a data folder holds. Asserts that no line is in a file twice."""
    tables = {}
    with duckdb.connect(str(data / "monitors.duckdb"), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        find_both(connection)
        for name in TABLES:
            tables[name] = sorted(map(repr, connection.table(name).fetchall()))
    occurrences, dead_letters = _lines(data / "occurrences.jsonl"), _lines(data / "dead_letters.jsonl")
    return Outcome(tables, occurrences, dead_letters)


def assert_same(found: Outcome, expected: Outcome) -> None:
    """Assert that two runs left the same; names the first lines that only one of them has."""
    for name in expected.tables:
        _assert_same_lines(name, found.tables[name], expected.tables[name])
    _assert_same_lines("occurrences.jsonl", found.occurrences, expected.occurrences)
    _assert_same_lines("dead_letters.jsonl", found.dead_letters, expected.dead_letters)


def _assert_same_lines(name: str, found: list[str], expected: list[str]) -> None:
    if found != expected:
        strange, missing = set(found) - set(expected), set(expected) - set(found)
        counts = f"{name}: {len(strange)} strange, {len(missing)} missing"
        raise AssertionError("\n".join([counts, *sorted(strange)[:3], "missing:", *sorted(missing)[:3]]))


def _lines(path: Path) -> list[str]:
    lines = sorted(path.read_text(encoding="utf-8").splitlines()) if path.exists() else []
    assert len(set(lines)) == len(lines), f"{path.name} holds a line twice"
    return lines


def write_jsonl(path: Path, lines: Iterable[Any]) -> Path:
    """Write an input file: objects, text or bytes, one a line."""
    texts = [line if isinstance(line, str | bytes) else json.dumps(line) for line in lines]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join((line.encode() if isinstance(line, str) else line) + b"\n" for line in texts))
    return path


@dataclass(frozen=True)
class Night:
    """The first hours of the demo's day as files, and what an uninterrupted run makes of them."""

    folder: Path
    """Holds the input files and projects.json."""
    result: Outcome

    def settings(self, data: Path, **others: object) -> dict[str, str]:
        """The environment of a run over the night, in many small batches."""
        return settings(
            **{
                "source": "file",
                "checkins_path": self.folder / "input",
                "projects_path": self.folder / "projects.json",
                "data_dir": data,
                "batch_size": 80,
            }
            | others
        )


@cache
def night() -> Night:
    """The night, written and run once a test run."""
    folder = made_once("night", _make_night)
    result = outcome(folder / "data")
    assert result.tables["incidents"]
    assert result.occurrences
    assert result.dead_letters
    return Night(folder, result)


def _make_night(folder: Path) -> None:
    for number, lines in enumerate(lines_of_day()):
        write_jsonl(folder / "input" / f"demo-{number}.jsonl", lines[: len(lines) // 5])
    (folder / "projects.json").write_text(json.dumps(DEMO_PROJECTS), encoding="utf-8")
    ended = run(Night(folder, Outcome({}, [], [])).settings(folder / "data", batch_size=4096))
    assert ended.status == 0, ended.err


def demo_data(story: str = "day") -> Path:
    """The data folder of one of the demo's stories, `day` or `troubles`, run once a test run. To be read only."""
    return made_once(f"demo-{story}", lambda folder: _run_demo(story, folder))


def _run_demo(story: str, folder: Path) -> None:
    command = [sys.executable, "-P", "-m", "cronwax", "demo", story, "--data-dir", str(folder)]
    variables = {**settings(), "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(command, cwd=PROJECT, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
