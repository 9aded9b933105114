"""The notifier as a process, its folder, and what it leaves."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.intake.running import wait_for
from tests.notify.receivers import Receiver
from tests.processes import PROJECT, settings

NOTIFY = (sys.executable, "-P", "-m", "cronwax", "notify")


class Place:
    """A data folder with a routes file. To be closed."""

    def __init__(self, folder: Path, **others: object) -> None:
        self.data = folder / "data"
        self.data.mkdir(parents=True, exist_ok=True)
        self.routes = folder / "notify.toml"
        self.occurrences = self.data / "occurrences.jsonl"
        self.log = folder / "log.txt"
        self.log.touch()
        self.variables = {"PYTHONPATH": str(PROJECT)} | settings(
            **{"source": "intake", "data_dir": self.data, "notify_path": self.routes} | others
        )
        self.running: list[subprocess.Popen[bytes]] = []

    def happen(self, messages: Iterable[bytes]) -> None:
        """Let the flow say something."""
        with self.occurrences.open("ab") as file:
            file.write(b"".join(message + b"\n" for message in messages))

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [*NOTIFY, *arguments], cwd=PROJECT, env=self.variables, stdout=log, stderr=log
            )
        self.running.append(process)
        return process

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [*NOTIFY, *arguments],
            cwd=PROJECT,
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_for_line(self, text: str) -> None:
        wait_for(lambda: text in self.said())

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the ledger; nothing while there is none."""
        path = self.data / "notify" / "ledger.sqlite3"
        try:
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
                return db.execute(sql).fetchall()
        except sqlite3.OperationalError:
            return []

    def is_idle(self) -> bool:
        """Whether all that the flow said has been read, and nothing waits."""
        rows = self.ask("SELECT position FROM positions")
        if not rows or json.loads(rows[0][0])["offset"] < self.occurrences.stat().st_size:
            return False
        return self.ask("SELECT count(*) FROM outbox WHERE state = 'waiting'") == [(0,)]

    def stop(self, process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> int:
        process.send_signal(number)
        return process.wait(20)

    def close(self) -> None:
        for process in self.running:
            if process.poll() is None:
                process.kill()
                process.wait()


def titles(receiver: Receiver) -> list[str]:
    return [body["title"] for body in receiver.bodies]


def route_all(place: Place, more: str = "", **receivers: Receiver) -> None:
    """All that happens is sent to all of these."""
    targets = "\n".join(
        f'[targets.{name}]\ntype = "webhook"\nurl = "{receiver.url}"' for name, receiver in receivers.items()
    )
    listed = ", ".join(f'"{name}"' for name in receivers)
    place.routes.write_text(f"retry_first = 0.01\n{more}\n{targets}\n[default]\ntargets = [{listed}]\n")
