"""A topic that is not the one it was: created again, with more partitions, or without a right to it."""

from __future__ import annotations

import pytest
from confluent_kafka.admin import AclOperation, NewPartitions  # type: ignore[attr-defined]

from cronwax.devtools.kafka_broker import admin, create_topic
from dataflow.connectors.kafka_client import KafkaStartError
from dataflow.connectors.kafka_source import KafkaSource
from dataflow.connectors.kafka_topics import Topic
from dataflow.connectors.topic_watch import difference
from tests.kafka.topics import messages_of, read_until, send

pytestmark = pytest.mark.kafka
T0 = 29_000_000 * 60_000


def never():
    return False


def position_after(settings, count):
    """Where a source stands that has read so many messages of partition 0."""
    part = source_part(settings, None)
    read_until(part, lambda batches: len(messages_of(batches)) >= count)
    part.close()
    return part.snapshot()


def source_part(settings, state):
    return KafkaSource(settings, never).build_part("input", f"{settings.checkins_topic}/0", state)


def create_again(broker, topic, messages):
    client = admin(broker.bootstrap)
    (answer,) = client.delete_topics([topic]).values()
    answer.result()
    while topic in client.list_topics(timeout=10).topics:
        pass
    create_topic(broker.bootstrap, topic, 4)
    send(broker.bootstrap, topic, 0, messages)


MESSAGES = [(T0 + number, b"%d" % number) for number in range(20)]


@pytest.fixture
def replaced(real_broker, settings_for, tmp_path):
    """Settings, and a position in a topic that has been created again since, and is longer now."""
    settings = settings_for(real_broker, data_dir=tmp_path)
    send(real_broker.bootstrap, settings.checkins_topic, 0, MESSAGES[:5])
    position = position_after(settings, 5)
    create_again(real_broker, settings.checkins_topic, MESSAGES)
    return settings, position


def test_a_position_in_a_topic_that_was_created_again_is_refused(replaced):
    settings, position = replaced
    with pytest.raises(KafkaStartError) as error:
        source_part(settings, position)
    assert error.value.status == 2
    assert "CRONWAX_KAFKA_ACCEPT_REPLACED_TOPIC" in str(error.value)


def test_a_topic_that_was_created_again_is_read_from_its_start_if_that_is_accepted(replaced):
    settings, position = replaced
    accepted = settings.model_copy(update={"kafka_accept_replaced_topic": True})
    part = source_part(accepted, position)
    read = messages_of(read_until(part, lambda batches: len(messages_of(batches)) >= len(MESSAGES)))
    assert [value for _, _, value in read] == [value for _, value in MESSAGES]
    part.close()


def test_a_position_of_an_earlier_release_is_believed(real_broker, settings_for, tmp_path):
    settings = settings_for(real_broker, data_dir=tmp_path)
    send(real_broker.bootstrap, settings.checkins_topic, 0, MESSAGES)
    part = source_part(settings, (15, 29_000_000))
    read = messages_of(read_until(part, lambda batches: len(messages_of(batches)) >= 5))
    assert [offset for offset, _, _ in read] == [15, 16, 17, 18, 19]
    part.close()


def test_new_partitions_end_the_flow_in_order_and_are_read_after_the_restart(own_broker, deploy):
    deployment = deploy(own_broker, 2, publish_interval=0)
    topic = deployment.settings.checkins_topic
    send(own_broker.bootstrap, topic, 0, MESSAGES[:3])
    (process,) = deployment.start()
    deployment.wait_for(lambda: sum(deployment.read()) == 3)
    client = admin(own_broker.bootstrap)
    (answer,) = client.create_partitions([NewPartitions(topic, 3)]).values()
    answer.result()
    assert process.status() == 1
    assert process.last_words() == [f"cronwax: topic {topic} has 3 partitions now, not 2"]
    assert sum(deployment.read()) == 3  # it ended with a snapshot
    send(own_broker.bootstrap, topic, 2, MESSAGES[:4])
    deployment.start()
    deployment.wait_for(lambda: sum(deployment.read()) == 7)
    assert deployment.stop() == [0]


def test_a_flow_says_that_it_is_ready_and_what_it_has_checked(own_broker, deploy):
    deployment = deploy(own_broker, 2)
    (process,) = deployment.start()
    deployment.wait_for(lambda: any("event=ready" in line for line in process.said()))
    (line,) = [line for line in process.said() if "event=ready" in line]
    assert deployment.settings.dead_letter_topic in line
    assert "partitions=6" in line
    assert deployment.stop() == [0]


def topic(name="t", identity="a/b", partitions=2, operations=None):
    return Topic(name, identity, partitions, operations)


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (topic(), []),
        (topic(partitions=3), ["topic t has 3 partitions now, not 2"]),
        (topic(identity=""), []),
        (topic(identity="a/c", partitions=3), ["topic t was deleted and created again"]),
    ],
)
def test_a_change_of_a_topic_is_one_line(now, said):
    assert difference([topic()], {"t": now}) == said


@pytest.mark.parametrize(
    ("operations", "missing"),
    [
        (None, []),
        ([AclOperation.READ, AclOperation.WRITE, AclOperation.DESCRIBE], []),
        ([AclOperation.READ], ["Write"]),
        ([], ["Read", "Write"]),
    ],
)
def test_a_missing_right_is_known_by_its_name(operations, missing):
    assert topic(operations=operations).lacks(AclOperation.READ, AclOperation.WRITE) == missing
