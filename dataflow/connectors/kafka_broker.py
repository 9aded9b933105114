"""One partition of a topic as its broker holds it: what has arrived, where it begins and ends, whether it is there."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal, NoReturn

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage
from confluent_kafka.admin import AdminClient

from dataflow.connectors.host_clock import Moment
from dataflow.connectors.kafka_client import START_SECONDS, Kafka, OffsetAnswer, ask_offset, patiently
from dataflow.process.exit import FlowError, LastingError
from dataflow.process.log import warn

ASK_SECONDS = 1.0
"""The pause between two questions to the broker about one partition, at least."""
URGENT_SECONDS = 0.02
"""The same while messages of other partitions wait for the answer."""
QUIET_SECONDS = 5.0
"""After this long without a word from the broker it is asked, and has as long to answer."""


@dataclass(frozen=True, slots=True)
class End:
    """Where a partition ended, some time after it was asked."""

    offset: int
    asked: Moment


class PartitionBroker:
    """One partition as its broker holds it."""

    def __init__(self, kafka: Kafka, admin: AdminClient, topic: str, partition: int) -> None:
        self._kafka = kafka
        self._admin = admin
        self._part = TopicPartition(topic, partition)
        self._name = f"{topic}/{partition}"
        self._reports = kafka.reports()
        self._consumer = kafka.consumer(self._reports)
        self._question: tuple[OffsetAnswer, Moment] | None = None
        self._asked = 0.0
        self._heard = time.monotonic()
        self._away_since: float | None = None

    def first_offset(self, which: Literal["earliest", "latest"]) -> int:
        """Where a partition begins that no snapshot knows. Raises FlowError if the broker does not say."""

        def ask() -> int:
            return int(ask_offset(self._admin, self._part, which, START_SECONDS).result().offset)

        try:
            return patiently(ask, START_SECONDS)
        except KafkaException as error:
            raise FlowError(f"Kafka: {self._name}: {self._words(error)}") from None

    def read_from(self, offset: int) -> None:
        """Begin to read."""
        self._consumer.assign([TopicPartition(self._part.topic, self._part.partition, offset)])

    def consume(self, count: int) -> list[KafkaMessage]:
        """What has arrived, at most this many messages, without waiting."""
        try:
            received = self._consumer.consume(count, 0)
        except KafkaException as error:
            raise FlowError(f"Kafka: {self._name}: {self._words(error)}") from None
        if received:
            self._hear()
        if self._reports.fatal:
            raise FlowError(f"Kafka: {self._name}: {self._reports.fatal}")
        return received

    def known_end(self) -> int:
        """Where the partition ended when something was last fetched from it; -1 if nothing was."""
        offsets = self._consumer.get_watermark_offsets(self._part, cached=True)
        return int(offsets[1]) if offsets is not None else -1

    def ask(self, moment: Moment, wanted: bool, is_urgent: bool = False) -> bool:
        """Ask where the partition ends, if that is wanted or nothing was heard for a while; whether that was done."""
        now = time.monotonic()
        pause = URGENT_SECONDS if is_urgent else ASK_SECONDS
        if self._question is not None or now - self._asked < pause:
            return False
        if wanted or is_urgent or now - self._heard >= QUIET_SECONDS:
            self._asked = now
            self._admin.poll(0)
            self._question = ask_offset(self._admin, self._part, "latest", QUIET_SECONDS), moment
            return True
        return False

    def end(self) -> End | None:
        """The answer, once, when it is there. Raises FlowError when the broker has been away for too long."""
        if self._question is None or not self._question[0].done():
            return None
        question, asked = self._question
        self._question = None
        try:
            offset = question.result().offset
        except KafkaException as error:
            self._miss(self._words(error))
            return None
        self._hear()
        return End(offset, asked)

    def give_up(self, error: KafkaError, position: int) -> NoReturn:
        """For an error that does not go away by itself: raises FlowError, or LastingError where no restart helps."""
        if error.code() in {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}:
            raise LastingError(
                f"Kafka: {self._name}: offset {position}, which is to be read next, is not in the topic "
                "(deleted by retention, or the topic was created again): what was there cannot be read; "
                "start with a new recovery store to go on with what there is"
            )
        raise FlowError(f"Kafka: {self._name}: {self._reports.redact(error.str())}")

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()

    def _hear(self) -> None:
        self._heard = time.monotonic()
        self._away_since = self._reports.last = None

    def _miss(self, reason: str) -> None:
        now = time.monotonic()
        if self._away_since is None:
            self._away_since = now - QUIET_SECONDS
            warn("kafka", text=f"{self._name}: the broker does not answer: {reason}")
        away = now - self._away_since
        if away >= self._kafka.timeout_seconds:
            raise FlowError(
                f"Kafka at {self._kafka.bootstrap} has not answered for {away:.0f} s when asked for {self._name}: "
                f"{reason}"
            )

    def _words(self, error: KafkaException) -> str:
        return self._reports.last or self._reports.redact(error.args[0].str())
