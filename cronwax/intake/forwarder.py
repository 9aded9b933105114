"""Hands the log on to Kafka: every line once, in the order of its partition, however long Kafka is away."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as KafkaMessage

from cronwax.intake.forwarded import HEADER, Note, found_in_topic, read_note, topic_ends, write_note
from cronwax.intake.kafka_records import partition_of, record_of
from dataflow.connectors.intake_log import LogReader, Position, partition_name, remove_before
from dataflow.connectors.kafka_client import Kafka, Reports
from dataflow.process.exit import FlowError
from dataflow.process.log import log, warn
from dataflow.settings import Settings

BATCH = 1_000
MAX_OUTSTANDING = 20_000
"""Messages that wait for their delivery; what else there is stays in the log."""
IDLE_SECONDS = 0.005
NOTE_SECONDS = 1.0
RETRY_SECONDS = 1.0
DRAIN_SECONDS = 5.0


class _Restart(Exception):  # noqa: N818 - an event
    """The producer cannot be used any more; the text says why."""


class _Lane:
    """One partition of the log: what was read of it, and up to where all is delivered."""

    def __init__(self, folder: Path, partition: int, delivered: int) -> None:
        self.partition = partition
        self.delivered = self.sent_to = delivered
        self._folder = folder
        self._outstanding: deque[list[int | bool]] = deque()
        """[position behind the line, whether it is delivered], in order."""
        self._open(delivered)

    def rewind(self) -> None:
        """Read again what is not delivered."""
        self.reader.close()
        self._outstanding.clear()
        self.sent_to = self.delivered
        self._open(self.delivered)

    def _open(self, number: int) -> None:
        self.reader = LogReader(self._folder, Position.of(number) if number else None)

    def sent(self, end: int) -> list[int | bool]:
        """A line that ends there is on its way; the entry is for `arrived`."""
        entry: list[int | bool] = [end, False]
        self.sent_to = end
        self._outstanding.append(entry)
        return entry

    def arrived(self, entry: list[int | bool]) -> None:
        """A line is in Kafka."""
        entry[1] = True
        while self._outstanding and self._outstanding[0][1]:
            self.delivered = int(self._outstanding.popleft()[0])

    @property
    def waiting(self) -> int:
        """Lines on their way."""
        return len(self._outstanding)

    def remove_old(self, before_s: float) -> None:
        """Remove segments that are delivered and old."""
        for _ in remove_before(self._folder, Position.of(self.delivered).segment, before_s):
            pass


class Forwarder(threading.Thread):
    """A thread that follows the log and produces.

    - A line goes to the partition of its monitor's key, with the log's time as its timestamp: so what waited while
      Kafka was away is not rate limited for having waited.
    - Each message says in a header which line it is. After a crash the topic is asked, from where it ended at the
      last note on: no line is sent twice, and none is lost.
    - Kafka that is away, or a producer that gives up, delays; nothing else.
    """

    def __init__(
        self, settings: Settings, folder: Path, partitions: int, progressed: Callable[[], None]
    ) -> None:
        """`progressed` is called, in this thread, when more is delivered. Raises KafkaStartError, LogError."""
        super().__init__(name="forwarder", daemon=True)
        self._settings = settings
        self._folder = folder
        self._topic = settings.checkins_topic
        self._kafka = Kafka(settings)
        self._progressed = progressed
        self._note: Note = read_note(folder)
        self._lanes = [
            _Lane(folder / partition_name(index), index, self._note.positions.get(index, 0))
            for index in range(partitions)
        ]
        self._found: dict[tuple[int, int], int] = {}
        self._count = 0
        self._failure: str | None = None
        self._ends: dict[int, int] = {}
        """Where the topic's partitions end, as far as is known."""
        self._past: tuple[dict[int, int], list[int]] = {}, []
        """The same at a moment in the past, and how far each lane had been sent then."""
        self._noted = 0.0
        self._ended = threading.Event()
        self._has_news = False
        self.is_connected = False
        """Whether Kafka takes what is sent, as far as is known."""
        self.problem: str | None = "not connected yet"
        """Why nothing is handed on at present."""
        self.forwarded = 0
        """Messages delivered by this process."""

    @property
    def delivered(self) -> list[int]:
        """By partition of the log: the position up to which all is in Kafka."""
        return [lane.delivered for lane in self._lanes]

    def end(self) -> None:
        """Hand on what can be within seconds, and end. What is left stays in the log."""
        self._ended.set()
        self.join(DRAIN_SECONDS + 2 * RETRY_SECONDS)

    def run(self) -> None:
        """Until `end`."""
        while not self._ended.is_set():
            try:
                self._connect_and_forward()
            except (KafkaException, _Restart, FlowError, OSError) as error:
                self._away(_words(error))
                self._ended.wait(RETRY_SECONDS)

    def _away(self, reason: str) -> None:
        if self.is_connected or self.problem == "not connected yet":
            warn(
                "intake_kafka",
                text=f"Kafka does not take check-ins: {reason}; they are kept in the log meanwhile",
            )
        self.is_connected, self.problem = False, reason

    def _connect_and_forward(self) -> None:
        for lane in self._lanes:
            lane.rewind()
        partitions = self._partitions()
        self._count = len(partitions)
        ends = topic_ends(self._kafka, self._topic, partitions)
        if not self._note.ends:
            self._note.ends = ends
            write_note(self._folder, self._note)
        self._found = found_in_topic(self._kafka, self._topic, self._note, ends)
        reports = self._kafka.reports()
        producer = self._kafka.producer(reports, is_patient=True)
        self._forward(producer, reports, ends)

    def _partitions(self) -> list[int]:
        # Not the settings' check at the start, which ends the process: here Kafka may be away.
        admin = self._kafka.admin(self._kafka.reports())
        found = admin.list_topics(self._topic, timeout=5.0).topics[self._topic]
        if found.error is not None:
            raise KafkaException(found.error)
        return sorted(found.partitions)

    def _forward(self, producer: Producer, reports: Reports, ends: dict[int, int]) -> None:
        self._failure = None
        stop_at: float | None = None
        self._ends = dict(ends)
        self._past = self._note.ends, [lane.sent_to for lane in self._lanes]
        if self.problem is not None:
            log("intake_kafka", text="Kafka takes check-ins")
        self.is_connected, self.problem = True, None
        while stop_at is None or (time.monotonic() < stop_at and self._waiting()):
            produced = self._produce(producer)
            producer.poll(0 if produced else IDLE_SECONDS)
            if self._failure is not None or reports.fatal:
                raise _Restart(self._failure or str(reports.fatal))
            if self._has_news:
                self._has_news = False
                self._progressed()
            self._keep_note()
            if self._ended.is_set() and stop_at is None:
                stop_at = time.monotonic() + DRAIN_SECONDS
        self._keep_note(force=True)

    def _waiting(self) -> bool:
        return any(lane.waiting or not lane.reader.at_end for lane in self._lanes)

    def _produce(self, producer: Producer) -> bool:
        """Send what is there, as far as there is room; whether anything was."""
        any_sent = False
        for lane in self._lanes:
            if sum(each.waiting for each in self._lanes) >= MAX_OUTSTANDING:
                return any_sent
            for number, line in lane.reader.read(BATCH):
                self._send(producer, lane, number, line)
                any_sent = True
        return any_sent

    def _send(self, producer: Producer, lane: _Lane, number: int, line: bytes) -> None:
        entry = lane.sent(number + len(line) + 1)
        record = record_of(line)
        if record is None:
            lane.arrived(entry)
            return
        partition = partition_of(record.key, self._count)
        if number <= self._found.get((partition, lane.partition), -1):
            lane.arrived(entry)  # it was delivered before a crash
            self._has_news = True
            return

        def delivered(error: KafkaError | None, message: KafkaMessage) -> None:
            if error is not None and error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
                warn("intake_kafka", text=f"a message is too large for {self._topic} and is left out")
            elif error is not None:
                self._failure = error.str()
                return
            lane.arrived(entry)
            self.forwarded += 1
            self._has_news = True
            self._ends[partition] = max(self._ends.get(partition, 0), (message.offset() or 0) + 1)

        header = f"{self._note.log_id}/{lane.partition}/{number}".encode()
        while True:
            try:
                producer.produce(
                    self._topic,
                    record.value,
                    record.key,
                    partition=partition,
                    timestamp=record.timestamp_ms,
                    headers=[(HEADER, header)],
                    on_delivery=delivered,
                )
            except BufferError:
                producer.poll(0.05)
            else:
                return

    def _keep_note(self, force: bool = False) -> None:
        """Note how far all is delivered, and ends of the topic that no line from there on can stand before: those of a
        moment up to which all that had been sent is delivered now."""
        now = time.monotonic()
        if not force and now - self._noted < NOTE_SECONDS:
            return
        self._noted = now
        positions = {lane.partition: lane.delivered for lane in self._lanes}
        ends = self._note.ends
        past_ends, past_sent = self._past
        if all(lane.delivered >= sent for lane, sent in zip(self._lanes, past_sent, strict=True)):
            ends = {**ends, **past_ends}
            self._past = dict(self._ends), [lane.sent_to for lane in self._lanes]
        if positions == self._note.positions and ends == self._note.ends:
            return
        self._note.positions, self._note.ends = positions, ends
        with suppress(OSError):  # a full disk: what was delivered is found in the topic
            write_note(self._folder, self._note)
            before_s = time.time() - self._settings.intake_retention_hours * 3600
            for lane in self._lanes:
                lane.remove_old(before_s)


def _words(error: BaseException) -> str:
    if isinstance(error, KafkaException):
        reason = error.args[0]
        return str(reason.str()) if isinstance(reason, KafkaError) else str(reason)
    return str(error)
