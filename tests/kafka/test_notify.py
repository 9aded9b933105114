"""The notifier's source on a topic: positions of its own, more partitions, what is no longer there."""

from __future__ import annotations

import logging

import pytest

from cronwax.notify.sources.kafka import KafkaOccurrences
from tests.intake.running import wait_for
from tests.kafka.conftest import MOCK_PARTITIONS
from tests.kafka.topics import send
from tests.notify.messages import failure, recovery
from tests.notify.places import Place, route_all, titles
from tests.notify.receivers import Receiver


class Reading:
    """A source, and the positions that somebody keeps for it."""

    def __init__(self, settings) -> None:
        self.settings = settings
        self.positions: dict[str, str] = {}
        self.source: KafkaOccurrences | None = None

    def start(self) -> bool:
        self.close()
        self.source = KafkaOccurrences(self.settings)
        return self.source.start(self.positions)

    def read(self, count: int) -> list[bytes]:
        """Read until there are so many."""
        assert self.source is not None
        found: list[bytes] = []
        for _ in range(600):
            batch = self.source.read(100, 0.1)
            self.positions |= batch.positions
            found += batch.messages
            if len(found) >= count and batch.is_caught_up:
                return found
        raise AssertionError(f"only {len(found)} of {count} messages came")

    def close(self) -> None:
        if self.source is not None:
            self.source.close()


@pytest.fixture
def reading(broker, settings_for):
    found = Reading(settings_for(broker))
    yield found
    found.close()


def produce(reading: Reading, partition: int, *values: bytes) -> None:
    bootstrap = reading.settings.kafka_bootstrap_servers
    send(bootstrap, reading.settings.occurrences_topic, partition, [(0, value) for value in values])


def test_each_message_is_read_once_and_in_the_order_of_its_partition_over_restarts(reading: Reading):
    for partition in range(MOCK_PARTITIONS):
        produce(reading, partition, *(f"{partition}-{number}".encode() for number in range(5)))
    assert not reading.start()
    found = reading.read(5 * MOCK_PARTITIONS)
    for partition in range(MOCK_PARTITIONS):
        of_partition = [value for value in found if value.startswith(f"{partition}-".encode())]
        assert of_partition == [f"{partition}-{number}".encode() for number in range(5)]
    produce(reading, 2, b"later")
    assert reading.start()
    assert reading.read(1) == [b"later"]
    assert reading.start()
    assert reading.read(0) == []


def test_an_empty_topic_is_caught_up_with_at_once_and_its_positions_are_known(reading: Reading):
    reading.start()
    assert reading.source is not None
    assert reading.read(0) == []
    assert set(reading.source.positions().values()) == {"0"}
    reading.positions = reading.source.positions()
    produce(reading, 0, b"a")
    assert reading.start()
    assert reading.read(1) == [b"a"]


def test_a_topic_that_ends_before_what_was_read_is_another_one(reading: Reading):
    produce(reading, 0, b"a", b"b")
    topic = reading.settings.occurrences_topic
    reading.positions = {f"{topic}/{partition}": "7" for partition in range(MOCK_PARTITIONS)}
    assert reading.start()
    assert reading.source is not None
    batch = reading.source.read(100, 5)
    assert batch.has_begun_again
    assert batch.messages + reading.read(2 - len(batch.messages)) == [b"a", b"b"]


def test_what_the_topic_no_longer_holds_is_said_and_passed_over(real_broker, settings_for, caplog):
    from confluent_kafka import TopicPartition
    from confluent_kafka.admin import AdminClient

    caplog.set_level(logging.WARNING, "cronwax")
    reading = Reading(settings_for(real_broker))
    produce(reading, 0, *(str(number).encode() for number in range(10)))
    topic = reading.settings.occurrences_topic
    reading.positions = {f"{topic}/0": "2"}
    admin = AdminClient({"bootstrap.servers": real_broker.bootstrap})
    for future in admin.delete_records([TopicPartition(topic, 0, 6)]).values():
        future.result(30)
    reading.start()
    assert reading.read(4) == [b"6", b"7", b"8", b"9"]
    assert f"{topic}/0 no longer holds 4 messages that were not read" in caplog.text
    reading.close()


def test_a_notifier_beside_kafka_goes_on_where_it_was(broker, settings_for, tmp_path):
    settings = settings_for(broker)
    receiver = Receiver()
    place = Place(
        tmp_path,
        source="kafka",
        kafka_bootstrap_servers=settings.kafka_bootstrap_servers,
        occurrences_topic=settings.occurrences_topic,
    )

    def produce(*messages: bytes) -> None:
        bootstrap = settings.kafka_bootstrap_servers
        send(bootstrap, settings.occurrences_topic, 1, [(0, message) for message in messages])

    try:
        route_all(place, ops=receiver)
        produce(failure("past"), recovery("past"), failure("a"))
        process = place.start()
        wait_for(lambda: len(receiver.taken) == 1)
        produce(failure("b"))
        wait_for(lambda: len(receiver.taken) == 2)
        assert place.stop(process) == 0
        produce(recovery("a"), recovery("b"))
        process = place.start()
        wait_for(lambda: len(receiver.taken) == 4)
        assert place.stop(process) == 0
    finally:
        place.close()
        receiver.close()
    assert titles(receiver) == [
        "a (production) failed",
        "b (production) failed",
        "a (production) recovered",
        "b (production) recovered",
    ]
