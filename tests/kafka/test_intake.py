"""The intake in front of Kafka: what it answers 2xx is in the topic once, in order, whatever becomes of the broker."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import msgspec
import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from cronwax.devtools.kafka_broker import Silent
from cronwax.intake.kafka_records import partition_of
from tests.intake.running import WAIT_SECONDS, Machine, wait_for

pytestmark = [pytest.mark.kafka, pytest.mark.process]

JOBS = 12
ANSWER_SECONDS = 4.0
"""A second, and what the machine of the tests is busy with beside it."""
PARTITIONS = 4
AWAY_SECONDS = 600 if os.environ.get("CRONWAX_TEST_FULL") == "1" else 0
"""How long at least the broker is away; at full length the ten minutes that a broker's host takes to be replaced."""


@pytest.fixture
def machine(own_broker, new_topic, tmp_path) -> Iterator[Machine]:
    topic = new_topic(own_broker, PARTITIONS)
    made = Machine(
        tmp_path, source="kafka", kafka_bootstrap_servers=own_broker.bootstrap, checkins_topic=topic
    )
    yield made
    made.close()


def send(machine: Machine, number: int) -> tuple[str, int, float]:
    guid = UUID(int=number + 1)
    began = time.monotonic()
    status = machine.cron(f"job-{number % JOBS}", f"status=ok&check_in_id={guid}")
    return guid.hex, status, time.monotonic() - began


def send_all(machine: Machine, numbers: range) -> list[str]:
    """Send one after the other for each job; what was answered 2xx."""

    def of_job(job: int) -> list[tuple[str, int, float]]:
        return [send(machine, number) for number in numbers if number % JOBS == job]

    with ThreadPoolExecutor(JOBS) as pool:
        answers = [answer for part in pool.map(of_job, range(JOBS)) for answer in part]
    assert max(seconds for _, _, seconds in answers) < ANSWER_SECONDS
    statuses = Counter(status for _, status, _ in answers)
    # 503: a disk that others keep busy for a second. What it was said of may be written yet.
    assert statuses[202] > 0.9 * len(answers), (statuses, machine.said())
    assert set(statuses) <= {202, 503}
    return [guid for guid, status, _ in answers if status == 202]


def in_topic(machine: Machine) -> list[tuple[int, dict[str, Any]]]:
    """All messages of the topic: partition, and the payload."""
    bootstrap, topic = (
        machine.variables[f"CRONWAX_{name}"] for name in ("KAFKA_BOOTSTRAP_SERVERS", "CHECKINS_TOPIC")
    )
    options = {"bootstrap.servers": bootstrap, "group.id": "test", "enable.partition.eof": True}
    consumer = Consumer(options, logger=Silent())
    count = len(
        AdminClient({"bootstrap.servers": bootstrap}).list_topics(topic, timeout=10).topics[topic].partitions
    )
    consumer.assign([TopicPartition(topic, number, 0) for number in range(count)])
    found, ended = [], 0
    while ended < count:
        message = consumer.poll(10)
        assert message is not None
        if message.error():
            ended += 1
        else:
            wrapper = msgspec.msgpack.decode(message.value() or b"")
            found.append((message.partition() or 0, msgspec.json.decode(wrapper["payload"])))
    consumer.close()
    return found


def assert_all_once_in_order(machine: Machine, guids: list[str]) -> None:
    def all_of_them() -> list[tuple[int, dict[str, Any]]] | None:
        messages = in_topic(machine)
        return messages if len(messages) >= len(guids) else None

    found = wait_for(all_of_them, pause=1)
    counts = Counter(payload["check_in_id"] for _, payload in found)
    assert {guid: counts[guid] for guid in guids} == dict.fromkeys(guids, 1)
    assert max(counts.values()) == 1
    for job in range(JOBS):
        of_job = [payload["check_in_id"] for _, payload in found if payload["monitor_slug"] == f"job-{job}"]
        assert of_job == sorted(of_job)
        key = f"42/job-{job}".encode()
        where = {partition for partition, payload in found if payload["monitor_slug"] == f"job-{job}"}
        assert where == {partition_of(key, PARTITIONS)}


def test_what_is_answered_is_in_the_topic_once_and_in_order(machine):
    machine.intake()
    assert_all_once_in_order(machine, send_all(machine, range(300)))


def test_a_broker_that_is_away_delays_and_loses_nothing_even_when_the_intake_is_killed(machine, own_broker):
    intake = machine.intake()
    guids = send_all(machine, range(120))
    own_broker.kill()
    until, sent = time.monotonic() + AWAY_SECONDS, 0

    def has_been_away() -> bool:
        nonlocal sent, guids
        guids += send_all(machine, range(sent := sent + 120, sent + 120))
        return time.monotonic() >= until

    wait_for(has_been_away, AWAY_SECONDS + WAIT_SECONDS, pause=1)
    for number in (signal.SIGKILL, signal.SIGTERM):
        machine.stop(intake, number)
        intake = machine.intake()
        guids += send_all(machine, range(sent := sent + 120, sent + 120))
    own_broker.start()
    assert_all_once_in_order(machine, guids)


def test_an_intake_that_is_killed_again_and_again_sends_no_line_twice(machine):
    guids: list[str] = []
    sent = -120
    for _ in range(6):
        intake = machine.intake()
        guids += send_all(machine, range(sent := sent + 120, sent + 120))
        machine.stop(intake, signal.SIGKILL)
    machine.intake()
    assert_all_once_in_order(machine, guids)


def test_a_key_goes_where_kafkas_own_clients_send_it():
    # What librdkafka's murmur2 partitioner and Java's default one make of these.
    known = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536}
    for key, digest in known.items():
        assert partition_of(key, 1_000) == (digest & 0x7FFFFFFF) % 1_000
