"""The source that reads check-ins and controls from Kafka."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, NoReturn

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage
from confluent_kafka.admin import AdminClient

from dataflow.connectors.batch import Format, SourceBatch
from dataflow.connectors.kafka_client import (
    START_SECONDS,
    Kafka,
    OffsetAnswer,
    ask_offset,
    is_transient,
    patiently,
)
from dataflow.failure import fail
from dataflow.monitors.check_in import MINUTE_US, NO_MINUTE, minute_of
from dataflow.settings import Settings

Position = tuple[int, int]
"""A partition's resume state: the offset that is read next, and its clock (minutes; NO_MINUTE: none yet)."""
Observe = Callable[[str, int, int, int], None]
"""Called about once a second for each partition with topic, partition, lag (messages), clock (minutes)."""

POLL = timedelta(milliseconds=20)
"""The pause before a partition that has nothing more to give is asked again."""
OBSERVE_SECONDS = 1.0
ASK_SECONDS = 1.0
"""The pause between two questions to the broker about one partition, at least."""
QUIET_SECONDS = 5.0
"""After so long without a word from the broker it is asked, and may take so long to answer."""

_LOG = logging.getLogger("cronwax.kafka")


def wall_clock_us() -> int:
    """The wall clock in µs since the epoch."""
    return time.time_ns() // 1000


@dataclass(frozen=True, slots=True)
class _Partition:
    """One partition of a topic, and what it is to the flow."""

    topic: str
    index: int
    format: Format
    origin: int
    """Its number among the event clock's inputs; -1: none of them."""

    @property
    def key(self) -> str:
        return f"{self.topic}/{self.index}"


class KafkaSource(FixedPartitionedSource[SourceBatch, Position]):
    """Reads all partitions of the check-ins topic and of the controls topic.

    - Order: that of each partition. Positions are resume state; no consumer group ever commits.
    - Partitions are those that the topics have when the flow starts.
    - The clock of a check-ins partition is its newest broker timestamp less the clock's delay; one that is read
      to its end follows the wall clock, less an allowance that is never smaller. Controls have no clock.
    - Errors: a broker that stays away for `kafka_delivery_timeout_seconds`, and positions that the topic no
      longer holds, end the process with one line.
    - When `stopping` says so every partition ends, and with it the flow.
    """

    def __init__(
        self,
        settings: Settings,
        stopping: Callable[[], bool],
        observe: Observe | None = None,
        now_us: Callable[[], int] = wall_clock_us,
    ) -> None:
        """Raises KafkaStartError when the cluster cannot be used as it is set, or lacks a topic."""
        self._settings = settings
        self._stopping = stopping
        self._observe = observe
        self._now_us = now_us
        self._kafka = Kafka(settings)
        self._admin = self._kafka.admin(self._kafka.reports())
        check_ins, controls = settings.checkins_topic, settings.controls_topic
        found = self._kafka.partitions(check_ins, controls)
        parts = [_Partition(check_ins, index, Format.MSGPACK, index) for index in found[check_ins]]
        self.origins = [part.key for part in parts]
        """The partitions that the event clock waits for, by origin."""
        parts += [_Partition(controls, index, Format.CONTROLS, -1) for index in found[controls]]
        self._parts = {part.key: part for part in parts}

    def list_parts(self) -> list[str]:
        """All partitions, as topic/partition."""
        return list(self._parts)

    def build_part(self, step_id: str, for_part: str, resume_state: Position | None) -> KafkaPartition:
        """One partition, from where it was left, else from where the settings say."""
        part = self._parts[for_part]
        broker = _Broker(self._kafka, self._admin, part)
        position, clock = resume_state or (broker.first_offset(self._settings.kafka_start), NO_MINUTE)
        begins = "resumes" if resume_state else "begins"
        _LOG.info("%s %s at offset %d, %s", part.key, begins, position, _clock_text(clock))
        broker.read_from(position)
        wall_clock = _WallClock(self._now_us, self._settings.idle_allowance_us)
        start, settings = (position, clock), self._settings
        return KafkaPartition(part, broker, start, wall_clock, settings, self._stopping, self._observe)


