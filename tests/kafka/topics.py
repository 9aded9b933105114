"""Writing to topics, reading them, and driving source partitions, for tests."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

PATIENCE_SECONDS = 60.0
"""After this long without what a test waits for, it fails."""


def send(bootstrap: str, topic: str, partition: int, messages: Sequence[tuple[int, bytes]]) -> None:
    """Append (time in ms, value) to a partition."""
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})
    for at_ms, value in messages:
        producer.produce(topic, value, partition=partition, timestamp=at_ms)
    assert producer.flush(PATIENCE_SECONDS) == 0


def read(bootstrap: str, topic: str, partitions: int = 4) -> list[Message]:
    """All messages of a topic, partition by partition."""
    options = {"bootstrap.servers": bootstrap, "group.id": "test", "enable.partition.eof": True}
    consumer = Consumer({**options, "enable.auto.commit": False, "fetch.wait.max.ms": 10})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(partitions)])
    messages: list[Message] = []
    ends: set[int | None] = set()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(ends) < partitions:
        assert time.monotonic() < deadline, f"{topic} cannot be read to its end"
        for message in consumer.consume(1000, 0.1):
            error = message.error()
            if error is None:
                messages.append(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                ends.add(message.partition())
    consumer.close()
    return sorted(messages, key=lambda message: (message.partition(), message.offset()))


def ids(messages: Sequence[Message]) -> list[str]:
    """The messages' id headers."""
    return [headers(message)["id"].decode() for message in messages]


def headers(message: Message) -> dict[str, bytes]:
    """A message's headers by name."""
    found = dict(message.headers() or ())
    return {name: value for name, value in found.items() if isinstance(value, bytes)}


def value_of(message: Message) -> bytes:
    """A message's value; one without is a failure."""
    value = message.value()
    assert value is not None
    return value


def read_until(part: Any, enough: Callable[[list[Any]], bool]) -> list[Any]:
    """Drive a source partition as the engine would until its batches are enough; the batches."""
    batches: list[Any] = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not enough(batches):
        assert time.monotonic() < deadline, f"waited in vain; got {batches}"
        batches += part.next_batch()
        awake = part.next_awake()
        if awake is not None:
            time.sleep(max(0.0, (awake - datetime.now(UTC)).total_seconds()))
    return batches


def messages_of(batches: Sequence[Any]) -> list[Any]:
    """The messages of batches, in order."""
    return [message for batch in batches for message in batch.messages]
