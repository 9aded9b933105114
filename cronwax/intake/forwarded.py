"""How far the log has been handed on to Kafka: the note of it beside the log, and what the topic itself says."""

from __future__ import annotations

import secrets
import time
from pathlib import Path

import msgspec
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage

from dataflow.connectors.intake_log import LogError, replace_file
from dataflow.connectors.kafka_client import Kafka, ask_offset, is_transient, patiently

NOTE = "forwarded.json"
HEADER = "cronwax-intake"
"""The header of a message that says which line of which log it is: `log id/partition/position`."""
ASK_SECONDS = 10.0


class Note(msgspec.Struct):
    """How far all is delivered, and where the topic's partitions ended then."""

    log_id: str
    positions: dict[int, int]
    """By partition of the log: up to there all is in Kafka."""
    ends: dict[int, int]
    """By partition of the topic: what is behind may be in Kafka already, although `positions` does not say so."""


def read_note(folder: Path) -> Note:
    """The note; a new one where there is none. Raises LogError."""
    path = folder / NOTE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Note)
    except FileNotFoundError:
        return Note(secrets.token_hex(8), {}, {})
    except OSError as error:
        raise LogError(f"{path}: {error.strerror}") from None
    except msgspec.DecodeError as error:
        raise LogError(f"{path}: {error}") from None


def write_note(folder: Path, note: Note) -> None:
    """Keep the note. Raises OSError."""
    replace_file(folder / NOTE, msgspec.json.encode(note))


def topic_ends(kafka: Kafka, topic: str, partitions: list[int]) -> dict[int, int]:
    """Where the topic's partitions end now. Raises KafkaException."""
    admin = kafka.admin(kafka.reports())

    def ask(partition: int) -> int:
        answer = ask_offset(admin, TopicPartition(topic, partition), "latest", ASK_SECONDS)
        return int(answer.result().offset)

    return {
        partition: patiently(lambda partition=partition: ask(partition), ASK_SECONDS)  # type: ignore[misc]
        for partition in partitions
    }


def found_in_topic(kafka: Kafka, topic: str, note: Note, ends: dict[int, int]) -> dict[tuple[int, int], int]:
    """The newest position of each partition of the log that is in each partition of the topic, from the note's ends
    on: {(topic's partition, log's partition): position}. Raises KafkaException."""
    found: dict[tuple[int, int], int] = {}
    for partition, end in ends.items():
        start = note.ends.get(partition, end)
        if start < end:
            _read(kafka, TopicPartition(topic, partition, start), end, note.log_id, found)
    return found


def _read(
    kafka: Kafka, start: TopicPartition, end: int, log_id: str, found: dict[tuple[int, int], int]
) -> None:
    consumer = kafka.consumer(kafka.reports(), auto_offset_reset="earliest")
    try:
        consumer.assign([start])
        at, deadline = start.offset, time.monotonic() + ASK_SECONDS
        while at < end:
            for message in consumer.consume(1000, 1.0):
                if (error := message.error()) is None:
                    _note_line(message, log_id, found)
                    at = (message.offset() or 0) + 1
                elif error.code() == KafkaError._PARTITION_EOF:
                    at = max(at, message.offset() or 0)
                elif not is_transient(error):
                    raise KafkaException(error)
                deadline = time.monotonic() + ASK_SECONDS
            if time.monotonic() >= deadline:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
    finally:
        consumer.close()


def _note_line(message: KafkaMessage, log_id: str, found: dict[tuple[int, int], int]) -> None:
    for header in message.headers() or ():
        name, value = header[0], header[1]
        if name == HEADER and isinstance(value, bytes):
            own, _, rest = value.decode("ascii", "replace").partition("/")
            partition, _, position = rest.partition("/")
            if own == log_id and partition.isdigit() and position.isdigit():
                key = (message.partition() or 0, int(partition))
                found[key] = max(found.get(key, -1), int(position))
