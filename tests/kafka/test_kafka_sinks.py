import random
from collections import Counter
from datetime import timedelta
from typing import Any

import bytewax.operators as op
import msgspec
import pytest
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import TestingSource, run_main
from confluent_kafka.admin import NewPartitions  # type: ignore[attr-defined]

from cronwax.devtools.kafka_broker import admin
from dataflow.connectors import kafka_sinks
from dataflow.connectors.kafka_sinks import DeadLettersSink, OccurrencesSink
from dataflow.process.exit import FlowError
from dataflow.stream.items import DeadLetter, Message
from tests.kafka.topics import headers, ids, read, send

pytestmark = pytest.mark.kafka


def message(name, key="key"):
    return Message(str(name), key, b'{"id": "%s"}' % str(name).encode())


def messages(names):
    return [message(name, f"key-{int(name) % 7}") for name in names]


def build(settings, state=None, kind=OccurrencesSink):
    return kind(settings).build_part("output", "0", state)


def write_and_die(settings, state, names):
    """What a process leaves behind that delivers its messages and then ends without a snapshot."""
    part = build(settings, state)
    part.write_batch(messages(names))
    part.snapshot()


def sent(settings, partitions=4):
    return read(settings.kafka_bootstrap_servers, settings.occurrences_topic, partitions)


def test_a_message_goes_out_with_its_key_its_payload_and_its_id(broker, settings_for):
    settings = settings_for(broker)
    part = build(settings)
    part.write_batch([Message("a1", "fingerprint", b"{}")])
    part.close()
    (found,) = sent(settings)
    assert (found.key(), found.value(), found.headers()) == (b"fingerprint", b"{}", [("id", b"a1")])


def test_messages_of_one_key_keep_their_order(broker, settings_for):
    settings = settings_for(broker)
    part = build(settings)
    part.write_batch([message(number, f"key-{number % 7}") for number in range(500)])
    part.snapshot()
    by_key: dict[Any, list[Any]] = {}
    for found in sent(settings):
        by_key.setdefault(found.key(), []).append(found)
    for key, found in by_key.items():
        assert len({each.partition() for each in found}) == 1
        assert ids(found) == [str(number) for number in range(500) if f"key-{number % 7}".encode() == key]


def test_what_a_dead_process_delivered_is_not_sent_again(broker, settings_for):
    settings = settings_for(broker)
    part = build(settings)
    part.write_batch(messages(range(5)))
    state = part.snapshot()
    write_and_die(settings, state, range(5, 10))
    part = build(settings, state)
    part.write_batch(messages(range(5, 12)))
    part.snapshot()
    assert sorted(map(int, ids(sent(settings)))) == list(range(12))


def test_a_death_in_the_very_first_epoch_sends_nothing_twice(broker, settings_for):
    settings = settings_for(broker)
    write_and_die(settings, None, range(5))
    part = build(settings)
    part.write_batch(messages(range(7)))
    part.snapshot()
    assert sorted(map(int, ids(sent(settings)))) == list(range(7))


def test_a_second_death_while_the_first_is_made_up_for_sends_nothing_twice(broker, settings_for):
    settings = settings_for(broker)
    state = build(settings).snapshot()
    write_and_die(settings, state, range(6))
    part = build(settings, state)
    part.write_batch(messages(range(2)))
    state = part.snapshot()
    part = build(settings, state)
    part.write_batch(messages(range(2, 9)))
    part.snapshot()
    assert sorted(map(int, ids(sent(settings)))) == list(range(9))


def test_too_many_ids_for_a_snapshot_are_read_in_the_topic_again(broker, settings_for, monkeypatch):
    monkeypatch.setattr(kafka_sinks, "MAX_KEPT_IDS", 3)
    settings = settings_for(broker)
    first = build(settings).snapshot()
    write_and_die(settings, first, range(6))
    part = build(settings, first)
    part.write_batch(messages(range(2)))
    second = part.snapshot()
    assert second == first
    part.write_batch(messages(range(2, 4)))
    assert part.snapshot() != first
    part = build(settings, second)
    part.write_batch(messages(range(2, 9)))
    part.snapshot()
    assert sorted(map(int, ids(sent(settings)))) == list(range(9))


