"""How `lag` asks Kafka where partitions end."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException

from cronwax.commands import unread
from dataflow.connectors import kafka_client

TOPIC = "ingest-monitors"
CHOOSES_A_LEADER = KafkaError(KafkaError.LEADER_NOT_AVAILABLE)
FORBIDDEN = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)


@pytest.fixture
def says(monkeypatch):
    """Gives a cluster of two partitions these answers: for each partition ends, errors, or None for no answer."""

    def make(*answers_of):
        answers = [list(each) for each in answers_of]

        def ask_offset(_admin, part, _which, _seconds):
            future: Future[SimpleNamespace] = Future()
            answer = answers[part.partition].pop(0)
            if isinstance(answer, int):
                future.set_result(SimpleNamespace(offset=answer))
            elif answer is not None:
                future.set_exception(KafkaException(answer))
            return future

        monkeypatch.setattr(kafka_client, "ask_offset", ask_offset)
        monkeypatch.setattr(
            kafka_client.Kafka, "partitions", lambda *_, **__: {TOPIC: list(range(len(answers)))}
        )
        monkeypatch.setattr(kafka_client, "RETRY_SECONDS", 0)
        monkeypatch.setattr(unread, "_PATIENCE_SECONDS", -0.99)

    monkeypatch.setenv("CRONWAX_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    return make


def left(tmp_path, partitions):
    found = unread.unread(tmp_path, [(TOPIC, partition) for partition in partitions])
    assert found is not None
    return [found.of((TOPIC, partition), 40) for partition in partitions]


def test_a_partition_that_has_no_leader_yet_or_a_busy_broker_is_asked_again(says, tmp_path, capsys):
    says([CHOOSES_A_LEADER, None, 43], [40])
    assert left(tmp_path, [0, 1]) == [3, 0]
    assert capsys.readouterr().err == ""


def test_what_kafka_does_not_say_is_named(says, tmp_path, capsys, monkeypatch):
    says([FORBIDDEN], [CHOOSES_A_LEADER] * 10_000)
    monkeypatch.setattr(unread, "_ENDS_PATIENCE_SECONDS", 0.01)
    assert left(tmp_path, [0, 1]) == [None, None]
    refused, leaderless = capsys.readouterr().err.splitlines()
    assert f"does not say where {TOPIC}/0 ends: " in refused
    assert "uthorization" in refused
    assert f"does not say where {TOPIC}/1 ends: " in leaderless
    assert "leader" in leaderless.lower()


def test_a_partition_that_is_gone_is_not_asked_for(says, tmp_path):
    says([41])
    assert left(tmp_path, [0, 7]) == [1, None]
