"""The sinks that write messages and dead letters to Kafka, each effectively once."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple, TypeVar

import msgspec
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage

from dataflow.connectors.kafka_client import START_SECONDS, Kafka, Reports, is_transient, patiently
from dataflow.connectors.kafka_topics import MAX_MESSAGE_BYTES, topic_limits, why_undelivered
from dataflow.connectors.large_messages import LargeMessages
from dataflow.process.exit import FlowError, LastingError
from dataflow.process.log import log, warn
from dataflow.settings import Settings
from dataflow.stream.items import DeadLetter, Message

ID = "id"
"""The header that holds a message's identity."""
MAX_KEPT_IDS = 50_000
"""So many ids go into a snapshot; with more, the next start reads them in the topic again."""
READ_AT_ONCE = 10_000
MAX_HEADER_BYTES = 500
"""A reason may quote what it is about."""
PROGRESS_SECONDS = 5.0

Item = TypeVar("Item")


class Outgoing(NamedTuple):
    """A message as it goes to the topic."""

    id: str
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


class SinkSnapshot(msgspec.Struct, array_like=True):
    """What a sink's partition must know to go on where its epoch ended."""

    version: int = 1
    ends: dict[int, int] = {}
    """For each partition of the topic an offset: what was written since stands at it or behind it."""
    expected: list[str] = []
    """Ids in the topic that this epoch had not met again (see `TopicPartitionSink`)."""


OVERHEAD_BYTES = 4_096
"""Room for key, headers and framing in what a topic takes."""
SMALLEST_BYTES = 64


