"""Finds a broker, and makes topics and settings for it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from confluent_kafka import Producer

from cronwax.devtools.kafka_broker import Broker, BrokerError, create_topic
from dataflow.settings import Settings
from tests.kafka.check_in_stream import ENDLESS_SECONDS, ORGANIZATIONS, PARTITIONS
from tests.kafka.flow_process import Deployment

IN_CI = os.environ.get("CI") == "true"
QUICK_JAVA = ("-XX:TieredStopAtLevel=1",)
"""Code is compiled once, quickly: a broker of tests ends before better code has paid for itself."""
MOCK_PARTITIONS = 4
"""What every topic of the mock broker has."""


class GivenBroker:
    """The broker that CRONWAX_TEST_KAFKA names."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap

    def create_topic(self, name: str, partitions: int, **config: str) -> str:
        return create_topic(self.bootstrap, name, partitions, **config)

    def stop(self) -> None:
        pass


class MockBroker:
    """librdkafka's broker inside this process, for the tests that it can serve where there is no real one."""

    def __init__(self) -> None:
        self._client: Producer | None = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1})
        (server,) = self._client.list_topics(timeout=10).brokers.values()
        self.bootstrap = f"{server.host}:{server.port}"

    def create_topic(self, name: str, partitions: int, **config: str) -> str:
        if partitions != MOCK_PARTITIONS or config:
            pytest.skip(f"the mock broker cannot make a topic of {partitions} partitions and {config}")
        assert self._client is not None
        self._client.list_topics(name, timeout=10)
        return name

    def stop(self) -> None:
        self._client = None


def start_real_broker() -> Broker:
    """Raises BrokerError where there is none; in CI that is a failure."""
    try:
        return Broker(java_options=QUICK_JAVA).start()
    except BrokerError as error:
        if IN_CI:
            pytest.fail(f"CI needs a real broker: {error}")
        raise


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker | GivenBroker | MockBroker]:
    """The given broker, else a real one of our own, else the mock."""
    found: Broker | GivenBroker | MockBroker
    if given := os.environ.get("CRONWAX_TEST_KAFKA"):
        found = GivenBroker(given)
    else:
        try:
            found = start_real_broker()
        except BrokerError:
            found = MockBroker()
    yield found
    found.stop()


@pytest.fixture(scope="session")
def real_broker(broker: Broker | GivenBroker | MockBroker) -> Broker | GivenBroker:
    """For what the mock broker cannot do."""
    if isinstance(broker, MockBroker):
        pytest.skip("needs a real broker: CRONWAX_TEST_KAFKA, or java and mvn")
    return broker


@pytest.fixture(scope="session")
def own_broker(broker) -> Iterator[Broker]:
    """For what is only done to a broker of our own: stopping it, logging in."""
    if isinstance(broker, Broker):
        yield broker
        return
    try:
        own = start_real_broker()
    except BrokerError as error:
        pytest.skip(f"needs a broker of its own: {error}")
    yield own
    own.stop()


@pytest.fixture
def mock_broker() -> Iterator[MockBroker]:
    """A broker that goes away for good when it is stopped."""
    mock = MockBroker()
    yield mock
    mock.stop()


_numbers = count()


@pytest.fixture(scope="session")
def new_topic() -> Callable[..., str]:
    """Makes a topic of its own for a test."""

    def make(broker: Any, partitions: int = MOCK_PARTITIONS, **config: str) -> str:
        return str(broker.create_topic(f"test-{os.getpid()}-{next(_numbers)}", partitions, **config))

    return make


@pytest.fixture(scope="session")
def settings_for(new_topic) -> Callable[..., Settings]:
    """Settings for a broker, with topics of their own unless they are named."""

    def make(broker: Any, partitions: int = MOCK_PARTITIONS, **changes: Any) -> Settings:
        def topic(name: str, count: int) -> str:
            return str(changes.pop(name, None) or new_topic(broker, count))

        # A source says once more after this interval that nothing has come; few tests want to hear it.
        changes.setdefault("publish_interval", 3600)
        # Most tests tell the clock by their timestamps.
        changes.setdefault("clock_delay_seconds", 0)
        return Settings(
            source="kafka",
            kafka_bootstrap_servers=changes.pop("kafka_bootstrap_servers", broker.bootstrap),
            checkins_topic=topic("checkins_topic", partitions),
            controls_topic=topic("controls_topic", MOCK_PARTITIONS),
            occurrences_topic=topic("occurrences_topic", MOCK_PARTITIONS),
            dead_letter_topic=topic("dead_letter_topic", MOCK_PARTITIONS),
            **changes,
        )

    return make


@pytest.fixture
def deploy(settings_for, tmp_path) -> Iterator[Callable[..., Deployment]]:
    """Makes deployments of which no process is left in the end."""
    made: list[Deployment] = []

    def make(broker: Any, partitions: int = MOCK_PARTITIONS, **changes: Any) -> Deployment:
        settings = settings_for(broker, partitions, **changes)
        made.append(Deployment(tmp_path / f"deployment-{len(made)}", settings))
        return made[-1]

    yield make
    for each in made:
        each.end()


@pytest.fixture
def siblings(own_broker, deploy: Callable[..., Deployment], new_topic, tmp_path) -> Callable[..., Deployment]:
    """Makes deployments over one topic of check-ins, in which the wall clock has no say."""
    topic = new_topic(own_broker, PARTITIONS)
    projects = tmp_path / "projects.json"
    projects.write_text(json.dumps(ORGANIZATIONS))

    def make(**changes: Any) -> Deployment:
        given = {"kafka_idle_allowance_seconds": ENDLESS_SECONDS, "publish_interval": 1, **changes}
        return deploy(own_broker, checkins_topic=topic, projects_path=projects, **given)

    return make
