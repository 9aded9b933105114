"""The source that reads check-ins and controls from Kafka."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, KafkaError
from confluent_kafka import Message as KafkaMessage

from dataflow.connectors.echo import Echo
from dataflow.connectors.host_clock import HostClock, elapsed_us
from dataflow.connectors.idle_clock import IdleClock
from dataflow.connectors.kafka_broker import End, PartitionBroker
from dataflow.connectors.kafka_client import Kafka, KafkaStartError, is_transient
from dataflow.connectors.kafka_topics import Topic, checked_topics
from dataflow.connectors.pace import PAUSE, Pace
from dataflow.connectors.topic_watch import TopicWatch
from dataflow.connectors.untrue_times import UntrueTimes
from dataflow.monitors.check_in import MINUTE_US, NO_MINUTE
from dataflow.monitors.times import NO_TIME
from dataflow.process.log import log, warn
from dataflow.process.wall_clock import wall_clock_us
from dataflow.settings import Settings
from dataflow.stream.batch import Format, Message, SourceBatch
from dataflow.stream.inputs import Inputs
from dataflow.stream.partition_clock import EARLIEST_US, PartitionClock

Position = tuple[int, int, str, int]
"""A partition's resume state: the offset that is read next, its clock (minutes; NO_MINUTE: none yet), the topic's
identity (`Topic.identity`), and the time of its newest message (µs; NO_TIME: none yet). Older stores lack the last, or
the last two."""
Observe = Callable[[str, int, int, int], None]
"""Called about once a second for each partition with topic, partition, lag (messages), clock (minutes)."""

POLL = timedelta(milliseconds=20)
"""The pause before a partition that has nothing more to give is asked again."""
OBSERVE_SECONDS = 1.0


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
        shared: Path | None = None,
    ) -> None:
        """Raises KafkaStartError when the cluster cannot be used as it is set, or lacks a topic or a right.

        `shared`: as of `Pace`.
        """
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
        of_controls = [
            _Partition(controls, index, Format.CONTROLS, -1 - number)
            for number, index in enumerate(found[controls])
        ]
        names = (self.origins, [part.key for part in of_controls])
        self.inputs = Inputs(*names, slack_us=settings.clock_delay_us)
        """All partitions, and which of them hold controls."""
        self._pace = Pace(*names, shared)
        parts += of_controls
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
        position, clock, *_ = resume_state or (broker.first_offset(self._settings.kafka_start), NO_MINUTE)
        begins = "resumes" if resume_state else "begins"
        log("kafka", text=f"{part.key} {begins} at offset {position}, {_clock_text(clock)}")
        broker.read_from(position)
        wall_clock = IdleClock(self._host_clock, self._watch, self._settings.idle_allowance_us)
        newest_us = resume_state[3] if resume_state is not None and len(resume_state) > 3 else int(NO_TIME)
        start, settings = (position, clock, topic.identity, newest_us), self._settings
        resumes = resume_state is not None
        return KafkaPartition(
            part, broker, start, resumes, wall_clock, settings, self._stopping, self._observe, self._pace
        )

    def first_held(self, part: str, position: Position) -> int:
        """The first offset that a partition still holds. Raises KafkaStartError if the position is of another topic."""
        named = self._parts[part]
        if not self._is_of(self._topics[named.topic], position):
            raise KafkaStartError(f"Kafka: {part}: it is another topic of that name than the store's")
        broker = PartitionBroker(self._kafka, self._admin, named.topic, named.index)
        try:
            return broker.first_offset("earliest")
        finally:
            broker.close()

    @staticmethod
    def _is_of(topic: Topic, position: Position) -> bool:
        """Whether a position is of this very topic; one of an earlier release does not say, and is believed."""
        return all(topic.is_same(identity) for identity in position[2:3])

    def _refuse(self, part: _Partition, topic: Topic, position: Position) -> Position | None:
        """What to do with a position in another topic of that name. Raises KafkaStartError unless it is accepted."""
        if not self._settings.kafka_accept_replaced_topic:
            raise KafkaStartError(
                f"Kafka: {part.key}: the recovery store's position, offset {position[0]}, is of another topic of that "
                f"name: it was deleted and created again, or the store is of another cluster ({position[2]}, here "
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
        return offset, position[1], topic.identity, int(NO_TIME)


class KafkaPartition(StatefulSourcePartition[SourceBatch, Position]):
    """Reads one partition; never blocks."""

    def __init__(
        self,
        part: _Partition,
        broker: PartitionBroker,
        start: Position,
        resumes: bool,
        wall_clock: IdleClock,
        settings: Settings,
        stopping: Callable[[], bool],
        observe: Observe | None,
        pace: Pace,
    ) -> None:
        self._part = part
        self._broker = broker
        self._position, clock_minute, self._identity, self._newest_us = start
        self._clock = PartitionClock(clock_minute, settings.clock_delay_us)
        self._pace = pace
        pace.begin(part.origin, self._newest_us)
        self._has_begun = False
        """A partition whose leader is away has not, and holds nobody up."""
        self._read_us, self._wanted_us = self._newest_us, int(NO_TIME)
        """In event time: how far the partition has been read, and, when its end was last asked for, how far those of
        the other kind had been. `_newest_us` is the time of the newest message: what waits in a snapshot is no newer,
        and partitions of the other kind, once they are read to their ends, are not waited for any longer."""
        self._resumes = resumes
        """Something may wait that only a snapshot knows of."""
        self._is_waited_for = False
        """Whether that, or a message of another partition, waits for the answer about the partition's end."""
        self._slack_us = settings.clock_delay_us // 2
        self._untrue = UntrueTimes(part.key)
        self._last_end: End | None = None
        self._wall_clock = wall_clock
        self._batch_size = settings.batch_size
        self._clock_delay_us = settings.clock_delay_us
        self._echo = Echo(settings.publish_interval, settings.state_shards)
        self._stopping = stopping
        self._observe = observe
        self._observed = 0.0
        self._at_end = self._more = self._waits = False
        self._held: list[KafkaMessage] = []
        """Messages with untrue times that wait for the first true one: the partition has no clock yet."""

    def next_batch(self) -> Iterable[SourceBatch]:
        """What has arrived since, at most one batch; nothing while other partitions are too far behind."""
        if self._stopping():
            raise StopIteration
        part, clock_before, read_before_us = self._part, self._clock.minute, self._read_us
        self._waits = not self._pace.may_read(part.origin)
        messages, untrue = self._take([] if self._waits else self._broker.consume(self._batch_size))
        self._more = len(messages) >= self._batch_size
        self._ask_for_the_end()
        clock = self._clock.minute
        moved_us = clock * MINUTE_US + self._clock_delay_us if clock > clock_before else NO_TIME
        self._has_begun |= bool(messages) or self._at_end or moved_us != NO_TIME
        if self._has_begun:
            self._pace.read(part.origin, max(self._newest_us, moved_us), self._at_end)
        if self._observe is not None:
            self._report(self._observe)
        is_news = bool(messages) or clock != clock_before or self._read_us != read_before_us
        if not self._echo.is_due(is_news, time.monotonic()):
            return []
        batch = SourceBatch(
            part.origin, part.topic, part.index, part.format, clock_before, messages, clock, self._position
        )
        batch.read_us = self._read_us if self._read_us > read_before_us else NO_TIME
        batch.untrue = untrue
        return [batch]

    def next_awake(self) -> datetime | None:
        """At once after a full batch, else after a short pause."""
        if self._waits:
            return datetime.now(UTC) + PAUSE
        return None if self._more else datetime.now(UTC) + POLL

    def snapshot(self) -> Position:
        """The offset that is read next, the clock, which topic that is, and the time of the newest message."""
        return self._position, self._clock.minute, self._identity, self._newest_us

    def close(self) -> None:
        """Leave the broker."""
        self._broker.close()
        self._pace.end(self._part.origin)

    def _take(self, received: list[KafkaMessage]) -> tuple[list[Message], list[int]]:
        """The messages among what was received, and the offsets of those with untrue times; moves position and
        clock."""
        messages: list[Message] = []
        untrue: list[int] = []
        clock, is_clocked, newest_us = self._clock, self._part.origin >= 0, self._newest_us
        latest_us = self._wall_clock.latest_us()
        if self._last_end is not None:
            self._wall_clock.learn(self._last_end, received)
        if clock.minute == NO_MINUTE and is_clocked:
            received = self._with_a_true_time(received, latest_us)
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
            assert offset is not None  # what was received has one
            at_us = _broker_time_us(message)
            if at_us is not None:
                if not clock.floor_us <= at_us <= latest_us:
                    self._untrue.note(at_us, offset, "its producer's clock, the broker's or this host's")
                    at_us = self._counted_us(received, latest_us)
                    untrue.append(offset)
                if at_us > newest_us:
                    newest_us = at_us
                    if is_clocked:
                        clock.take(at_us)
            messages.append((offset, at_us, message.value() or b""))
            self._position = offset + 1
            self._at_end = False
        self._newest_us = newest_us
        self._read_us = max(self._read_us, newest_us)
        return messages, untrue

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

    def _counted_us(self, received: list[KafkaMessage], latest_us: int) -> int:
        """What the time of a message counts as that cannot be true. At the beginning of a partition it is that of what
        comes next; so are those of controls, which have no clock."""
        if self._clock.minute != NO_MINUTE:
            return self._clock.counted_us()
        known = (at_us for each in received if (at_us := _broker_time_us(each)) is not None)
        first_us = next((at_us for at_us in known if EARLIEST_US <= at_us <= latest_us), None)
        return self._clock.counted_us(self._wall_clock.now().wall_us if first_us is None else first_us)

    def _ask_for_the_end(self) -> None:
        """Follow the wall clock where nothing older can come any more, and notice a broker that went away.

        1. When the wall clock's minute (less the allowance) has passed the partition's, and all that came was
           read, the broker is asked where the partition ends.
        2. If it has been read to there, nothing else was appended before the question: the clock may stand
           where the wall clock stood then, less the allowance.

        What was read from partitions of the other kind before the question was asked has nothing to wait for here.
        Having once reached the end is not enough: a broker out of our reach takes messages all the same.
        """
        broker = self._broker
        end = broker.end()
        if end is not None:
            self._last_end = end
            if self._position >= end.offset:
                self._reach_the_end(end)
        now = self._wall_clock.now()
        is_behind = self._part.origin >= 0 and self._wall_clock.minute_at(now) > self._clock.minute
        wanted_us = self._pace.newest_beside(self._part.origin)
        is_waited_for = self._resumes or wanted_us >= self._read_us + self._slack_us
        if broker.ask(now, self._at_end and is_behind, self._at_end and is_waited_for):
            self._wanted_us, self._is_waited_for = wanted_us, is_waited_for

    def _reach_the_end(self, end: End) -> None:
        clock_before = self._clock.minute
        if self._part.origin >= 0:
            self._clock.reach(self._wall_clock.minute_at(end.asked))
        if self._is_waited_for or self._clock.minute != clock_before:
            allowed_us = self._wall_clock.allowed_us(end.asked)
            self._read_us = max(self._read_us, self._wanted_us + 1, allowed_us)
            self._resumes = self._is_waited_for = False

    def _report(self, observe: Observe) -> None:
        now = time.monotonic()
        if now - self._observed >= OBSERVE_SECONDS:
            self._observed = now
            lag = self._broker.known_end() - self._position
            observe(self._part.topic, self._part.index, max(0, lag), self._clock.minute)


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