class TopicSink(FixedPartitionedSink[Item, bytes]):
    """Writes to one topic, through one partition of the sink: whatever is in the topic is known to it.

    A message neither lost nor sent twice needs the flow's help: after a crash, what is written again has the
    same ids. Without a snapshot (also after a crash in the very first epoch) the whole topic is read for ids.
    """

    def __init__(self, settings: Settings, topic: str) -> None:
        """Raises KafkaStartError when the cluster cannot be used as it is set, or lacks the topic."""
        self._kafka = Kafka(settings)
        self._topic = topic
        self._partitions = self._kafka.partitions(topic)[topic]
        self.large = LargeMessages(settings.data_dir)
        self.dead_letter_topic = settings.dead_letter_topic
        names = {topic, settings.dead_letter_topic}
        admin = self._kafka.admin(self._kafka.reports())
        self.limits = topic_limits(admin, names, MAX_MESSAGE_BYTES)
        """`max.message.bytes` of the topics that say it."""
        self.dead_letter_bytes = self._dead_letter_bytes(settings)

    def list_parts(self) -> list[str]:
        """One partition."""
        return ["0"]

    def build_part(self, step_id: str, for_part: str, resume_state: bytes | None) -> TopicPartitionSink[Item]:
        """The partition, with the ids that its predecessor may have written behind its last snapshot."""
        snapshot = SinkSnapshot() if resume_state is None else _decode(self._topic, resume_state)
        ids, ends = _read_ids(self._kafka, self._topic, self._partitions, snapshot.ends)
        return TopicPartitionSink(self, self._kafka, self._topic, snapshot, ids, ends)

    def _dead_letter_bytes(self, settings: Settings) -> int:
        """How much of a message a dead letter holds: what is set, or less where the topic takes less."""
        wanted = settings.dead_letter_max_bytes
        limit = self.limits.get(settings.dead_letter_topic, wanted + OVERHEAD_BYTES)
        taken = limit - min(OVERHEAD_BYTES, limit // 2)
        if taken < wanted:
            warn(
                "kafka",
                text=f"topic {settings.dead_letter_topic} takes {limit} bytes (max.message.bytes): dead letters are "
                f"cut to {taken}, not to the {wanted} of CRONWAX_DEAD_LETTER_MAX_BYTES",
            )
        return min(wanted, taken)

    def dead_letter(self, identity: str, key: bytes, value: bytes, about: dict[str, str]) -> Outgoing:
        """A dead letter: the value, cut if it is too large, and what there is to say about it as headers."""
        kept, cut = self.large.cut(identity, value, self.dead_letter_bytes)
        texts = [(name, text.encode("utf-8", "replace")[:MAX_HEADER_BYTES]) for name, text in about.items()]
        return Outgoing(identity, key, kept, [(ID, identity.encode()), *texts, *cut])

    def halve(self, letter: Outgoing) -> Outgoing:
        """A dead letter that is still too large, cut to half. What the folder holds whole is not written again."""
        half = len(letter.value) // 2
        if "file" in dict(letter.headers):
            return letter._replace(value=letter.value[:half])
        kept, cut = self.large.cut(letter.id, letter.value, half)
        return letter._replace(value=kept, headers=[*letter.headers, *cut])

    @abstractmethod
    def outgoing(self, item: Item) -> Outgoing:
        """How an item is written."""


class OccurrencesSink(TopicSink[Message]):
    """Occurrences and status changes: key = fingerprint, header `id`."""

    def __init__(self, settings: Settings) -> None:
        """Raises KafkaStartError when the cluster cannot be used as it is set, or lacks the topic."""
        super().__init__(settings, settings.occurrences_topic)

    def outgoing(self, item: Message) -> Outgoing:
        """The payload as it is."""
        return Outgoing(item.id, item.key.encode(), item.payload, [(ID, item.id.encode())])


class DeadLettersSink(TopicSink[DeadLetter]):
    """Dead letters: the original bytes; where they were and why they are none is in the headers, as text."""

    def __init__(self, settings: Settings) -> None:
        """Raises KafkaStartError when the cluster cannot be used as it is set, or lacks the topic."""
        super().__init__(settings, settings.dead_letter_topic)

    def outgoing(self, item: DeadLetter) -> Outgoing:
        """The original bytes, under the partition that they came from."""
        source = f"{item.topic}/{item.partition}"
        identity = f"{source}/{item.offset}"
        about = {
            "topic": item.topic,
            "partition": str(item.partition),
            "offset": str(item.offset),
            "reason": item.reason,
        }
        return self.dead_letter(identity, source.encode(), item.original, about)


class TopicPartitionSink(StatefulSinkPartition[Item, bytes]):
    """Writes what is not in the topic yet.

    1. `expected` are the ids that were written behind the snapshot which this partition was built from. The
       flow makes each of them again; met again, it is skipped and no longer expected.
    2. The replay may take several epochs. A snapshot therefore holds the ids that are still expected, as they
       stand before the offsets that it holds.
    3. If these are too many, the snapshot stays the one that this partition was built from: the next one
       reads again from there.

    A delivery that fails for good is a FlowError: nothing is dropped.
    """

    def __init__(
        self,
        sink: TopicSink[Item],
        kafka: Kafka,
        topic: str,
        built_from: SinkSnapshot,
        found: set[str],
        ends: dict[int, int],
    ) -> None:
        self._sink = sink
        self._outgoing = sink.outgoing
        self._dead_letter_topic = sink.dead_letter_topic
        self._kafka = kafka
        self._topic = topic
        self._built_from = built_from
        self._expected = found.union(built_from.expected)
        self._ends = ends
        self._reports = kafka.reports()
        self._producer = kafka.producer(self._reports, min(sink.limits.values(), default=None))
        self._failure: str | None = None
        self._refused: list[tuple[str, Outgoing]] = []
        """What the cluster takes for too large, and the topic that it was for."""

    def write_batch(self, values: list[Item]) -> None:
        """Hand the messages to the client, which delivers them behind our back."""
        for item in values:
            out = self._outgoing(item)
            if out.id in self._expected:
                self._expected.discard(out.id)
            else:
                self._produce(out)
        self._producer.poll(0)
        self._check()

    def snapshot(self) -> bytes:
        """Wait until everything is delivered; then where the topic ends."""
        self._flush()
        if len(self._expected) > MAX_KEPT_IDS:
            return _encode(self._built_from)
        return _encode(SinkSnapshot(ends=self._ends, expected=sorted(self._expected)))

    def close(self) -> None:
        """Wait until everything is delivered."""
        self._flush()

    def _produce(self, out: Outgoing, topic: str | None = None) -> None:
        while True:
            try:
                self._producer.produce(
                    topic or self._topic,
                    out.value,
                    out.key,
                    headers=list(out.headers),
                    on_delivery=partial(self._delivered, out),
                )
            except BufferError:  # the client's queue is full
                self._producer.poll(0.1)
                self._check()
            except KafkaException as error:
                if error.args[0].code() != KafkaError.MSG_SIZE_TOO_LARGE:
                    self._failure = self._words(error.args[0])
                    self._check()
                self._refused.append((topic or self._topic, out))
                return
            else:
                return

    def _delivered(self, out: Outgoing, error: KafkaError | None, message: KafkaMessage) -> None:
        if error is not None:
            if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
                self._refused.append((str(message.topic()), out))
            else:
                self._failure = self._failure or self._words(error)
            return
        partition, offset = message.partition(), message.offset()
        if message.topic() == self._topic and partition is not None and offset is not None:
            self._ends[partition] = max(self._ends.get(partition, 0), offset + 1)

    def _flush(self) -> None:
        while True:
            # The client gives a message up by itself; the rest of the time is for hearing of it.
            try:
                left = self._producer.flush(self._kafka.timeout_seconds + START_SECONDS)
            except KafkaException as error:  # what it cannot recover from
                self._failure = self._failure or self._words(error.args[0])
                left = 0
            self._check()
            if left:
                raise FlowError(
                    f"Kafka: {left} messages to topic {self._topic} could not be delivered in time"
                )
            if not self._refused:
                return
            self._send_refused()

    def _send_refused(self) -> None:
        """Send what the cluster took for too large as dead letters, so that nothing ends the flow and nothing is lost.

        A dead letter that is too large in its turn, as the topic's limit was lowered since, is cut to half.
        """
        refused, self._refused = self._refused, []
        for topic, out in refused:
            if topic != self._dead_letter_topic:
                about = {
                    "topic": topic,
                    "reason": f"{len(out.value)} bytes are more than topic {topic} takes",
                }
                letter = self._sink.dead_letter(f"{topic}/{out.id}", out.key, out.value, about)
                text = f"{topic}: message {out.id}: {about['reason']}; it is in the dead letters"
                warn("kafka", text=text)
            elif len(out.value) <= SMALLEST_BYTES:
                raise FlowError(
                    f"Kafka: topic {topic} refuses dead letter {out.id} of {len(out.value)} bytes as too large"
                )
            else:
                letter = self._sink.halve(out)
            self._produce(letter, self._dead_letter_topic)

    def _check(self) -> None:
        failure = self._failure or self._reports.fatal
        if failure:
            raise FlowError(f"Kafka: cannot write to topic {self._topic}: {failure}")

    def _words(self, error: KafkaError) -> str:
        text = self._reports.redact(error.str())
        if error.code() == KafkaError._MSG_TIMED_OUT:
            admin = self._kafka.admin(self._kafka.reports())
            lacks = why_undelivered(admin, self._topic, START_SECONDS) or self._reports.last
            return f"{text} after {self._kafka.timeout_seconds:g} s" + (f": {lacks}" if lacks else "")
        return text


class _Progress:
    """Says how far a long reading has come, and raises FlowError when it comes no further."""

    def __init__(self, topic: str, kafka: Kafka, reports: Reports) -> None:
        self._topic = topic
        self._kafka = kafka
        self._reports = reports
        self._heard = self._said = time.monotonic()

    def step(self, received: int, total: int) -> None:
        """After each read: how many came, how many there were by now."""
        now = time.monotonic()
        if received:
            self._heard = now
        if now - self._said >= PROGRESS_SECONDS:
            self._said = now
            log("kafka", text=f"{self._topic}: reading which messages are there: {total} so far")
        if now - self._heard >= self._kafka.timeout_seconds:
            reason = self._reports.last or "no answer"
            raise FlowError(
                f"Kafka: cannot read back topic {self._topic} at {self._kafka.bootstrap}: {reason}"
            )


def _read_ids(
    kafka: Kafka, topic: str, partitions: list[int], ends: Mapping[int, int]
) -> tuple[set[str], dict[int, int]]:
    """The ids of the messages at and behind these offsets, and where the topic ends now.

    Raises FlowError when the broker does not give them.
    """
    reports = kafka.reports()
    # A fetch that finds nothing shows the end of a partition: it need not wait long.
    consumer = kafka.consumer(reports, isolation_level="read_uncommitted", fetch_wait_max_ms="10")
    progress = _Progress(topic, kafka, reports)
    ids: set[str] = set()
    found: dict[int, int] = {}
    total = 0
    try:
        starts = [TopicPartition(topic, part, _start(consumer, topic, part, ends)) for part in partitions]
        consumer.assign(starts)
        while len(found) < len(partitions):
            received = consumer.consume(READ_AT_ONCE, 0.1)
            for message in received:
                _take_id(topic, message, ids, found)
            total += len(received)
            progress.step(len(received), total)
    except KafkaException as error:
        reason = reports.last or reports.redact(error.args[0].str())
        raise FlowError(f"Kafka: cannot read back topic {topic} at {kafka.bootstrap}: {reason}") from None
    finally:
        consumer.close()
    log("kafka", text=f"{topic}: {len(ids)} messages after the last snapshot")
    return ids, found


def _take_id(topic: str, message: KafkaMessage, ids: set[str], found: dict[int, int]) -> None:
    error, partition, offset = message.error(), message.partition(), message.offset()
    if error is None:
        headers = message.headers()
        for name, value in headers if isinstance(headers, list) else ():
            if name == ID and isinstance(value, bytes):
                ids.add(value.decode("utf-8", "replace"))
    elif error.code() == KafkaError._PARTITION_EOF and partition is not None and offset is not None:
        found.setdefault(partition, offset)
    elif not is_transient(error):
        raise KafkaException(error)


def _start(consumer: Consumer, topic: str, partition: int, ends: Mapping[int, int]) -> int:
    """Where to read from: the snapshot's offset; if there is none, or no longer, the partition's start."""
    part = TopicPartition(topic, partition)

    def bounds() -> tuple[int, int]:
        return consumer.get_watermark_offsets(part, timeout=START_SECONDS) or (0, 0)

    low, high = patiently(bounds, START_SECONDS, knows_partition=True)
    known = ends.get(partition, low)
    if low <= known <= high:
        return known
    text = f"{topic}/{partition}: offset {known} of the snapshot is gone; reading from {low}"
    warn("kafka", text=text)
    return low


_encode = msgspec.msgpack.Encoder().encode
_snapshot = msgspec.msgpack.Decoder(SinkSnapshot).decode


def _decode(topic: str, snapshot: bytes) -> SinkSnapshot:
    """A snapshot of this or an earlier release. Raises LastingError if it is of a later one."""
    version = msgspec.msgpack.decode(snapshot)[0]
    if version > SinkSnapshot().version:
        raise LastingError(
            f"recovery store: a newer release stored the position in topic {topic} (version {version})"
        )
    return _snapshot(snapshot)
