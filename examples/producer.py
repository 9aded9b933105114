"""A job that reports its run to Cronwax over Kafka: `python examples/producer.py [BOOTSTRAP_SERVERS]`.

Needs the packages confluent-kafka and msgspec only.
"""

from __future__ import annotations

import sys
import time
import uuid

import msgspec
from confluent_kafka import Producer

PROJECT, SLUG = 1, "nightly-export"
CONFIG = {
    "schedule": {"type": "crontab", "value": "0 3 * * *"},
    "timezone": "Europe/Vienna",
    "checkin_margin": 10,
    "max_runtime": 60,
}


def report(producer: Producer, guid: str, status: str) -> None:
    """Send one check-in. The key keeps all check-ins of a monitor on one partition, so in order."""
    payload = {
        "check_in_id": guid,
        "monitor_slug": SLUG,
        "status": status,
        "environment": "production",
        "monitor_config": CONFIG,
    }
    message = {
        "message_type": "check_in",
        "project_id": PROJECT,
        "start_time": time.time(),
        "payload": msgspec.json.encode(payload),
        "sdk": "example/1.0",
        "retention_days": 90,
    }
    producer.produce("ingest-monitors", msgspec.msgpack.encode(message), key=f"{PROJECT}/{SLUG}")
    if producer.flush(10):
        sys.exit("the broker did not take the check-in within 10 s")


def main() -> None:
    """Run the job, and report its start and its end."""
    producer = Producer({"bootstrap.servers": sys.argv[1] if len(sys.argv) > 1 else "localhost:9092"})
    guid = uuid.uuid4().hex  # one guid for all check-ins of a run
    report(producer, guid, "in_progress")
    try:
        time.sleep(0.1)  # the job
    except BaseException:
        report(producer, guid, "error")
        raise
    report(producer, guid, "ok")


if __name__ == "__main__":
    main()
