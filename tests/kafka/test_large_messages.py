"""What is larger than a topic takes ends no flow, and nothing of it is lost."""

from __future__ import annotations

from hashlib import sha256

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from cronwax.devtools.kafka_broker import admin
from dataflow.connectors.kafka_sinks import DeadLettersSink, OccurrencesSink
from dataflow.stream.items import DeadLetter, Message
from tests.kafka.topics import read

pytestmark = pytest.mark.kafka


def limit(broker, topic, max_bytes):
    """Change what a topic takes."""
    entry = ConfigEntry("max.message.bytes", str(max_bytes), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    client = admin(broker.bootstrap)  # it must live until it has answered
    (answer,) = client.incremental_alter_configs([resource]).values()
    answer.result()


@pytest.fixture
def settings(real_broker, settings_for, new_topic, tmp_path):
    topic = new_topic(real_broker, 1)
    return settings_for(real_broker, partitions=1, dead_letter_topic=topic, data_dir=tmp_path)


def letters(settings):
    found = read(settings.kafka_bootstrap_servers, settings.dead_letter_topic, 1)
    return [(message.value(), _texts(message.headers())) for message in found]


def _texts(headers):
    return {name: value.decode() for name, value in headers}


def write(sink, *items):
    part = sink.build_part("output", "0", None)
    part.write_batch(list(items))
    part.snapshot()
    part.close()


def test_a_large_dead_letter_is_cut_and_kept_whole(settings, tmp_path):
    original = bytes(range(256)) * 20_000  # 5 MB
    write(DeadLettersSink(settings), DeadLetter("ingest-monitors", 3, 17, "reason", original))
    ((value, headers),) = letters(settings)
    assert value == original[: settings.dead_letter_max_bytes]
    assert headers["length"] == str(len(original))
    assert headers["sha256"] == sha256(original).hexdigest()
    whole = tmp_path / headers["file"]
    assert whole.read_bytes() == original
    assert whole.stat().st_mode & 0o777 == 0o600


def test_a_small_dead_letter_goes_out_as_it_is(settings, tmp_path):
    write(DeadLettersSink(settings), DeadLetter("ingest-monitors", 3, 17, "reason", b"{"))
    ((value, headers),) = letters(settings)
    assert (value, "length" in headers, list(tmp_path.iterdir())) == (b"{", False, [])


def test_a_topic_that_takes_less_than_is_set_has_the_last_word(real_broker, settings, caplog):
    limit(real_broker, settings.dead_letter_topic, 10_000)
    write(DeadLettersSink(settings), DeadLetter("ingest-monitors", 0, 0, "reason", bytes(50_000)))
    ((value, headers),) = letters(settings)
    assert 1_000 < len(value) < 10_000
    assert headers["length"] == "50000"
    assert "max.message.bytes" in caplog.text


def test_a_limit_that_was_lowered_since_cuts_further(real_broker, settings, tmp_path):
    sink = DeadLettersSink(settings)
    limit(real_broker, settings.dead_letter_topic, 3_000)
    original = bytes(1_200_000)
    write(sink, DeadLetter("ingest-monitors", 0, 0, "reason", original))
    ((value, headers),) = letters(settings)
    assert 0 < len(value) < 3_000
    assert (tmp_path / headers["file"]).read_bytes() == original


@pytest.mark.parametrize("size", [2_000_000, 20_000_000], ids=["for the broker", "for the client"])
def test_a_message_that_its_topic_refuses_becomes_a_dead_letter(settings, tmp_path, size):
    payload = b'{"id": "' + b"x" * size + b'"}'
    write(OccurrencesSink(settings), Message("big", "key", payload), Message("small", "key", b"{}"))
    sent = read(settings.kafka_bootstrap_servers, settings.occurrences_topic)
    assert [message.value() for message in sent] == [b"{}"]
    ((value, headers),) = letters(settings)
    assert payload.startswith(value)
    assert headers["id"] == f"{settings.occurrences_topic}/big"
    assert "more than topic" in headers["reason"]
    assert (tmp_path / headers["file"]).read_bytes() == payload


def test_many_dead_letters_of_one_batch_stay_below_a_low_limit(real_broker, settings):
    limit(real_broker, settings.dead_letter_topic, 20_000)
    many = [DeadLetter("ingest-monitors", 0, offset, "reason", bytes(5_000)) for offset in range(100)]
    write(DeadLettersSink(settings), *many)
    assert [headers["offset"] for _, headers in letters(settings)] == [str(offset) for offset in range(100)]
