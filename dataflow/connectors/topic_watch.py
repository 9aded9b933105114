"""Looks whether a topic gets more partitions while the flow reads it, or is replaced by another of its name."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from dataflow.connectors.host_clock import Moment
from dataflow.connectors.kafka_topics import Topic, describe

LOOK_SECONDS = 2.0
"""Well below the usual clock delay: a monitor whose key moves to a new partition is not missed meanwhile."""
ANSWER_SECONDS = 10.0


class TopicWatch(threading.Thread):
    """Asks every two seconds. The engine fixes a source's partitions at its start, so a change ends the flow in order.

    `confirmed` is until when it is sure that there was no change: the clock of an idle partition follows the wall
    clock no further, as a monitor's check-ins may already be in a partition that nobody reads.
    """

    def __init__(
        self,
        admin: AdminClient,
        topics: Mapping[str, Topic],
        now: Callable[[], Moment],
        changed: Callable[[str], None],
    ) -> None:
        """`changed` is called once, with one line about what has changed."""
        super().__init__(name="topics", daemon=True)
        self._admin = admin
        self._topics = topics
        self._now = now
        self._changed = changed
        self._ended = threading.Event()
        self.confirmed: Moment | None = None
        """When the last answer without a change was asked for; None as long as nobody watches."""

    def run(self) -> None:
        """Until something has changed, or `end`."""
        self.confirmed = self._now()
        while not self._ended.wait(LOOK_SECONDS):
            if (change := self.look()) is not None:
                self._changed(change)
                return

    def look(self) -> str | None:
        """Ask once. What has changed, in one line; None if nothing has, or the broker is away."""
        asked = self._now()
        try:
            found = describe(self._admin, list(self._topics), ANSWER_SECONDS)
        except KafkaException:
            return None
        changes = difference(self._topics.values(), found)
        if not changes:
            self.confirmed = asked
        return "; ".join(changes) or None

    def end(self) -> None:
        """Ask no more."""
        self._ended.set()


def difference(known: Collection[Topic], found: Mapping[str, Topic]) -> list[str]:
    """What is not as it was, a line a topic."""
    lines = []
    for topic in known:
        now = found[topic.name]
        if not now.is_same(topic.identity):
            lines.append(f"topic {topic.name} was deleted and created again")
        elif now.partitions != topic.partitions:
            lines.append(f"topic {topic.name} has {now.partitions} partitions now, not {topic.partitions}")
    return lines
