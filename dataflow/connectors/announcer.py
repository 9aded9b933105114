"""Sends what the watchdog has to say, by a producer of its own: the flow's may be what is stalled."""

from __future__ import annotations

from collections.abc import Callable

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as KafkaMessage

from dataflow.connectors.kafka_client import Kafka, Reports
from dataflow.connectors.kafka_sinks import ID
from dataflow.process.log import warn
from dataflow.settings import Settings
from dataflow.wire.stalls import Stall, stall_message


class Announcer:
    """Writes messages about stalls to the occurrences topic. What cannot be written is logged, no more."""

    def __init__(self, settings: Settings) -> None:
        self._kafka = Kafka(settings)
        self._topic = settings.occurrences_topic
        self._reports: Reports | None = None
        self._producer: Producer | None = None

    def send(self, stall: Stall, delivered: Callable[[], None]) -> None:
        """Hand a message over; `delivered` is called, by `poll`, once it is in the topic."""
        message = stall_message(stall)

        def report(error: KafkaError | None, _: KafkaMessage) -> None:
            if error is None:
                delivered()
            else:
                self._undelivered(stall, error)

        try:
            self._connected().produce(
                self._topic,
                message.payload,
                message.key.encode(),
                headers=[(ID, message.id.encode())],
                on_delivery=report,
            )
        except (KafkaException, BufferError) as error:
            reason = error.args[0]
            self._undelivered(
                stall, reason if isinstance(reason, KafkaError) else KafkaError(KafkaError._QUEUE_FULL)
            )

    def poll(self) -> None:
        """Hear of deliveries."""
        if self._producer is not None:
            self._producer.poll(0)

    def _connected(self) -> Producer:
        """The producer, made when it is first needed, and again when it has given up for good."""
        if self._producer is None or (self._reports is not None and self._reports.fatal):
            self._reports = self._kafka.reports()
            self._producer = self._kafka.producer(self._reports)
        return self._producer

    def _undelivered(self, stall: Stall, error: KafkaError) -> None:
        text = error.str() if self._reports is None else self._reports.redact(error.str())
        warn("not_sent", subject=stall.subject, payload_type=stall.payload_type, reason=text)
