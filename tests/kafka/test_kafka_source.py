"""Reading partitions of Kafka: order, positions, and what ends it."""

from __future__ import annotations

import pytest
from bytewax.recovery import RecoveryConfig, init_db_dir
from confluent_kafka import TopicPartition
from confluent_kafka.admin import NewPartitions  # type: ignore[attr-defined]

from cronwax.devtools.kafka_broker import admin
from dataflow.connectors.kafka_source import KafkaSource
from dataflow.monitors.check_in import NO_MINUTE
from dataflow.process.exit import FlowError
from dataflow.stream.batch import Format
from tests.kafka.source_parts import LATER_US, MINUTE, T0, never, part_of, run_until, source_of
from tests.kafka.topics import messages_of, read_until, send

pytestmark = pytest.mark.kafka


def test_messages_keep_the_order_of_their_partition_and_know_their_place_and_time(broker, settings_for):
    settings = settings_for(broker, batch_size=3)
    for partition in range(4):
        messages = [(T0 + number, b"%d.%d" % (partition, number)) for number in range(10)]
        send(broker.bootstrap, settings.checkins_topic, partition, messages)
    seen = run_until(settings, 40)
    for partition in range(4):
        batches = [batch for batch in seen if batch.partition == partition]
        expected = [(n, (T0 + n) * 1000, b"%d.%d" % (partition, n)) for n in range(10)]
        assert messages_of(batches) == expected
        assert {(batch.origin, batch.topic, batch.format) for batch in batches} == {
            (partition, settings.checkins_topic, Format.MSGPACK)
        }
        assert batches[-1].position == 10
        assert max(len(batch.messages) for batch in batches) <= 3


def test_a_flow_resumes_behind_what_it_has_read(broker, settings_for, tmp_path):
    settings = settings_for(broker)
    init_db_dir(tmp_path, 1)
    recovery = RecoveryConfig(tmp_path)
    send(broker.bootstrap, settings.checkins_topic, 1, [(T0, b"a"), (T0, b"b")])
    run_until(settings, 2, recovery)
    send(broker.bootstrap, settings.checkins_topic, 1, [(T0, b"c")])
    send(broker.bootstrap, settings.checkins_topic, 2, [(T0, b"d")])
    seen = messages_of(run_until(settings, 2, recovery))
    assert sorted(seen) == [(0, T0 * 1000, b"d"), (2, T0 * 1000, b"c")]


def test_a_snapshot_is_the_next_offset_and_the_clock(broker, settings_for):
    settings = settings_for(broker, batch_size=2)
    messages = [(T0, b"a"), (T0 + 60_000, b"b"), (T0 + 120_000, b"c")]
    send(broker.bootstrap, settings.checkins_topic, 0, messages)
    part = part_of(settings, now_us=None)
    read_until(part, lambda batches: len(messages_of(batches)) >= 2)
    assert part.snapshot()[:2] == (2, MINUTE + 1)
    part = part_of(settings, state=part.snapshot(), now_us=None)
    (batch,) = read_until(part, bool)
    assert (batch.clock_before, batch.clock_after, batch.position) == (MINUTE + 1, MINUTE + 2, 3)
    assert messages_of([batch]) == [(2, (T0 + 120_000) * 1000, b"c")]


def test_new_partitions_of_a_topic_are_read_at_the_next_start(real_broker, settings_for):
    settings = settings_for(real_broker, partitions=2)
    topic = settings.checkins_topic
    assert source_of(settings).origins == [f"{topic}/0", f"{topic}/1"]
    client = admin(real_broker.bootstrap)
    client.create_partitions([NewPartitions(topic, 11)])[topic].result()
    source = source_of(settings)
    assert source.origins == [f"{topic}/{partition}" for partition in range(11)]
    send(real_broker.bootstrap, topic, 10, [(T0, b"new")])
    (batch, *_) = read_until(source.build_part("input", f"{topic}/10", None), bool)
    assert (batch.origin, messages_of([batch])) == (10, [(0, T0 * 1000, b"new")])


