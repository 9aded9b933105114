"""Intake, flow and serve as processes, requests to them, and what they leave."""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb

from state.errors import StateError
from state.publish.snapshot import open_snapshot
from tests.processes import FLOW, PROJECT, free_ports, make_store, outcome, run_warm, settings

KEY = "0123456789abcdef0123456789abcdef"
PING_KEY = "fqOOd6-F4MMNuCEnzTU01w"
CHECK = "5f1f0e3c-0b4d-4a8e-9a55-0c0ffee00001"
PROJECTS = {"42": {"keys": [KEY], "ping_keys": [PING_KEY], "checks": {CHECK: "checked"}}}
CRONWAX = (sys.executable, "-P", "-m", "cronwax")
WAIT_SECONDS = 60.0


def wait_for(what: Callable[[], Any], seconds: float = WAIT_SECONDS, pause: float = 0.05) -> Any:
    """What the call gives once it is something; fails after a while."""
    until = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < until, f"nothing after {seconds:g} s"
        time.sleep(pause)
    return found


class Machine:
    """One machine: a data folder, and the processes that work on it. To be closed."""

    def __init__(self, folder: Path, **others: object) -> None:
        self.data = folder / "data"
        self.data.mkdir(parents=True, exist_ok=True)
        self.projects = folder / "projects.json"
        self.projects.write_text(json.dumps(PROJECTS))
        [self.port] = free_ports(1)
        self.variables = {"PYTHONPATH": str(PROJECT)} | settings(
            **{
                "source": "intake",
                "data_dir": self.data,
                "projects_path": self.projects,
                "intake_port": self.port,
                "publish_interval": 0.5,
                "rate_limit": 1_000_000,
            }
            | others
        )
        self.log = folder / "log.txt"
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(command, cwd=PROJECT, env=self.variables, stdout=log, stderr=log)
        self.running.append(process)
        return process

    def intake(self) -> subprocess.Popen[bytes]:
        """Start the intake, and wait until it answers."""
        process = self.start(*CRONWAX, "intake")
        wait_for(lambda: self.is_up() or process.poll() is not None)
        assert process.poll() is None, self.said()
        return process

    def flow(self) -> subprocess.Popen[bytes]:
        store = self.data / "recovery"
        if not store.exists():
            make_store(store)
        return self.start(*FLOW, "-r", str(store), "-s", "1", "-b", "0")

    def serve(self, *arguments: str) -> subprocess.Popen[bytes]:
        process = self.start(*CRONWAX, "serve", "--port", str(self.port), *arguments)
        wait_for(lambda: self.is_up() or process.poll() is not None)
        return process

    def is_up(self) -> bool:
        try:
            return self.get("/healthz")[0] == 200
        except OSError:
            return False

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def request(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with closing(connection):
            connection.request(method, path, body or None, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()

    def get(self, path: str) -> tuple[int, bytes]:
        return self.request("GET", path)

    def cron(self, slug: str, query: str = "status=ok") -> int:
        return self.get(f"/api/42/cron/{slug}/{KEY}/?{query}")[0]

    def lines(self) -> list[dict[str, Any]]:
        """All lines of the log, by partition."""
        files = sorted((self.data / "intake").glob("partition-*/*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_bytes().splitlines()]

    def rows(self, question: str) -> list[tuple[Any, ...]]:
        """Ask the published snapshot; nothing while there is none."""
        try:
            # Not by its path alone: DuckDB would open it twice, and it may be replaced between.
            with open_snapshot(self.data) as connection:
                return connection.execute(question).fetchall()
        except (StateError, duckdb.CatalogException):
            return []

    def wait_for_rows(self, question: str, count: int) -> list[tuple[Any, ...]]:
        """Ask until there are so many rows."""

        def found() -> list[tuple[Any, ...]] | None:
            rows = self.rows(question)
            return rows if len(rows) >= count else None

        return list(wait_for(found, pause=0.2))

    def stop(self, process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> int:
        """Stop a process; returns its exit status."""
        process.send_signal(number)
        return process.wait(WAIT_SECONDS)

    def close(self) -> None:
        for process in self.running:
            if process.poll() is None:
                process.terminate()
        for process in self.running:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def children_of(process: subprocess.Popen[bytes]) -> dict[str, int]:
    """The parts of a `serve`, by name."""
    found = {}
    task = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for pid in task:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode()
        word = command.rstrip("\0").rpartition("\0")[2]
        found[word if word in ("intake", "notify") else "flow"] = int(pid)
    return found


def envelope(*check_ins: dict[str, Any], key: str = KEY) -> tuple[bytes, dict[str, str]]:
    """A body and its headers."""
    parts = [b"{}"]
    for check_in in check_ins:
        parts += [b'{"type":"check_in"}', json.dumps(check_in).encode()]
    headers = {"X-Sentry-Auth": f"Sentry sentry_key={key}, sentry_version=7, sentry_client=test/1"}
    return b"\n".join(parts), headers


def assert_as_undisturbed(machine: Machine, folder: Path) -> None:
    """Run the flow over a copy of a machine's log, without a break: its tables are the machine's."""
    shutil.copytree(machine.data / "intake", folder / "copy")
    replayed = folder / "replayed"
    ended = run_warm(
        settings(
            source="file",
            checkins_path=folder / "copy",
            data_dir=replayed,
            projects_path=machine.projects,
            rate_limit=1_000_000,
        )
    )
    assert ended.status == 0, ended.err
    found, expected = outcome(machine.data), outcome(replayed)
    for table in ("monitors", "check_ins", "incidents", "processing_errors", "status_changes"):
        _assert_same_rows(table, found.tables[table], expected.tables[table])


def _assert_same_rows(table: str, found: list[str], expected: list[str]) -> None:
    """But for misses: the live flow goes on by the wall clock when nothing comes any more."""
    strange = {row for row in set(found) ^ set(expected) if "missed" not in row}
    assert not strange, (table, sorted(strange)[:4])
