"""Streams of check-ins in the wire format, partition by partition, of jobs that succeed, fail, hang and stay away."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from random import Random
from typing import Any
from zlib import crc32

import msgpack
from confluent_kafka import Producer

from cronwax.devtools.kafka_broker import Silent
from tests.kafka.topics import PATIENCE_SECONDS

START_S = 1_740_960_000
"""2025-03-03T00:00:00Z: long past, so that no wall clock has a say."""
ENDLESS_SECONDS = 10**10
"""An allowance with which the wall clock never reaches the event time of anything."""
PARTITIONS = 8
PROJECTS = 12
ORGANIZATIONS = {project: project % 5 + 1 for project in range(1, PROJECTS + 1)}
MAX_RUNTIME_MINUTES = 3

Messages = list[list[tuple[int, bytes]]]
"""By partition: (broker's time in ms, message), in order."""


def message(at_s: float, project_id: int, body: dict[str, Any] | bytes) -> bytes:
    """One message of `ingest-monitors`."""
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    wrapper = {
        "message_type": "check_in",
        "payload": payload,
        "start_time": at_s,
        "project_id": project_id,
        "sdk": "tests",
        "retention_days": 90,
    }
    return bytes(msgpack.packb(wrapper))


def pulse() -> bytes:
    """What moves a partition's clock and does nothing else."""
    return bytes(msgpack.packb({"message_type": "clock_pulse"}))


def partition_of(project_id: int, slug: str, partitions: int = PARTITIONS) -> int:
    """Where all messages of a monitor go."""
    return crc32(f"{project_id}/{slug}".encode()) % partitions


def stream(seed: int, monitors: int, minutes: int, partitions: int = PARTITIONS) -> Messages:
    """What so many jobs send in so many minutes, and a last pulse for each partition."""
    chance = Random(seed)
    by_partition: list[list[tuple[float, bytes]]] = [[] for _ in range(partitions)]
    for number in range(monitors):
        job = _Job(chance, number, number % PROJECTS + 1, f"job-{number}", chance.choice((1, 2, 3, 5)))
        to = by_partition[partition_of(job.project_id, job.slug, partitions)]
        to.extend((at_s, job.pack(at_s, body)) for at_s, body in job.run(minutes))
    end_s = START_S + (minutes + 10) * 60
    ordered: Messages = []
    for messages in by_partition:
        messages.sort()
        ordered.append([(round(at_s * 1000), value) for at_s, value in messages])
        ordered[-1].append((end_s * 1000, pulse()))
    return ordered


def on_time(monitors: int, minutes: int, partitions: int = PARTITIONS) -> Messages:
    """What jobs send that succeed every minute; each of them is called on-time-NUMBER."""
    by_partition: Messages = [[] for _ in range(partitions)]
    config = {"schedule": {"type": "crontab", "value": "* * * * *"}, "checkin_margin": 1}
    for minute, number in product(range(minutes), range(monitors)):
        at_s = START_S + 60 * minute + number % 60
        slug, guid = f"on-time-{number}", f"{minute << 64 | number + 1:032x}"
        body = {"check_in_id": guid, "monitor_slug": slug, "status": "ok", "monitor_config": config}
        to = by_partition[partition_of(1, slug, partitions)]
        to.append((round(at_s * 1000), message(at_s, 1, body)))
    return by_partition


def last_minute(messages: Messages) -> int:
    """The minute at which the event clock ends."""
    return min(partition[-1][0] for partition in messages) // 60_000


class Feed:
    """Appends a stream to a topic little by little: in order of time, or with partitions that are behind."""

    def __init__(
        self, bootstrap: str, topic: str, messages: Messages, behind_ms: Callable[[int], int] = lambda _: 0
    ) -> None:
        self._topic = topic
        options: dict[str, Any] = {"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 5}
        self._producer = Producer(options, logger=Silent())
        self._left = [
            (at_ms, partition, value) for partition, each in enumerate(messages) for at_ms, value in each
        ]
        self._arrival_ms = lambda each: each[0] + behind_ms(each[1])
        self._left.sort(key=lambda each: (self._arrival_ms(each), each), reverse=True)
        self._given = [0] * len(messages)
        self.total = len(self._left)

    @property
    def left(self) -> int:
        """So many messages are still to come."""
        return len(self._left)

    def given(self) -> list[int]:
        """By partition, how many messages it has."""
        return list(self._given)

    def give_before(self, at_ms: int) -> None:
        """Append what has arrived before a time."""
        self.give(sum(self._arrival_ms(each) < at_ms for each in self._left))

    def give(self, count: int | None = None) -> None:
        """Append so many messages more, or all that are left."""
        for _ in range(self.left if count is None else count):
            at_ms, partition, value = self._left.pop()
            self._given[partition] += 1
            self._producer.produce(self._topic, value, partition=partition, timestamp=at_ms)
            if not self.left % 1000:
                self._producer.poll(0)
        assert self._producer.flush(PATIENCE_SECONDS) == 0


Event = tuple[float, dict[str, Any] | bytes]


@dataclass(slots=True)
class _Job:
    chance: Random
    number: int
    project_id: int
    slug: str
    every_minutes: int

    def pack(self, at_s: float, body: dict[str, Any] | bytes) -> bytes:
        return body if isinstance(body, bytes) else message(at_s - 0.25, self.project_id, body)

    def run(self, minutes: int) -> Iterator[Event]:
        """Every run of the job, and what goes wrong with it."""
        second = self.chance.uniform(1, 50)
        for minute in range(0, minutes, self.every_minutes):
            at_s = START_S + 60 * minute + second
            if minute < self.every_minutes:
                yield at_s, self._body("ok", monitor_config=self._config(1))
                continue
            kind = self.chance.choices(list(_KINDS), list(_KINDS.values()))[0]
            yield from getattr(self, f"_{kind}")(at_s)

    def _ok(self, at_s: float) -> Iterator[Event]:
        yield at_s, self._body("ok", duration=round(self.chance.uniform(0, 20), 3))

    def _error(self, at_s: float) -> Iterator[Event]:
        yield at_s, self._body("error")

    def _none(self, at_s: float) -> Iterator[Event]:
        yield from ()

    def _long(self, at_s: float) -> Iterator[Event]:
        started = self._body("in_progress")
        yield at_s, started
        yield (
            at_s + self.chance.uniform(5, 280),
            {**started, "status": self.chance.choice(("ok", "ok", "error"))},
        )

    def _hung(self, at_s: float) -> Iterator[Event]:
        yield at_s, self._body("in_progress")

    def _unnamed(self, at_s: float) -> Iterator[Event]:
        yield at_s, {**self._body("in_progress"), "check_in_id": "0" * 32}
        yield at_s + 7, {**self._body("ok"), "check_in_id": "0" * 32}

    def _twice(self, at_s: float) -> Iterator[Event]:
        body = self._body("ok")
        yield at_s, body
        yield at_s + 1, {**body, "status": "error"}

    def _burst(self, at_s: float) -> Iterator[Event]:
        for number in range(9):
            yield at_s + number / 10, self._body("ok")

    def _staging(self, at_s: float) -> Iterator[Event]:
        yield at_s, self._body("ok", environment="staging")

    def _changed(self, at_s: float) -> Iterator[Event]:
        yield at_s, self._body("ok", monitor_config=self._config(self.chance.choice((1, 2))))

    def _unknown(self, at_s: float) -> Iterator[Event]:
        yield at_s, {**self._body("ok"), "monitor_slug": f"{self.slug}-nobody-knows"}

    def _invalid(self, at_s: float) -> Iterator[Event]:
        yield at_s, {**self._body("ok"), "check_in_id": "no guid"}

    def _broken(self, at_s: float) -> Iterator[Event]:
        yield at_s, b"\xc1" + self.chance.randbytes(8)

    def _body(self, status: str, **more: Any) -> dict[str, Any]:
        guid = f"{self.chance.getrandbits(128) | 1:032x}"
        return {"check_in_id": guid, "monitor_slug": self.slug, "status": status, **more}

    def _config(self, margin: int) -> dict[str, Any]:
        crontab = {"type": "crontab", "value": f"*/{self.every_minutes} * * * *"}
        interval = {"type": "interval", "value": self.every_minutes, "unit": "minute"}
        return {
            "schedule": crontab if self.number % 2 else interval,
            "checkin_margin": margin,
            "max_runtime": MAX_RUNTIME_MINUTES,
            "failure_issue_threshold": self.number % 3 + 1,
            "recovery_threshold": self.number % 2 + 1,
        }


_KINDS = {
    "ok": 700,
    "error": 50,
    "none": 50,
    "long": 100,
    "hung": 10,
    "unnamed": 20,
    "twice": 10,
    "burst": 4,
    "staging": 20,
    "changed": 10,
    "unknown": 5,
    "invalid": 5,
    "broken": 5,
}
"""How often a run goes how, in a thousand."""
