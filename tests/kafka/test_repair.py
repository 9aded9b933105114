"""`cronwax repair` on topics: tables made again up to where the store stands, or refused after retention."""

from __future__ import annotations

import subprocess
import sys

import pytest
from confluent_kafka import TopicPartition

from cronwax.devtools.kafka_broker import admin
from state.schema.database import shard_path
from tests.kafka.check_in_stream import PARTITIONS, Feed, last_minute, stream
from tests.kafka.flow_process import PATIENCE_SECONDS, Deployment
from tests.kafka.results import assert_same, result_of
from tests.processes import PROJECT

pytestmark = pytest.mark.kafka


def repair(flow: Deployment) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cronwax", "repair", "-r", str(flow.store)]
    return subprocess.run(
        command,
        cwd=PROJECT,
        env=flow._environment({}),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


@pytest.mark.parametrize("kills", [False, True])
def test_lost_tables_are_made_again_without_sending_anything(own_broker, siblings, kills):
    messages = stream(7, 60, 120)
    flow = siblings(publish_interval=0)
    feed = Feed(own_broker.bootstrap, flow.settings.checkins_topic, messages)
    feed.give(feed.left // 2)
    flow.start()
    flow.wait_for(lambda: flow.read() == feed.given())
    assert flow.stop() == [0]
    if kills:
        feed.give(feed.left // 2)
        flow.start()
        flow.wait_for(lambda: flow.read() == feed.given())
        flow.kill()
    before, sent = result_of(flow), flow.sent()
    shard_path(flow.data, 0).write_bytes(b"")
    done = repair(flow)
    assert done.returncode == 0, done
    assert "made again in" in done.stdout
    assert flow.sent() == sent
    if not kills:  # else it comes to where the store stands, which may be an epoch before
        assert_same(result_of(flow), before)
    feed.give()
    flow.run_to(last_minute(messages))
    other = siblings()
    other.run_to(last_minute(messages))
    assert_same(result_of(flow), result_of(other))


def test_where_retention_has_deleted_messages_the_published_snapshot_is_enough(own_broker, siblings):
    messages = stream(8, 20, 30)
    flow, other = siblings(publish_interval=0), siblings(publish_interval=0)
    feed = Feed(own_broker.bootstrap, flow.settings.checkins_topic, messages)
    feed.give(feed.left // 2)
    for each in (flow, other):
        each.start()
        each.wait_for(lambda each=each: each.read() == feed.given())
        assert each.stop() == [0]
    before, sent = result_of(flow), flow.sent()
    shard_path(flow.data, 0).write_bytes(b"")
    gone = TopicPartition(flow.settings.checkins_topic, PARTITIONS - 1, 3)
    client = admin(own_broker.bootstrap)
    (answer,) = client.delete_records([gone]).values()
    answer.result()
    done = repair(flow)
    assert done.returncode == 0, done
    said = done.stderr.splitlines()[-1]
    lost = f"{gone.topic}/{gone.partition}: the topic holds offsets from 3 on; the 3 before are gone"
    assert lost in said
    assert "the tables are made of it" in said
    assert flow.sent() == sent
    assert_same(result_of(flow), before)
    feed.give()
    for each in (flow, other):
        each.run_to(last_minute(messages))
    assert_same(result_of(flow), result_of(other))
    shard_path(flow.data, 0).write_bytes(b"")
    (flow.data / "monitors.duckdb").unlink()
    done = repair(flow)
    assert done.returncode == 2
    said = done.stderr.splitlines()[-1]
    assert lost in said
    assert "cannot be read, or is not there. Restore store and data folder of one backup" in said
