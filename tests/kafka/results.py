"""What a deployment has made of its input, to be compared with what another one has."""

from __future__ import annotations

from collections import Counter
from typing import Any

from confluent_kafka import Message

from state.publish.snapshot import open_snapshot
from state.schema.catalogue import TABLES
from tests.kafka.flow_process import Deployment
from tests.kafka.topics import read

SHOWN = 3
"""So many rows of a difference are shown."""

Result = dict[str, Counter[tuple[Any, ...]]]
"""By table or topic: each row or message, and how often it is there."""


def result_of(flow: Deployment) -> Result:
    """All rows of all tables but `snapshot_info`, and all that is in the output topics."""
    settings = flow.settings
    with open_snapshot(flow.data) as connection:
        result: Result = {
            name: Counter(connection.execute(f"SELECT COLUMNS(*)::VARCHAR FROM {name}").fetchall())
            for name in TABLES
        }
    for name, topic in (("sent", settings.occurrences_topic), ("dead letters", settings.dead_letter_topic)):
        result[name] = Counter(map(_content, read(settings.kafka_bootstrap_servers or "", topic)))
    return result


def differences(expected: Result, found: Result) -> list[str]:
    """In words, what one has and the other has not; nothing if they are the same."""
    said = []
    for name, rows in expected.items():
        for what, extra in (("missing", rows - found[name]), ("too many", found[name] - rows)):
            if extra:
                said.append(f"{name}: {extra.total()} {what}: {[*extra][:SHOWN]}")
    return said


def sent_twice(result: Result) -> list[tuple[Any, ...]]:
    """The ids that are in an output topic more than once."""
    ids = Counter(message[0] for name in ("sent", "dead letters") for message in result[name].elements())
    return [(name, count) for name, count in ids.items() if count > 1]


def assert_same(expected: Result, found: Result) -> None:
    """The same rows, and the same messages, each once."""
    different = differences(expected, found)
    assert not different, "\n".join(different)
    assert sent_twice(found) == []


def _content(message: Message) -> tuple[Any, ...]:
    headers = dict(message.headers() or ())
    return headers["id"], message.key(), message.value(), tuple(sorted(headers.items()))
