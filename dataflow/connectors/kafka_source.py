"""The source that reads check-ins and controls from Kafka."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, TIMESTAMP_NOT_AVAILABLE, KafkaError
from confluent_kafka import Message as KafkaMessage

from dataflow.connectors.host_clock import HostClock, Moment, elapsed_us
from dataflow.connectors.kafka_broker import End, PartitionBroker
from dataflow.connectors.kafka_client import Kafka, KafkaStartError, is_transient
from dataflow.connectors.kafka_topics import Topic, checked_topics
from dataflow.connectors.topic_watch import TopicWatch
from dataflow.monitors.check_in import MINUTE_US, NO_MINUTE, minute_of
from dataflow.process.log import log, warn
from dataflow.process.wall_clock import wall_clock_us
from dataflow.settings import Settings
from dataflow.stream.batch import Format, SourceBatch

Position = tuple[int, int, str]
"""A partition's resume state: the offset that is read next, its clock (minutes; NO_MINUTE: none yet), and the topic's
identity (`Topic.identity`), which older stores lack."""
Observe = Callable[[str, int, int, int], None]
"""Called about once a second for each partition with topic, partition, lag (messages), clock (minutes)."""

POLL = timedelta(milliseconds=20)
"""The pause before a partition that has nothing more to give is asked again."""
OBSERVE_SECONDS = 1.0
NOTE_SECONDS = 60.0
"""The pause between two log lines about untrue times, at least."""
EARLIEST_US = 1_293_840_000_000_000
"""2011-01-01: before that there was no broker that could have set a timestamp."""
BEHIND_MINUTES = 31 * 24 * 60
"""A timestamp further behind its partition's clock than this is not true either."""
_BEHIND_US = BEHIND_MINUTES * MINUTE_US


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
    - Partitions are those that the topics have when the flow starts. When a topic gets more, or is replaced, the
      flow stops in order, to be started again: `changed` is called with one line about it.
    - The clock of a check-ins partition is its newest broker timestamp less the clock's delay; one that is read
      to its end follows the wall clock, less an allowance that is never smaller. Controls have no clock. A
      timestamp further in the future than the allowance, before 2011, or more than 31 days behind the clock moves no
      clock, and counts as of the clock; before any other, as of the first true one behind it.
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
        changed: Callable[[str], None] | None = None,
        elapsed_us: Callable[[], int] = elapsed_us,
    ) -> None:
        """Raises KafkaStartError when the cluster cannot be used as it is set, or lacks a topic or a right."""
        self._settings = settings
        self._stopping = stopping
        self._observe = observe
        self._host_clock = HostClock(settings.idle_allowance_us, now_us, elapsed_us)
        self._kafka = Kafka(settings)
        self._admin = self._kafka.admin(self._kafka.reports())
        check_ins, controls = settings.checkins_topic, settings.controls_topic
        found = self._kafka.partitions(check_ins, controls)
        parts = [_Partition(check_ins, index, Format.MSGPACK, index) for index in found[check_ins]]
        self.origins = [part.key for part in parts]
        """The partitions that the event clock waits for, by origin."""
        parts += [_Partition(controls, index, Format.CONTROLS, -1) for index in found[controls]]
        self._parts = {part.key: part for part in parts}
        self._topics = checked_topics(self._kafka, self._admin, settings)
        watched = {name: self._topics[name] for name in (check_ins, controls)}
        self._watch = TopicWatch(self._admin, watched, self._host_clock.now, changed or _nothing)
        if changed is not None:
            self._watch.start()

    def checked(self) -> dict[str, str]:
        """What was checked at the start, for the log: topics that can be used, and whether the cluster says rights."""
        named = all(topic.operations is not None for topic in self._topics.values())
        return {"topics": ",".join(self._topics), "rights": "checked" if named else "not known here"}

    def list_parts(self) -> list[str]:
        """All partitions, as topic/partition."""
        return list(self._parts)

    def build_part(self, step_id: str, for_part: str, resume_state: Position | None) -> KafkaPartition:
        """One partition, from where it was left, else from where the settings say."""
        part = self._parts[for_part]
        broker = PartitionBroker(self._kafka, self._admin, part.topic, part.index)
        topic = self._topics[part.topic]
        if resume_state is not None and not self._is_of(topic, resume_state):
            resume_state = self._refuse(part, topic, resume_state)
        position, clock = (
            resume_state[:2]
            if resume_state is not None
            else (broker.first_offset(self._settings.kafka_start), NO_MINUTE)
        )
        begins = "resumes" if resume_state else "begins"
        log("kafka", text=f"{part.key} {begins} at offset {position}, {_clock_text(clock)}")
        broker.read_from(position)
        wall_clock = _WallClock(self._host_clock, self._watch, self._settings.idle_allowance_us)
        start, settings = (position, clock, topic.identity), self._settings
        return KafkaPartition(part, broker, start, wall_clock, settings, self._stopping, self._observe)

    @staticmethod
    def _is_of(topic: Topic, position: Position) -> bool:
        """Whether a position is of this very topic; one of an earlier release does not say, and is believed."""
        return all(topic.is_same(identity) for identity in position[2:])

    def _refuse(self, part: _Partition, topic: Topic, position: Position) -> Position | None:
        """What to do with a position in another topic of that name. Raises KafkaStartError unless it is accepted."""
        if not self._settings.kafka_accept_replaced_topic:
            raise KafkaStartError(
                f"Kafka: {part.key}: the recovery store's position, offset {position[0]}, is of another topic of that "
                f"name: it was deleted and created again, or the store is of another cluster ({position[-1]}, here "
                f"{topic.identity}). What the store knows does not fit: start with a new recovery store, or set "
                "CRONWAX_KAFKA_ACCEPT_REPLACED_TOPIC=true to keep its state and read this topic from "
                "CRONWAX_KAFKA_START"
            )
        broker = PartitionBroker(self._kafka, self._admin, part.topic, part.index)
        try:
            offset = broker.first_offset(self._settings.kafka_start)
        finally:
            broker.close()
        warn("kafka", text=f"{part.key}: another topic than before, read from offset {offset} as accepted")
        return offset, position[1], topic.identity


