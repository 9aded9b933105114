"""What stands under examples/ runs as it says."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import msgspec
import pytest

from tests.kafka.topics import read
from tests.processes import PROJECT, demo_data

EXAMPLES = PROJECT / "examples"
PARTITIONS = 4


def started(*command: object, **variables: str) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture(scope="module")
def topic(own_broker):
    """The topic that the examples name, beside the other three."""
    for name in ("monitor-controls", "ingest-occurrences", "ingest-monitors-dlq"):
        own_broker.create_topic(name, 1)
    return own_broker.create_topic("ingest-monitors", PARTITIONS)


def reports(bootstrap, topic):
    """By slug: partition, status and guid of each check-in, in order."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    for message in read(bootstrap, topic, PARTITIONS):
        check_in = msgspec.json.decode(msgspec.msgpack.decode(message.value() or b"")["payload"])
        report = (message.partition(), check_in["status"], check_in["check_in_id"].replace("-", ""))
        found.setdefault(check_in["monitor_slug"], []).append(report)
    return found


@pytest.mark.kafka
def test_the_jobs_report_their_start_and_end_to_one_partition(own_broker, topic):
    started(sys.executable, EXAMPLES / "producer.py", own_broker.bootstrap)
    variables = {"CRONWAX": f"{sys.executable} -m cronwax", "PYTHONPATH": str(PROJECT)}
    started(EXAMPLES / "nightly.sh", CRONWAX_KAFKA_BOOTSTRAP_SERVERS=own_broker.bootstrap, **variables)
    found = reports(own_broker.bootstrap, topic)
    assert set(found) == {"nightly-export", "nightly-backup"}
    for (partition, began, guid), (same_partition, ended, same_guid) in found.values():
        assert (partition, guid) == (same_partition, same_guid)
        assert (began, ended) == ("in_progress", "ok")


def test_the_questions_are_answered_from_a_snapshot():
    answer = started(sys.executable, EXAMPLES / "ask.py", demo_data())
    assert "tls-certificates" in answer
    assert "event_clock" in answer
