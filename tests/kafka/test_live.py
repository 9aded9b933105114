"""The flow in real time: what it sends while nothing comes in, and how its processes end.

The deadline of `silent` is up to a minute ahead: other tests use the time, and the broker stops only after it.
"""

import json
import signal
import time

import pytest

from cronwax.devtools.kafka_broker import USER
from tests.kafka.check_in_stream import PARTITIONS, Feed, message, partition_of, stream
from tests.kafka.flow_process import Deployment
from tests.kafka.topics import read, send, value_of

pytestmark = pytest.mark.kafka

AHEAD_SECONDS = 15
"""The deadline is at least so far ahead, for the flow to have started."""
LATE_SECONDS = 15
"""A miss is notified at most this long after its deadline."""


@pytest.fixture(scope="module", autouse=True)
def silent(own_broker, settings_for, tmp_path_factory):
    """A deployment that gets one check-in and then nothing more, and when its job is missed (epoch seconds)."""
    flow = Deployment(
        tmp_path_factory.mktemp("silent"), settings_for(own_broker, PARTITIONS, clock_delay_seconds=5)
    )
    flow.start()
    deadline_s = (int(time.time()) + AHEAD_SECONDS + 59) // 60 * 60
    config = {"schedule": {"type": "crontab", "value": "* * * * *"}}
    body = {"check_in_id": "1" * 32, "monitor_slug": "silent", "status": "ok", "monitor_config": config}
    at_s = deadline_s - 90  # due a minute before the deadline
    check_in = (at_s * 1000, message(at_s, 1, body))
    send(own_broker.bootstrap, flow.settings.checkins_topic, partition_of(1, "silent"), [check_in])
    yield flow, deadline_s
    flow.end()


@pytest.fixture
def running(own_broker, siblings):
    """Makes a deployment that has published once, and has an hour until the next time; and its feed."""

    def make(processes=1, **changes):
        flow = siblings(publish_interval=3600, **changes)
        check_ins = stream(seed=5, monitors=20, minutes=60)
        feed = Feed(own_broker.bootstrap, flow.settings.checkins_topic, check_ins)
        feed.give(feed.total // 2)
        flow.start(processes)
        flow.wait_for(flow.read)
        return flow, feed

    return make


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_it_publishes_what_it_has_read_and_ends_well(running, how):
    flow, feed = running()
    published, sent = sum(flow.read()), flow.sent()
    feed.give()
    flow.wait_for(lambda: flow.sent() > sent)
    assert flow.stop(how) == [0]
    assert sum(flow.read()) > published
    assert flow.running[0].last_words() == []


def test_what_is_wrong_with_the_cluster_is_one_line(own_broker, siblings):
    login = {"security.protocol": "sasl_plaintext", "sasl.mechanism": "PLAIN", "sasl.username": USER}
    expected = {
        "has no topic no-such-topic": siblings(occurrences_topic="no-such-topic"),
        "Kafka at 127.0.0.1:1 does not answer": siblings(kafka_bootstrap_servers="127.0.0.1:1"),
        "refuses the connection": siblings(
            kafka_bootstrap_servers=own_broker.login_bootstrap,
            kafka_config={**login, "sasl.password": "hunter2"},
        ),
    }
    for flow in expected.values():
        flow.start()
    for words, flow in expected.items():
        (process,) = flow.running
        # A broker that is away may come back; a topic or a login has to be put right first.
        assert process.status() == (1 if "does not answer" in words else 2)
        (line,) = process.last_words()
        assert words in line
        assert "hunter2" not in "\n".join(process.said())


def test_without_one_of_its_processes_a_cluster_ends_with_one_line_and_publishes_no_half_epoch(running):
    flow, feed = running(processes=2)
    published, sent = flow.read(), flow.sent()
    feed.give()
    flow.wait_for(lambda: flow.sent() > sent)
    flow.kill(1)
    assert flow.running[0].status() == 1
    (line,) = flow.running[0].last_words()
    assert "another process" in line
    assert flow.read() == published


def test_a_miss_is_told_within_seconds_though_all_partitions_are_silent(own_broker, silent):
    flow, deadline_s = silent
    flow.wait_for(flow.sent)
    assert flow.stop() == [0]
    miss, *_ = read(own_broker.bootstrap, flow.settings.occurrences_topic)
    (_, sent_ms) = miss.timestamp()
    assert deadline_s * 1000 <= sent_ms <= (deadline_s + LATE_SECONDS) * 1000
    assert "A missed check-in was detected" in str(json.loads(value_of(miss)))


def test_without_its_broker_it_ends_with_one_line(own_broker, running):
    flow, _ = running(kafka_delivery_timeout_seconds=3)
    own_broker.kill()
    try:
        assert flow.running[0].status() == 1
    finally:
        own_broker.start()
    (line,) = flow.running[0].last_words()
    assert own_broker.bootstrap in line
