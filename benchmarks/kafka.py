"""kafka: the replay's input from and to a real broker, 8 partitions, with one process and with two."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zlib import crc32

import msgspec

from benchmarks import inputs, live
from benchmarks.report import Figures, Report, interleaved, ratio

SIZE = 1_000_000
_PATIENCE_SECONDS = 900.0


class _Line(msgspec.Struct):
    ts: float
    message: _Message


class _Message(msgspec.Struct):
    payload: msgspec.Raw
    start_time: float
    project_id: int


class _Named(msgspec.Struct):
    monitor_slug: str


def run(size: int, runs: int) -> Report:
    """Messages per second between the first and the last that come out of every partition."""
    report = Report("kafka", size, runs)
    source = inputs.replay(size)
    with TemporaryDirectory(prefix="cronwax-bench-") as name, live.broker() as bootstrap:
        folder = Path(name)
        topics = live.make_topics(bootstrap, "input")
        print("kafka: filling the topic", flush=True)
        messages = _fill(bootstrap, topics["checkins_topic"], source.path)
        found = interleaved(
            report,
            {
                f"{count} process{'es' * (count > 1)}": _contender(
                    bootstrap, topics, count, messages, source.projects, folder
                )
                for count in (1, 2)
            },
        )
    report.aim("2 processes / 1, messages/s", ratio(found["2 processes"], found["1 process"], "per_s"), "1.7")
    return report


def _contender(
    bootstrap: str, topics: dict[str, str], count: int, messages: int, projects: Path, folder: Path
) -> Callable[[], Figures]:
    numbers = iter(range(1_000))

    def one_run() -> Figures:
        output = live.make_topics(bootstrap, f"{count}-{next(numbers)}")["occurrences_topic"]
        place = folder / "run"
        settings = {"rate_limit": "1000000", "projects_path": str(projects)}
        processes = live.Processes(
            place, bootstrap, {**topics, "occurrences_topic": output}, count, **settings
        )
        arrivals = live.Arrivals(bootstrap, output)
        try:
            arrivals.wait(_sentinels("first"), processes, _PATIENCE_SECONDS)
            cpu = processes.cpu_seconds()
            arrivals.wait(_sentinels("last"), processes, _PATIENCE_SECONDS)
            cpu = processes.cpu_seconds() - cpu
        finally:
            arrivals.close()
            processes.stop()
            shutil.rmtree(place)
        first = max(arrivals.seen[slug] for slug in _sentinels("first"))
        seconds = max(max(arrivals.seen[slug] for slug in _sentinels("last")) - first, 0.001)
        return {
            "per_s": messages / seconds,
            "us": seconds / messages * 1e6,
            "us_cpu": cpu / messages * 1e6,
        }

    return one_run


def _sentinels(which: str) -> set[str]:
    return {f"{which}-of-{partition}" for partition in range(live.PARTITIONS)}


def _fill(bootstrap: str, topic: str, path: Path) -> int:
    """The input, moved by whole hours so that it ends within the last one: an idle partition follows the clock."""
    producer = live.producer(bootstrap)
    lines = list(_lines(path))
    shift_s = (time.time() - lines[-1][0].ts) // 3600 * 3600
    count = 0

    def send(partition: int, at_s: float, value: bytes) -> None:
        nonlocal count
        count += 1
        producer.produce(topic, value, partition=partition, timestamp=int(at_s * 1000))
        if count % 10_000 == 0:
            producer.poll(0)
            producer.flush(60)

    for which in ("first", "last"):
        at_s = (lines[0][0].ts if which == "first" else lines[-1][0].ts) + shift_s
        if which == "last":
            for line, partition in lines:
                message = line.message
                start_s = message.start_time + shift_s
                value = live.packed(bytes(message.payload), message.project_id, start_s)
                send(partition, line.ts + shift_s, value)
        for partition in range(live.PARTITIONS):
            send(partition, at_s, _sentinel(f"{which}-of-{partition}", at_s))
    producer.flush(120)
    return count


def _sentinel(slug: str, at_s: float) -> bytes:
    """A failure that opens an incident: its message says that everything before it has been worked off."""
    schedule = {"type": "interval", "value": 1, "unit": "year"}
    body: dict[str, Any] = {
        "check_in_id": f"{crc32(slug.encode()):032x}",
        "monitor_slug": slug,
        "status": "error",
        "monitor_config": {"schedule": schedule},
    }
    return live.packed(msgspec.json.encode(body), 1, at_s)


def _lines(path: Path) -> Iterator[tuple[_Line, int]]:
    line = msgspec.json.Decoder(_Line).decode
    named = msgspec.json.Decoder(_Named).decode
    with path.open("rb") as file:
        for text in file:
            read = line(text)
            yield read, live.partition_of(named(read.message.payload).monitor_slug)