def test_latest_begins_behind_what_is_there_and_stays_there(broker, settings_for):
    settings = settings_for(broker, kafka_start="latest")
    send(broker.bootstrap, settings.checkins_topic, 0, [(T0, b"old")])
    part = part_of(settings, now_us=None)
    assert part.snapshot()[:2] == (1, NO_MINUTE)
    send(broker.bootstrap, settings.checkins_topic, 0, [(T0, b"new")])
    part = part_of(settings, state=part.snapshot(), now_us=None)
    assert messages_of(read_until(part, bool)) == [(1, T0 * 1000, b"new")]


@pytest.mark.parametrize("position", [1, 7], ids=["deleted", "beyond the end"])
def test_a_position_that_is_not_in_the_topic_ends_with_one_line(real_broker, settings_for, position):
    settings = settings_for(real_broker)
    topic = settings.checkins_topic
    send(real_broker.bootstrap, topic, 0, [(T0, b"x")] * 4)
    client = admin(real_broker.bootstrap)
    client.delete_records([TopicPartition(topic, 0, 3)])[TopicPartition(topic, 0)].result()
    part = part_of(settings, state=(position, MINUTE))
    with pytest.raises(FlowError) as error:
        read_until(part, bool)
    line = str(error.value)
    assert f"{topic}/0: offset {position}" in line


def test_lag_and_clock_are_told(broker, settings_for):
    settings = settings_for(broker, batch_size=1)
    send(broker.bootstrap, settings.checkins_topic, 0, [(T0, b"x")] * 5)
    told = []
    part = part_of(settings, observe=lambda *seen: told.append(seen))
    read_until(part, lambda _: bool(told) and told[-1][2] == 0 and told[-1][3] == MINUTE + 99)
    assert {seen[:2] for seen in told} == {(settings.checkins_topic, 0)}


def test_a_topic_that_is_deleted_while_it_is_read_ends_the_flow_with_one_line(real_broker, settings_for):
    settings = settings_for(real_broker, kafka_delivery_timeout_seconds=1)
    send(real_broker.bootstrap, settings.checkins_topic, 0, [(T0, b"x")])
    part = part_of(settings)
    read_until(part, bool)
    client = admin(real_broker.bootstrap)
    client.delete_topics([settings.checkins_topic])[settings.checkins_topic].result()
    with pytest.raises(FlowError) as error:
        read_until(part, lambda _: False)
    line = str(error.value)
    assert f"{settings.checkins_topic}/0" in line


def test_a_request_to_stop_ends_every_partition(broker, settings_for):
    part = part_of(settings_for(broker), stopping=lambda: True)
    with pytest.raises(StopIteration):
        part.next_batch()


def test_a_clock_stands_still_while_the_broker_is_away_and_reading_goes_on_when_it_is_back(
    own_broker, settings_for, caplog
):
    settings = settings_for(own_broker)
    send(own_broker.bootstrap, settings.checkins_topic, 0, [(T0, b"before")])
    now_us = [T0 * 1000]
    source = KafkaSource(settings, never, now_us=lambda: now_us[0])
    part = source.build_part("input", f"{settings.checkins_topic}/0", None)
    read_until(part, bool)
    own_broker.kill()
    now_us[0] = LATER_US
    caplog.clear()
    assert read_until(part, lambda _: "the broker does not answer" in caplog.text) == []
    own_broker.start()
    send(own_broker.bootstrap, settings.checkins_topic, 0, [(T0 + 60_000, b"after")])
    batches = read_until(part, lambda got: bool(messages_of(got)) and got[-1].clock_after > MINUTE + 1)
    assert messages_of(batches) == [(1, (T0 + 60_000) * 1000, b"after")]
    assert part.snapshot()[:2] == (2, MINUTE + 99)


def test_a_broker_that_stays_away_ends_the_flow_with_one_line(mock_broker, settings_for):
    settings = settings_for(mock_broker, kafka_delivery_timeout_seconds=1)
    part = part_of(settings)
    read_until(part, bool)
    mock_broker.stop()
    with pytest.raises(FlowError) as error:
        read_until(part, lambda _: False)
    line = str(error.value)
    assert f"Kafka at {mock_broker.bootstrap} has not answered" in line