class KafkaPartition(StatefulSourcePartition[SourceBatch, Position]):
    """Reads one partition; never blocks."""

    def __init__(
        self,
        part: _Partition,
        broker: _Broker,
        start: Position,
        wall_clock: _WallClock,
        settings: Settings,
        stopping: Callable[[], bool],
        observe: Observe | None,
    ) -> None:
        self._part = part
        self._broker = broker
        self._position, self._clock = start
        self._wall_clock = wall_clock
        self._batch_size = settings.batch_size
        self._clock_delay_us = settings.clock_delay_us
        self._echo_seconds = settings.publish_interval
        self._stopping = stopping
        self._observe = observe
        self._observed = 0.0
        self._at_end = False
        self._more = False
        self._news_at: float | None = None

    def next_batch(self) -> Iterable[SourceBatch]:
        """What has arrived since, at most one batch."""
        if self._stopping():
            raise StopIteration
        part, clock_before = self._part, self._clock
        messages = self._take(self._broker.consume(self._batch_size))
        self._more = len(messages) >= self._batch_size
        self._ask_for_the_end()
        if self._observe is not None:
            self._report(self._observe)
        if not self._is_worth_sending(bool(messages) or self._clock != clock_before):
            return []
        head = (part.origin, part.topic, part.index, part.format)
        return [SourceBatch(*head, clock_before, messages, self._clock, self._position)]

    def _is_worth_sending(self, is_news: bool) -> bool:
        """Whether the flow gets a batch: of news at once, and an empty one a publishing interval after the last.

        The engine lets a sink act only in an epoch that brings it something. What came too soon after a
        snapshot for the next one would wait for it until something else comes.
        """
        now = time.monotonic()
        if is_news:
            self._news_at = now
        elif self._news_at is None or now - self._news_at < self._echo_seconds:
            return False
        else:
            self._news_at = None
        return True

    def next_awake(self) -> datetime | None:
        """At once after a full batch, else after a short pause."""
        return None if self._more else datetime.now(UTC) + POLL

    def snapshot(self) -> Position:
        """The offset that is read next, and the clock."""
        return self._position, self._clock

    def close(self) -> None:
        """Leave the broker."""
        self._broker.close()

    def _take(self, received: list[KafkaMessage]) -> list[tuple[int, int | None, bytes]]:
        """The messages among what was received; moves position and clock."""
        messages: list[tuple[int, int | None, bytes]] = []
        newest_us = NO_MINUTE
        for message in received:
            error = message.error()
            offset = message.offset()
            if error is not None:
                if error.code() == KafkaError._PARTITION_EOF:
                    # Its offset is past what transactions leave in the log and no consumer sees.
                    self._at_end, self._position = True, max(self._position, offset or 0)
                elif not is_transient(error):
                    self._broker.give_up(error, self._position)
                continue
            kind, timestamp_ms = message.timestamp()
            at_us = None if kind == TIMESTAMP_NOT_AVAILABLE or timestamp_ms < 0 else timestamp_ms * 1000
            if at_us is not None and at_us > newest_us:
                newest_us = at_us
            assert offset is not None  # what was received has one
            messages.append((offset, at_us, message.value() or b""))
            self._position = offset + 1
            self._at_end = False
        if self._part.origin >= 0 and newest_us >= 0:
            self._clock = max(self._clock, minute_of(newest_us - self._clock_delay_us))
        return messages

    def _ask_for_the_end(self) -> None:
        """Follow the wall clock where nothing older can come any more, and notice a broker that went away.

        1. When the wall clock's minute (less the allowance) has passed the partition's, and all that came was
           read, the broker is asked where the partition ends.
        2. If it has been read to there, nothing else was appended before the question: the clock may stand
           where the wall clock stood then, less the allowance.

        Having once reached the end is not enough: a broker out of our reach takes messages all the same.
        """
        broker = self._broker
        end = broker.end()
        if end is not None and self._position >= end.offset and self._part.origin >= 0:
            self._clock = max(self._clock, self._wall_clock.minute_at(end.asked_us))
        now_us = self._wall_clock.now_us()
        behind = self._at_end and self._part.origin >= 0 and self._wall_clock.minute_at(now_us) > self._clock
        broker.ask(now_us, behind)

    def _report(self, observe: Observe) -> None:
        now = time.monotonic()
        if now - self._observed >= OBSERVE_SECONDS:
            self._observed = now
            lag = self._broker.known_end() - self._position
            observe(self._part.topic, self._part.index, max(0, lag), self._clock)


