"""The flow as it runs in earnest: a broker, processes of `bytewax.run`, and somebody who reads what comes out."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition

from benchmarks.contender import EPOCH_SECONDS, Failed
from cronwax.devtools import kafka_broker

PARTITIONS = 8
START_SECONDS = 120.0
_TOPICS = {
    "checkins_topic": PARTITIONS,
    "controls_topic": 1,
    "occurrences_topic": 1,
    "dead_letter_topic": 1,
}
_encode = msgspec.msgpack.Encoder().encode


@contextlib.contextmanager
def broker() -> Iterator[str]:
    """The broker that CRONWAX_BENCH_KAFKA names, else one of our own: where it listens. Raises Failed."""
    given = os.environ.get("CRONWAX_BENCH_KAFKA")
    if given:
        yield given
        return
    try:
        own = kafka_broker.Broker(heap="1g").start()
    except kafka_broker.BrokerError as problem:
        raise Failed(f"no broker: {problem}") from None
    try:
        yield own.bootstrap
    finally:
        own.stop()


def make_topics(bootstrap: str, name: str) -> dict[str, str]:
    """Topics of their own for one run: the settings that name them."""
    return {
        setting: kafka_broker.create_topic(bootstrap, f"bench-{os.getpid()}-{name}-{setting}", count)
        for setting, count in _TOPICS.items()
    }


def producer(bootstrap: str) -> Producer:
    """A producer that loses nothing and waits little."""
    options = {"linger.ms": 5, "enable.idempotence": True, "queue.buffering.max.messages": 500_000}
    return Producer({"bootstrap.servers": bootstrap, **options})


def packed(payload: bytes, project_id: int, start_s: float) -> bytes:
    """A message of `ingest-monitors`."""
    message = {
        "message_type": "check_in",
        "payload": payload,
        "start_time": start_s,
        "project_id": project_id,
        "sdk": None,
        "retention_days": 90,
    }
    return _encode(message)


def partition_of(slug: str) -> int:
    """Where all check-ins of a monitor go."""
    return crc32(slug.encode()) % PARTITIONS


class Processes:
    """The flow in one or more processes, from start to an orderly stop."""

    epoch_seconds = EPOCH_SECONDS

    def __init__(
        self, folder: Path, bootstrap: str, topics: dict[str, str], count: int, **settings: str
    ) -> None:
        folder.mkdir(parents=True)
        store = folder / "store"
        store.mkdir()
        subprocess.run([sys.executable, "-m", "bytewax.recovery", str(store), str(count)], check=True)
        settings = {"source": "kafka", "kafka_bootstrap_servers": bootstrap, **topics, **settings}
        settings["data_dir"] = str(folder / "data")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CRONWAX_")}
        environment |= {f"CRONWAX_{name.upper()}": value for name, value in settings.items()}
        command = [sys.executable, "-m", "bytewax.run", "dataflow:flow", "-r", str(store)]
        command += ["-s", str(self.epoch_seconds), "-b", "0"]
        addresses = ";".join(f"127.0.0.1:{port}" for port in _free_ports(count))
        self._logs = [folder / f"process-{number}.log" for number in range(count)]
        self._processes = []
        for number, log in enumerate(self._logs):
            place = ["-i", str(number), "-a", addresses] if count > 1 else []
            with log.open("wb") as out:
                self._processes.append(
                    subprocess.Popen([*command, *place], env=environment, stdout=out, stderr=out)
                )

    def check(self) -> None:
        """Raises Failed if a process has ended."""
        for process, log in zip(self._processes, self._logs, strict=True):
            if process.poll() is not None:
                raise Failed(f"the flow ended with status {process.returncode}: {log.read_text()[-1500:]}")

    def cpu_seconds(self) -> float:
        """What all processes have used so far (Linux)."""
        ticks = 0
        for process in self._processes:
            fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def peak_mb(self) -> float:
        """The most memory that one of the processes has used so far (Linux)."""
        peaks = []
        for process in self._processes:
            lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
            peaks += [int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")]
        return max(peaks)

    def pauses(self) -> list[tuple[float, str]]:
        """The long pauses that the processes have logged: seconds and cause, the longest first."""
        text = "\n".join(log.read_text(errors="replace") for log in self._logs)
        found = re.findall(r'event=pause cause="?([^"\n]+?)"? seconds=([\d.]+)', text)
        return sorted(((float(seconds), cause) for cause, seconds in found), reverse=True)

    def said(self) -> str:
        """The end of what the processes have said."""
        return "\n".join(log.read_text(errors="replace")[-1500:] for log in self._logs)

    def stop(self) -> list[int]:
        """Ask all to stop, and wait; what does not stop is killed. Returns their exit statuses."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        return [process.returncode for process in self._processes]


class Arrivals:
    """Reads the occurrences topic from its beginning in a thread: when each monitor's first message came."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        options = {"bootstrap.servers": bootstrap, "group.id": "bench", "enable.auto.commit": False}
        self._consumer = Consumer({**options, "fetch.wait.max.ms": 5})
        self._consumer.assign([TopicPartition(topic, 0, 0)])
        self._done = threading.Event()
        self.seen: dict[str, float] = {}
        """By slug, seconds since the epoch."""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def wait(self, slugs: set[str], processes: Processes, seconds: float) -> None:
        """Until every one of these has come. Raises Failed."""
        deadline = time.monotonic() + seconds
        while not slugs <= self.seen.keys():
            processes.check()
            if time.monotonic() > deadline:
                raise Failed(f"{len(slugs - self.seen.keys())} messages did not come out in {seconds:.0f} s")
            time.sleep(0.01)

    def close(self) -> None:
        """Stop reading."""
        self._done.set()
        self._thread.join()
        self._consumer.close()

    def _read(self) -> None:
        while not self._done.is_set():
            for message in self._consumer.consume(500, 0.05):
                now = time.time()
                if message.error() is None:
                    slug = _slug(message.value())
                    if slug is not None:
                        self.seen.setdefault(slug, now)


def _slug(value: bytes | None) -> str | None:
    body = msgspec.json.decode(value or b"{}")
    tags = body.get("event", {}).get("tags", {})
    slug: str | None = tags.get("monitor.slug")
    return slug


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
