"""The wall clock as idle Kafka partitions follow it."""

from __future__ import annotations

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME
from confluent_kafka import Message as KafkaMessage

from dataflow.connectors.host_clock import HostClock, Moment
from dataflow.connectors.kafka_broker import End
from dataflow.connectors.topic_watch import TopicWatch
from dataflow.monitors.check_in import NO_MINUTE, minute_of


class IdleClock:
    """The wall clock as idle partitions follow it."""

    def __init__(self, host: HostClock, watch: TopicWatch, allowance_us: int) -> None:
        self._host = host
        self._watch = watch
        self._allowance_us = allowance_us
        self.now = host.now

    def latest_us(self) -> int:
        """The latest time that a message can have if all clocks are in step to within the allowance."""
        return self.now().wall_us + self._allowance_us

    def allowed_us(self, moment: Moment) -> int:
        """The time that a partition read to its end then may be taken to have come to, where that only decides what
        waits for controls: the host's clock is believed at once."""
        return moment.wall_us - self._allowance_us

    def minute_at(self, moment: Moment) -> int:
        """The minute that a partition read to its end may stand at; every message before it has arrived.

        NO_MINUTE while the host's clock cannot be believed. It goes no further than it is sure that the topics have no
        new partitions, where a monitor's check-ins may be by now.
        """
        confirmed = self._watch.confirmed
        if confirmed is not None and confirmed.elapsed_us < moment.elapsed_us:
            moment = confirmed
        broker_us = self._host.broker_us(moment)
        return NO_MINUTE if broker_us is None else minute_of(broker_us - self._allowance_us)

    def learn(self, end: End, received: list[KafkaMessage]) -> None:
        """Hold the host's clock against the first message that was appended after the end was asked for."""
        for message in received:
            if message.error() is None and (message.offset() or 0) >= end.offset:
                kind, timestamp_ms = message.timestamp()
                if kind == TIMESTAMP_LOG_APPEND_TIME:
                    self._host.compare(end.asked, self.now(), timestamp_ms * 1000)
                return