def test_each_message_is_in_the_topic_once_whenever_and_however_often_the_process_dies(broker, settings_for):
    settings = settings_for(broker)
    chance = random.Random(20250303)
    names = list(range(400))
    stored, done = None, 0  # what the recovery store holds: the sink's state, and how far the input was read
    deaths = 0
    while done < len(names):
        part = build(settings, stored)
        at = done
        while at < len(names) and (deaths >= 15 or chance.random() < 0.75):
            step = chance.randint(1, 40)
            part.write_batch(messages(chance.sample(names[at : at + step], len(names[at : at + step]))))
            at += step
            if chance.random() < 0.5 or at >= len(names):
                state = part.snapshot()
                if chance.random() < 0.8 or deaths >= 15:  # else it dies before the store has it
                    stored, done = state, at
        part._producer.flush()
        deaths += 1
    assert deaths >= 10
    assert Counter(map(int, ids(sent(settings)))) == Counter(names)


def test_a_flow_that_dies_sends_each_message_once(broker, settings_for, tmp_path):
    settings = settings_for(broker)
    init_db_dir(tmp_path, 1)
    died = TestingSource.ABORT()
    inputs = [("0", each) for each in messages(range(6))]
    source: TestingSource[Any] = TestingSource(
        [*inputs[:3], died, *inputs[3:5], TestingSource.ABORT(), *inputs[5:]]
    )
    flow = Dataflow("write")
    op.output("output", op.input("input", flow, source), OccurrencesSink(settings))
    for _ in range(3):
        run_main(flow, epoch_interval=timedelta(hours=1), recovery_config=RecoveryConfig(tmp_path))
    assert sorted(ids(sent(settings))) == ["0", "1", "2", "3", "4", "5"]


def test_messages_of_others_in_the_topic_are_left_alone(broker, settings_for):
    settings = settings_for(broker)
    send(broker.bootstrap, settings.occurrences_topic, 1, [(1, b"not ours")])
    part = build(settings)
    part.write_batch([message(1)])
    part.snapshot()
    assert sorted(found.value() for found in sent(settings)) == [b"not ours", b'{"id": "1"}']


def test_a_topic_that_grew_is_read_back_whole(real_broker, settings_for):
    settings = settings_for(real_broker)
    state = build(settings).snapshot()
    client = admin(real_broker.bootstrap)
    topic = settings.occurrences_topic
    client.create_partitions([NewPartitions(topic, 7)])[topic].result()
    write_and_die(settings, state, range(20))
    part = build(settings, state)
    part.write_batch(messages(range(25)))
    part.snapshot()
    found = sent(settings, partitions=7)
    assert sorted(map(int, ids(found))) == list(range(25))
    assert max(each.partition() for each in found) > 3


def test_a_dead_letter_is_the_original_with_its_place_and_reason_and_is_sent_once(broker, settings_for):
    settings = settings_for(broker)
    letter = DeadLetter("ingest-monitors", 3, 17, "no msgpack: ü", b"\xc1\x00")
    state = build(settings, kind=DeadLettersSink).snapshot()
    for _ in range(2):
        part = build(settings, state, kind=DeadLettersSink)
        part.write_batch([letter])
        part.snapshot()
    (found,) = read(broker.bootstrap, settings.dead_letter_topic)
    assert found.value() == b"\xc1\x00"
    assert headers(found) == {
        "id": b"ingest-monitors/3/17",
        "topic": b"ingest-monitors",
        "partition": b"3",
        "offset": b"17",
        "reason": "no msgpack: ü".encode(),
    }


def test_a_broker_that_restarts_in_the_middle_loses_and_repeats_nothing(own_broker, settings_for):
    settings = settings_for(own_broker)
    part = build(settings)
    part.write_batch(messages(range(1000)))
    own_broker.kill()
    part.write_batch(messages(range(1000, 2000)))
    own_broker.start()
    part.write_batch(messages(range(2000, 2100)))
    part.snapshot()
    assert Counter(map(int, ids(sent(settings)))) == Counter(range(2100))


def test_a_message_that_cannot_be_delivered_ends_the_flow_with_one_line(mock_broker, settings_for):
    settings = settings_for(mock_broker, kafka_delivery_timeout_seconds=1)
    part = build(settings)
    mock_broker.stop()
    part.write_batch([message(1)])
    with pytest.raises(FlowError) as error:
        part.snapshot()
    line = str(error.value)
    assert f"cannot write to topic {settings.occurrences_topic}" in line


def test_a_snapshot_of_a_newer_release_is_refused_with_one_line(broker, settings_for):
    settings = settings_for(broker)
    with pytest.raises(FlowError) as error:
        build(settings, msgspec.msgpack.encode([2, {}, [], "new"]))
    line = str(error.value)
    assert "newer release" in line
