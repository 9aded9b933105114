"""The topic of the flow's messages. Positions are kept in the ledger, not with a consumer group."""

from __future__ import annotations

import time
from collections.abc import Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from cronwax.notify.sources.base import Batch
from dataflow.connectors.kafka_client import Kafka, is_transient
from dataflow.process.exit import FlowError
from dataflow.process.log import log, warn
from dataflow.settings import Settings

LOOK_SECONDS = 30.0
"""The pause between two looks whether the topic has more partitions."""
ANSWER_SECONDS = 10.0


class KafkaOccurrences:
    """A source. A broker that is away delays, and nothing else.

    Where the topic no longer holds what has not been read, reading goes on with the oldest that it holds; where it ends
    before what was read, it is another topic of the same name, and is read from its beginning.
    """

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.occurrences_topic
        self._kafka = Kafka(settings)
        self._reports = self._kafka.reports()
        self._consumer: Consumer | None = None
        self._next: dict[int, int] = {}
        self._ends: dict[int, int] = {}
        """Where partitions ended at the start."""
        self._looked = 0.0
        self._is_away = False
        self._begins_again = False

    def start(self, positions: Mapping[str, str]) -> bool:
        """See Source. Raises KafkaStartError, FlowError."""
        partitions = self._kafka.partitions(self._topic)[self._topic]
        self._consumer = self._kafka.consumer(self._reports)
        prefix = f"{self._topic}/"
        stored = {
            int(part.removeprefix(prefix)): int(position)
            for part, position in positions.items()
            if part.startswith(prefix)
        }
        bounds = {partition: self._bounds(partition) for partition in partitions}
        self._begins_again = any(stored.get(partition, 0) > bounds[partition][1] for partition in partitions)
        for partition, (oldest, end) in bounds.items():
            known = None if self._begins_again else stored.get(partition)
            self._next[partition] = self._begin(partition, known, oldest)
            self._ends[partition] = end
        self._assign()
        self._looked = time.monotonic()
        return bool(stored)

    def positions(self) -> dict[str, str]:
        """See Source."""
        return self._positions(set(self._next))

    def read(self, limit: int, wait_seconds: float) -> Batch:
        """See Source."""
        assert self._consumer is not None
        has_begun_again, self._begins_again = self._begins_again, False
        self._look_for_partitions()
        lines: list[bytes] = []
        moved: set[int] = set(self._next) if has_begun_again else set()
        for message in self._consumer.consume(limit, wait_seconds):
            error = message.error()
            partition, offset = message.partition() or 0, message.offset() or 0
            if error is not None:
                if error.code() == KafkaError._PARTITION_EOF:
                    # Markers of transactions are no messages, but take an offset.
                    self._next[partition] = max(self._next[partition], offset)
                    continue
                self._take_error(error, partition)
                continue
            self._is_away = False
            self._next[partition] = offset + 1
            moved.add(partition)
            if (value := message.value()) is not None:
                lines.append(value)
        if self._reports.fatal:
            raise FlowError(f"Kafka: {self._topic}: {self._reports.fatal}")
        is_caught_up = all(self._next[partition] >= end for partition, end in self._ends.items())
        return Batch(lines, self._positions(moved), is_caught_up, has_begun_again)

    def close(self) -> None:
        """See Source."""
        if self._consumer is not None:
            self._consumer.close()

    def _positions(self, partitions: set[int]) -> dict[str, str]:
        return {f"{self._topic}/{partition}": str(self._next[partition]) for partition in sorted(partitions)}

    def _begin(self, partition: int, stored: int | None, oldest: int) -> int:
        if stored is not None and stored < oldest:
            warn(
                "notify_gap",
                text=f"{self._topic}/{partition} no longer holds {oldest - stored} messages that were not read; "
                "nobody is notified of them",
            )
        return oldest if stored is None else max(stored, oldest)

    def _bounds(self, partition: int) -> tuple[int, int]:
        """Where a partition begins and ends."""
        assert self._consumer is not None
        try:
            oldest, end = self._consumer.get_watermark_offsets(
                TopicPartition(self._topic, partition), ANSWER_SECONDS
            )
        except KafkaException as error:
            raise FlowError(f"Kafka: {self._topic}: {self._reports.redact(error.args[0].str())}") from None
        return oldest, end

    def _assign(self) -> None:
        assert self._consumer is not None
        self._consumer.assign(
            [TopicPartition(self._topic, partition, at) for partition, at in sorted(self._next.items())]
        )

    def _look_for_partitions(self) -> None:
        assert self._consumer is not None
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        try:
            found = self._consumer.list_topics(self._topic, ANSWER_SECONDS).topics[self._topic].partitions
        except (KafkaException, KeyError):
            return
        new = sorted(set(found) - set(self._next))
        if new:
            for partition in new:
                self._next[partition] = self._bounds(partition)[0]
            self._assign()
            log("notify_partitions", topic=self._topic, partitions=len(self._next))

    def _take_error(self, error: KafkaError, partition: int) -> None:
        code = error.code()
        text = self._reports.redact(error.str())
        if code in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
            oldest, end = self._bounds(partition)
            if self._next[partition] > end:
                raise FlowError(f"Kafka: {self._topic}/{partition} is another topic than was read before")
            self._next[partition] = self._begin(partition, self._next[partition], oldest)
            self._assign()
        elif not is_transient(error):
            raise FlowError(f"Kafka: {self._topic}: {text}")
        elif not self._is_away:
            self._is_away = True
            warn("notify_kafka", text=f"Kafka is away: {text}; it is tried again")