class _WallClock:
    """The wall clock as idle partitions follow it."""

    def __init__(self, now_us: Callable[[], int], allowance_us: int) -> None:
        self.now_us = now_us
        self._allowance_us = allowance_us

    def minute_at(self, time_us: int) -> int:
        """The minute that a partition read to its end may stand at; every message before it has arrived."""
        return minute_of(time_us - self._allowance_us)


@dataclass(frozen=True, slots=True)
class _End:
    """Where a partition ended, some time after it was asked."""

    offset: int
    asked_us: int


class _Broker:
    """One partition as its broker holds it."""

    def __init__(self, kafka: Kafka, admin: AdminClient, part: _Partition) -> None:
        self._kafka = kafka
        self._admin = admin
        self._part = TopicPartition(part.topic, part.index)
        self._name = part.key
        self._reports = kafka.reports()
        self._consumer = kafka.consumer(self._reports)
        self._question: tuple[OffsetAnswer, int] | None = None
        self._asked = 0.0
        self._heard = time.monotonic()
        self._away_since: float | None = None

    def first_offset(self, which: Literal["earliest", "latest"]) -> int:
        """Where a partition begins that no snapshot knows. Ends the process if the broker does not say."""

        def ask() -> int:
            return int(ask_offset(self._admin, self._part, which, START_SECONDS).result().offset)

        try:
            return patiently(ask, START_SECONDS)
        except KafkaException as error:
            fail(f"Kafka: {self._name}: {self._words(error)}")

    def read_from(self, offset: int) -> None:
        """Begin to read."""
        self._consumer.assign([TopicPartition(self._part.topic, self._part.partition, offset)])

    def consume(self, count: int) -> list[KafkaMessage]:
        """What has arrived, at most so many, without waiting."""
        try:
            received = self._consumer.consume(count, 0)
        except KafkaException as error:
            fail(f"Kafka: {self._name}: {self._words(error)}")
        if received:
            self._hear()
        if self._reports.fatal:
            fail(f"Kafka: {self._name}: {self._reports.fatal}")
        return received

    def known_end(self) -> int:
        """Where the partition ended when something was last fetched from it; -1 if nothing was."""
        offsets = self._consumer.get_watermark_offsets(self._part, cached=True)
        return int(offsets[1]) if offsets is not None else -1

    def ask(self, now_us: int, wanted: bool) -> None:
        """Ask where the partition ends, if that is wanted or nothing was heard for a while."""
        now = time.monotonic()
        if self._question is not None or now - self._asked < ASK_SECONDS:
            return
        if wanted or now - self._heard >= QUIET_SECONDS:
            self._asked = now
            self._admin.poll(0)
            self._question = ask_offset(self._admin, self._part, "latest", QUIET_SECONDS), now_us

    def end(self) -> _End | None:
        """The answer, once, when it is there. Ends the process when the broker has been away for too long."""
        if self._question is None or not self._question[0].done():
            return None
        question, asked_us = self._question
        self._question = None
        try:
            offset = question.result().offset
        except KafkaException as error:
            self._miss(self._words(error))
            return None
        self._hear()
        return _End(offset, asked_us)

    def give_up(self, error: KafkaError, position: int) -> NoReturn:
        """End the process for an error that does not mend itself."""
        if error.code() in {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}:
            fail(
                f"Kafka: {self._name}: offset {position}, which is to be read next, is not in the topic "
                "(deleted by retention, or the topic was made anew): what stood there cannot be read; "
                "start with a new recovery store to go on with what there is"
            )
        fail(f"Kafka: {self._name}: {self._reports.redact(error.str())}")

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
            _LOG.warning("%s: the broker does not answer: %s", self._name, reason)
        away = now - self._away_since
        if away >= self._kafka.timeout_seconds:
            fail(f"Kafka at {self._kafka.bootstrap} has not answered for {away:.0f} s: {reason}")

    def _words(self, error: KafkaException) -> str:
        return self._reports.last or self._reports.redact(error.args[0].str())


def _clock_text(minute: int) -> str:
    if minute == NO_MINUTE:
        return "no clock yet"
    return f"clock {datetime.fromtimestamp(minute * MINUTE_US / 1_000_000, UTC):%Y-%m-%dT%H:%MZ}"
