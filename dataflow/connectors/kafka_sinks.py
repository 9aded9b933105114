"""The sinks that write messages and dead letters to Kafka, each effectively once."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Mapping
from typing import NamedTuple, TypeVar

import msgspec
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage

from dataflow.connectors.kafka_client import START_SECONDS, Kafka, Reports, is_transient, patiently
from dataflow.process.exit import FlowError, LastingError
from dataflow.process.log import log, warn
from dataflow.settings import Settings
from dataflow.stream.items import DeadLetter, Message

ID = "id"
"""The header that holds a message's identity."""
MAX_KEPT_IDS = 50_000
"""So many ids go into a snapshot; with more, the next start reads them in the topic again."""
READ_AT_ONCE = 10_000
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

    def list_parts(self) -> list[str]:
        """One partition."""
        return ["0"]

    def build_part(self, step_id: str, for_part: str, resume_state: bytes | None) -> TopicPartitionSink[Item]:
        """The partition, with the ids that its predecessor may have written behind its last snapshot."""
        snapshot = SinkSnapshot() if resume_state is None else _decode(self._topic, resume_state)
        ids, ends = _read_ids(self._kafka, self._topic, self._partitions, snapshot.ends)
        return TopicPartitionSink(self, self._kafka, self._topic, snapshot, ids, ends)

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
        headers = {
            ID: identity,
            "topic": item.topic,
            "partition": str(item.partition),
            "offset": str(item.offset),
            "reason": item.reason,
        }
        encoded = [(name, value.encode("utf-8", "replace")) for name, value in headers.items()]
        return Outgoing(identity, source.encode(), item.original, encoded)


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
        self._outgoing = sink.outgoing
        self._kafka = kafka
        self._topic = topic
        self._built_from = built_from
        self._expected = found.union(built_from.expected)
        self._ends = ends
        self._reports = kafka.reports()
        self._producer = kafka.producer(self._reports)
        self._failure: str | None = None

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

    def _produce(self, out: Outgoing) -> None:
        while True:
            try:
                self._producer.produce(
                    self._topic, out.value, out.key, headers=list(out.headers), on_delivery=self._delivered
                )
            except BufferError:  # the client's queue is full
                self._producer.poll(0.1)
                self._check()
            except KafkaException as error:
                self._fail(error.args[0], len(out.value))
            else:
                return

    def _delivered(self, error: KafkaError | None, message: KafkaMessage) -> None:
        if error is not None:
            self._failure = self._failure or self._words(error, len(message.value() or b""))
            return
        partition, offset = message.partition(), message.offset()
        if partition is not None and offset is not None:
            self._ends[partition] = max(self._ends.get(partition, 0), offset + 1)

    def _flush(self) -> None:
        # The client gives a message up by itself; the rest of the time is for hearing of it.
        left = self._producer.flush(self._kafka.timeout_seconds + START_SECONDS)
        self._check()
        if left:
            raise FlowError(f"Kafka: {left} messages to topic {self._topic} could not be delivered in time")

    def _check(self) -> None:
        failure = self._failure or self._reports.fatal
        if failure:
            raise FlowError(f"Kafka: cannot write to topic {self._topic}: {failure}")

    def _fail(self, error: KafkaError, size: int) -> None:
        self._failure = self._words(error, size)
        self._check()

    def _words(self, error: KafkaError, size: int) -> str:
        text = self._reports.redact(error.str())
        if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            return f"{text}: {size} bytes; raise the topic's max.message.bytes"
        if error.code() == KafkaError._MSG_TIMED_OUT:
            reason = f": {self._reports.last}" if self._reports.last else ""
            return f"{text} after {self._kafka.timeout_seconds:g} s{reason}"
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
    # The end of a partition is told by a fetch that found nothing: it need not wait long.
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
    log("kafka", text=f"{topic}: {len(ids)} messages behind the last snapshot")
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

    low, high = patiently(bounds, START_SECONDS)
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
            f"recovery store: the position in topic {topic} is of a newer release (version {version})"
        )
    return _snapshot(snapshot)
