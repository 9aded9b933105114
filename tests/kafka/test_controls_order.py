"""Controls from Kafka act at their own times, from a backlog as well as live, for any batch size and processes."""

from __future__ import annotations

import json

import pytest

from tests.kafka.check_in_stream import PARTITIONS, message, partition_of
from tests.kafka.source_parts import T0
from tests.kafka.topics import send

pytestmark = pytest.mark.kafka

EVERY_MINUTE = {"schedule": {"type": "crontab", "value": "* * * * *"}}
OUTCOME = """SELECT (SELECT count(*) FROM check_ins WHERE slug = 'disabled' AND status = 'ok'),
    (SELECT count(*) FROM processing_errors WHERE slug = 'disabled'),
    (SELECT count(*) FROM check_ins WHERE slug = 'other' AND status = 'ok')"""


def run_of(slug, minute):
    """A run of a monitor, in this minute of an hour."""
    at_ms = T0 + minute * 60_000
    guid = f"{len(slug) * 1000 + minute:032x}"
    body = {"check_in_id": guid, "monitor_slug": slug, "status": "ok", "monitor_config": EVERY_MINUTE}
    return at_ms, message(at_ms / 1000, 1, body)


def disabling(minute):
    body = {
        "type": "set_monitor_status",
        "project_id": 1,
        "monitor_slug": "disabled",
        "status": "disabled",
    }
    return T0 + minute * 60_000 + 30_000, json.dumps(body).encode()


def give(settings, bootstrap, first, last):
    """The runs of some minutes of both monitors."""
    for slug in ("disabled", "other"):
        runs = [run_of(slug, minute) for minute in range(first, last)]
        send(bootstrap, settings.checkins_topic, partition_of(1, slug), runs)


@pytest.fixture
def deployed(own_broker, siblings, new_topic):
    """Makes deployments over the same topics of check-ins and controls."""
    controls = new_topic(own_broker, PARTITIONS)

    def make(**changes):
        return siblings(controls_topic=controls, clock_delay_seconds=5, **changes)

    return make


@pytest.mark.parametrize(("batch_size", "processes"), [(1, 1), (64, 2), (4096, 1)])
def test_a_backlog_is_read_as_if_it_came_live(own_broker, deployed, batch_size, processes):
    flow = deployed(batch_size=batch_size)
    give(flow.settings, own_broker.bootstrap, 0, 60)
    send(own_broker.bootstrap, flow.settings.controls_topic, 2, [disabling(11)])
    flow.start(processes)
    flow.wait_for(lambda: flow.query(OUTCOME) == [(12, 48, 60)])
    assert flow.stop() == [0] * processes


def test_a_control_that_comes_live_acts_at_once_and_a_restart_changes_nothing(own_broker, deployed):
    flow = deployed()
    give(flow.settings, own_broker.bootstrap, 0, 12)
    flow.start()
    flow.wait_for(lambda: flow.query(OUTCOME) == [(12, 0, 12)])
    send(own_broker.bootstrap, flow.settings.controls_topic, 0, [disabling(11)])
    disabled = "SELECT count(*) FROM monitors WHERE slug = 'disabled' AND status = 'disabled'"
    flow.wait_for(lambda: flow.query(disabled) == [(1,)])
    assert flow.stop() == [0]
    give(flow.settings, own_broker.bootstrap, 12, 60)
    flow.start()
    flow.wait_for(lambda: flow.query(OUTCOME) == [(12, 48, 60)])
    assert flow.stop() == [0]
