"""The flow as deployments run it: processes of `python -m bytewax.run`, over one data folder and recovery store.

Only processes that a `Deployment` started itself are ever signalled, each by its own handle.
"""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from cronwax.devtools.kafka_broker import Silent
from dataflow.connectors.kafka_client import patiently
from dataflow.process.recovery_store import make
from dataflow.settings import Settings
from state.errors import StateError
from state.publish.snapshot import open_snapshot
from tests.processes import FLOW, PROJECT, free_ports
from tests.processes import settings as environment

PATIENCE_SECONDS = 300.0
"""After this long without what a test waits for, it fails."""
ASK_SECONDS = 20.0
"""So long one question to a broker may take."""
GLANCE_SECONDS = 0.002
_PASSING = ("does not answer", "has not answered", "another process of the cluster has ended")
"""Reasons to end that a restart mends."""
_RESTARTS = 3
"""Of one process, at most."""
SNAPSHOT_SECONDS = 1
"""The shortest epoch that the engine's command line takes."""


@dataclass(frozen=True, slots=True)
class FlowProcess:
    """One process of the flow, and the file that takes what it says."""

    popen: subprocess.Popen[bytes]
    log: Path
    arguments: tuple[str, ...]
    environment: dict[str, str]
    restarts: int = 0

    def said(self) -> list[str]:
        """Its lines so far."""
        return self.log.read_text(errors="replace").splitlines()

    def last_words(self) -> list[str]:
        """The lines by which it says why it ended. Fails for what no person should have to read."""
        said = self.said()
        assert not [line for line in said if "Traceback" in line or "panic" in line], said
        return [line for line in said if line.startswith("cronwax: ")]

    def ended(self) -> bool:
        return self.popen.poll() is not None

    def status(self) -> int:
        """Its exit status, once it has ended."""
        return self.popen.wait(PATIENCE_SECONDS)


def _start(
    log: Path, arguments: tuple[str, ...], environment: dict[str, str], restarts: int = 0
) -> FlowProcess:
    with log.open("wb") as out:
        popen = subprocess.Popen(
            [*FLOW, *arguments], cwd=PROJECT, env=environment, stdout=out, stderr=subprocess.STDOUT
        )
    return FlowProcess(popen, log, arguments, environment, restarts)


@dataclass
class Deployment:
    """A data folder and a recovery store, and the processes that work on them, if any."""

    folder: Path
    settings: Settings
    """What is set in it becomes the processes' environment."""
    data: Path = field(init=False)
    store: Path = field(init=False)
    running: list[FlowProcess] = field(default_factory=list)
    starts: int = 0
    is_supervised: bool = False
    """Whether a process that ended as its broker was away is started again, as a supervisor would."""

    def __post_init__(self) -> None:
        self._consumer = self._client()
        self.data, self.store = self.folder / "data", self.folder / "recovery"
        self.data.mkdir(parents=True, exist_ok=True)
        make(self.store, 4)

    def _client(self) -> Consumer:
        options = {"bootstrap.servers": self.settings.kafka_bootstrap_servers, "group.id": "test"}
        return Consumer(options, logger=Silent())

    def start(self, processes: int = 1, **changes: Any) -> list[FlowProcess]:
        """Start so many processes, with changed settings; those before them must have ended."""
        assert all(process.ended() for process in self.running)
        self.starts += 1
        self.running = []
        addresses = ";".join(f"127.0.0.1:{port}" for port in free_ports(processes))
        own = ("-r", str(self.store), "-s", str(SNAPSHOT_SECONDS), "-b", "0")
        for number in range(processes):
            cluster = ["-i", str(number), "-a", addresses] if processes > 1 else []
            log = self.folder / f"{self.starts:03d}-{number}.log"
            self.running.append(_start(log, (*own, *cluster), self._environment(changes)))
        return self.running

    def _environment(self, changes: dict[str, Any]) -> dict[str, str]:
        given = {name: getattr(self.settings, name) for name in self.settings.model_fields_set} | changes
        texts = {
            name: json.dumps(value) if isinstance(value, dict) else value for name, value in given.items()
        }
        return environment(**texts | {"data_dir": self.data})

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """What the published snapshot answers; nothing if there is none."""
        try:
            with open_snapshot(self.data) as connection:
                return connection.execute(sql).fetchall()
        except StateError:
            return []

    def clock_minute(self) -> int:
        """The event clock of the published snapshot; -1 if it has none."""
        found = self.query("SELECT epoch(event_clock) // 60 FROM snapshot_info")
        return int(found[0][0]) if found and found[0][0] is not None else -1

    def read(self) -> list[int]:
        """By partition of the check-ins topic, the published number of messages read."""
        found = self.query(f"""SELECT "position" FROM partitions
            WHERE topic = '{self.settings.checkins_topic}' ORDER BY "partition" """)
        return [position for (position,) in found]

    def is_ready(self) -> bool:
        """Whether all processes have begun to work."""
        return all(any("event=ready" in line for line in process.said()) for process in self.running)

    def sent(self) -> int:
        """How many messages the occurrences topic holds."""
        parts = [TopicPartition(self.settings.occurrences_topic, number) for number in range(4)]

        def ask() -> list[tuple[int, int] | None]:
            try:
                return [self._consumer.get_watermark_offsets(part, timeout=ASK_SECONDS) for part in parts]
            except KafkaException:
                # A client that has asked a broker while it started may believe for minutes that nobody leads.
                self._consumer.close()
                self._consumer = self._client()
                raise

        # A broker that has just restarted may not lead them yet, nor know of them.
        ends = patiently(ask, PATIENCE_SECONDS, knows_partition=True)
        return sum(end[1] for end in ends if end is not None)

    def run_to(self, minute: int, processes: int = 1, **changes: Any) -> None:
        """Start, wait until the published event clock is at this minute, and stop in good order."""
        self.start(processes, **changes)
        self.wait_for(lambda: self.clock_minute() == minute)
        assert self.stop() == [0] * processes

    def kill(self, *numbers: int) -> None:
        """kill -9 for some of the processes (all, if none is named); the others must end by themselves."""
        for number in numbers or range(len(self.running)):
            self.running[number].popen.kill()
        for process in self.running:
            assert process.status() != 0

    def stop(self, how: signal.Signals = signal.SIGTERM) -> list[int]:
        """Ask all processes to stop; their exit statuses."""
        for process in self.running:
            process.popen.send_signal(how)
        return [process.status() for process in self.running]

    def wait_for(self, what: Callable[[], bool], pause: float = 0.1) -> None:
        """Wait until something holds while the processes run; fails with what one said that ended."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not what():
            for number, process in enumerate(self.running):
                if process.ended():
                    self.running[number] = self._again(process)
            assert time.monotonic() < deadline, (
                f"waited in vain at {self.read()}: {self.running[0].said()[-20:]}"
            )
            time.sleep(pause)

    def _again(self, process: FlowProcess) -> FlowProcess:
        """The process, started again, if it ended as the broker was away, or as a peer did."""
        passes = process.status() == 1 and any(
            why in line for line in process.last_words() for why in _PASSING
        )
        can_go_on = self.is_supervised and passes and process.restarts < _RESTARTS
        assert can_go_on, f"ended by itself: {process.said()[-20:]}"
        restarts = process.restarts + 1
        log = process.log.with_name(f"{process.log.name}-{restarts}")
        return _start(log, process.arguments, process.environment, restarts)

    def end(self) -> None:
        """Leave no process behind."""
        for process in self.running:
            process.popen.kill()
            process.popen.wait()
        self._consumer.close()