class KafkaPartition(StatefulSourcePartition[SourceBatch, Position]):
    """Reads one partition; never blocks."""

    def __init__(
        self,
        part: _Partition,
        broker: PartitionBroker,
        start: tuple[int, int, str],
        wall_clock: _WallClock,
        settings: Settings,
        stopping: Callable[[], bool],
        observe: Observe | None,
    ) -> None:
        self._part = part
        self._broker = broker
        self._position, self._clock, self._identity = start
        self._last_end: End | None = None
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
        self._noted_untrue: float | None = None
        self._held: list[KafkaMessage] = []
        """Messages with untrue times that wait for the first true one: the partition has no clock yet."""

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
        """The offset that is read next, the clock, and which topic that is."""
        return self._position, self._clock, self._identity

    def close(self) -> None:
        """Leave the broker."""
        self._broker.close()

    def _take(self, received: list[KafkaMessage]) -> list[tuple[int, int | None, bytes]]:
        """The messages among what was received; moves position and clock."""
        messages: list[tuple[int, int | None, bytes]] = []
        newest_us: int = NO_MINUTE
        latest_us = self._wall_clock.latest_us()
        if self._last_end is not None:
            self._wall_clock.learn(self._last_end, received)
        if self._clock == NO_MINUTE and self._part.origin >= 0:
            received = self._with_a_true_time(received, latest_us)
        floor_us = self._clock * MINUTE_US - _BEHIND_US
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
            at_us = _broker_time_us(message)
            if at_us is not None and (at_us > newest_us or at_us < max(floor_us, newest_us - _BEHIND_US)):
                if self._is_untrue(at_us, newest_us, latest_us):
                    self._note_untrue(at_us)
                    at_us = self._instead_of_untrue(newest_us, received, latest_us)
                newest_us = max(newest_us, at_us)
            assert offset is not None  # what was received has one
            messages.append((offset, at_us, message.value() or b""))
            self._position = offset + 1
            self._at_end = False
        if self._part.origin >= 0 and newest_us >= 0:
            self._clock = max(self._clock, minute_of(newest_us - self._clock_delay_us))
        return messages

    def _with_a_true_time(self, received: list[KafkaMessage], latest_us: int) -> list[KafkaMessage]:
        """What was received since the partition began, once a true time is among it, or the partition's end.

        Nothing before: what an untrue time counts as must not depend on how much arrives at once.
        """
        self._held += received
        for message in received:
            at_us = _broker_time_us(message) if message.error() is None else latest_us
            if at_us is not None and EARLIEST_US <= at_us <= latest_us:
                break
        else:
            if len(self._held) < self._batch_size:
                return []
        held, self._held = self._held, []
        return held

    def _clock_at(self, newest_us: int) -> int:
        """The partition's clock behind a message of that time."""
        if newest_us < 0:
            return self._clock
        return max(self._clock, minute_of(newest_us - self._clock_delay_us))

    def _is_untrue(self, at_us: int, newest_us: int, latest_us: int) -> bool:
        """Whether a time cannot be true. Controls have no clock that they could be far behind."""
        if not EARLIEST_US <= at_us <= latest_us:
            return True
        return self._part.origin >= 0 and minute_of(at_us) < self._clock_at(newest_us) - BEHIND_MINUTES

    def _instead_of_untrue(self, newest_us: int, received: list[KafkaMessage], latest_us: int) -> int:
        """What the time of a message counts as that somebody's wrong clock has put where it cannot be.

        The end of the minute at which the partition's clock stands: so it does not move the clock, and counts the
        same when it is read again. At the beginning of a partition that is the minute of what comes next.
        """
        minute = self._clock_at(newest_us)
        if minute == NO_MINUTE:
            known = (at_us for each in received if (at_us := _broker_time_us(each)) is not None)
            now_us = self._wall_clock.now().wall_us
            first_us = next((at_us for at_us in known if EARLIEST_US <= at_us <= latest_us), now_us)
            minute = minute_of(first_us - self._clock_delay_us)
        return (minute + 1) * MINUTE_US - 1

    def _note_untrue(self, at_us: int) -> None:
        now = time.monotonic()
        if self._noted_untrue is None or now - self._noted_untrue >= NOTE_SECONDS:
            self._noted_untrue = now
            ahead_s = (at_us - self._wall_clock.now().wall_us) // 1_000_000
            where = f"{ahead_s} s in the future" if ahead_s > 0 else f"{-ahead_s} s in the past"
            warn(
                "kafka",
                text=f"{self._part.key}: a message is {where} and counts as of its partition's clock: "
                "its producer's clock is wrong, or the broker's, or the one of this host",
            )

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
        if end is not None:
            self._last_end = end
            if self._position >= end.offset and self._part.origin >= 0:
                self._clock = max(self._clock, self._wall_clock.minute_at(end.asked))
        now = self._wall_clock.now()
        behind = self._at_end and self._part.origin >= 0 and self._wall_clock.minute_at(now) > self._clock
        broker.ask(now, behind)

    def _report(self, observe: Observe) -> None:
        now = time.monotonic()
        if now - self._observed >= OBSERVE_SECONDS:
            self._observed = now
            lag = self._broker.known_end() - self._position
            observe(self._part.topic, self._part.index, max(0, lag), self._clock)


class _WallClock:
    """The wall clock as idle partitions follow it."""

    def __init__(self, host: HostClock, watch: TopicWatch, allowance_us: int) -> None:
        self._host = host
        self._watch = watch
        self._allowance_us = allowance_us
        self.now = host.now

    def latest_us(self) -> int:
        """The latest time that a message can have if all clocks are in step to within the allowance."""
        return self.now().wall_us + self._allowance_us

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


def _nothing(_: str) -> None:
    """Nobody wants to hear of changed topics."""


def _broker_time_us(message: KafkaMessage) -> int | None:
    """The broker's timestamp in µs; None if there is none."""
    kind, timestamp_ms = message.timestamp()
    return None if kind == TIMESTAMP_NOT_AVAILABLE or timestamp_ms < 0 else timestamp_ms * 1000


def _clock_text(minute: int) -> str:
    if minute == NO_MINUTE:
        return "no clock yet"
    return f"clock {datetime.fromtimestamp(minute * MINUTE_US / 1_000_000, UTC):%Y-%m-%dT%H:%MZ}"
