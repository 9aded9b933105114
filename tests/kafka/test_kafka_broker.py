import signal
import subprocess
import sys

import pytest
from confluent_kafka import KafkaError, KafkaException

from cronwax.devtools import kafka_broker
from cronwax.devtools.kafka_broker import admin, missing_tools

MODULE = "cronwax"


@pytest.mark.kafka
def test_the_script_runs_a_broker_with_its_topics_until_it_is_told_to_stop(own_broker):
    assert missing_tools() is None
    command = [sys.executable, "-m", MODULE, "kafka", "--port", "0", "--topic", "one:3"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        bootstrap = process.stdout.readline().strip()
        topics = admin(bootstrap).list_topics(timeout=10).topics
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert len(topics["one"].partitions) == 3


class _Answers:
    """Clients of which each gives the next answer to a wish for a topic."""

    def __init__(self, *codes):
        self.left = list(codes)

    def create_topics(self, topics, **_):
        return {topics[0].topic: self}

    def result(self):
        if (code := self.left.pop(0)) is not None:
            raise KafkaException(KafkaError(code))

    def list_topics(self, timeout):
        return self

    topics = ("made",)


@pytest.fixture
def answers(monkeypatch):
    def give(*codes):
        clients = _Answers(*codes)
        monkeypatch.setattr(kafka_broker, "admin", lambda _: clients)
        return clients

    return give


@pytest.mark.parametrize("busy", kafka_broker._BUSY)
@pytest.mark.parametrize("at_last", [None, KafkaError.TOPIC_ALREADY_EXISTS])
def test_a_broker_that_cannot_keep_up_is_asked_again_for_a_topic(answers, busy, at_last):
    clients = answers(busy, busy, at_last)
    assert kafka_broker.create_topic("nowhere", "made") == "made"
    assert clients.left == []


@pytest.mark.parametrize("code", [KafkaError.TOPIC_ALREADY_EXISTS, KafkaError.INVALID_PARTITIONS])
def test_what_is_wrong_with_a_topic_is_said_at_once(answers, code):
    clients = answers(code, None)
    with pytest.raises(KafkaException):
        kafka_broker.create_topic("nowhere", "made")
    assert clients.left == [None]
