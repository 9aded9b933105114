"""Writes letters to the topics and hears where each one came to lie."""

from __future__ import annotations

from collections.abc import Callable

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, KafkaError, KafkaException
from confluent_kafka import Message as KafkaMessage

from cronwax.commands.arguments import ToolError
from cronwax.commands.outgoing import Letter
from dataflow.connectors.kafka_client import Kafka
from dataflow.settings import Settings

Sent = Callable[[Letter, str, int, int], None]
"""Called for each letter that is in its topic, with topic, partition and offset."""


class Sender:
    """Sends letters in order, each under its key; a clock pulse to every partition."""

    def __init__(self, settings: Settings, sent: Sent) -> None:
        """Raises KafkaStartError when the cluster cannot be used as it is set, or lacks a topic."""
        self._topics = (settings.checkins_topic, settings.controls_topic)
        kafka = Kafka(settings)
        self._partitions = kafka.partitions(*self._topics)
        self._reports = kafka.reports()
        self._producer = kafka.producer(self._reports)
        self._sent = sent
        self._failure: str | None = None
        self.keeps_own_times = False
        """A topic has put its own time (LogAppendTime) on what was sent."""

    def send(self, letter: Letter, at_us: int | None = None) -> None:
        """Hand over a letter, with this broker timestamp or the present. Raises ToolError."""
        topic = self._topics[letter.is_control]
        if letter.partition is not None:
            self._produce(letter, topic, at_us, partition=letter.partition)
            return
        if letter.key is not None:
            self._produce(letter, topic, at_us, key=letter.key.encode("utf-8", "surrogatepass"))
            return
        for partition in self._partitions[topic]:
            self._produce(letter, topic, at_us, partition=partition)

    def finish(self) -> None:
        """Wait until everything is in its topic. Raises ToolError if something is not."""
        self._producer.flush()  # ends: the client gives a message up by itself
        self._check()

    def _produce(self, letter: Letter, topic: str, at_us: int | None, **place: int | bytes) -> None:
        def delivered(error: KafkaError | None, message: KafkaMessage) -> None:
            self._delivered(letter, error, message)

        options: dict[str, object] = {**place, "on_delivery": delivered}
        if at_us is not None:
            options["timestamp"] = at_us // 1000
        while True:
            try:
                self._producer.produce(topic, letter.value, **options)  # type: ignore[arg-type]
            except BufferError:  # the client's queue is full
                self._producer.poll(0.1)
            except KafkaException as error:
                self._fail(topic, error.args[0])
            else:
                self._producer.poll(0)
                self._check()
                return

    def _delivered(self, letter: Letter, error: KafkaError | None, message: KafkaMessage) -> None:
        if error is not None:
            self._fail(message.topic() or "", error)
            return
        kind, _ = message.timestamp()
        self.keeps_own_times |= kind == TIMESTAMP_LOG_APPEND_TIME
        self._sent(letter, message.topic() or "", message.partition() or 0, message.offset() or 0)

    def _fail(self, topic: str, error: KafkaError) -> None:
        reason = self._reports.redact(error.str())
        if error.code() == KafkaError._MSG_TIMED_OUT and self._reports.last:
            reason = f"{reason}: {self._reports.last}"
        self._failure = self._failure or f"Kafka: cannot write to topic {topic}: {reason}"

    def _check(self) -> None:
        if self._failure or self._reports.fatal:
            raise ToolError(self._failure or f"Kafka: {self._reports.fatal}")
