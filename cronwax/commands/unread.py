"""How much of the input is not read yet: the snapshot knows how far the flow is, not how much there is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from cronwax.commands.arguments import complain
from dataflow.connectors.intake_log import (
    CONTROLS,
    FOLDER,
    Position,
    partition_name,
    segment_path,
    segments_of,
)
from dataflow.process.exit import StartError
from dataflow.settings import Settings, SettingsError

_PATIENCE_SECONDS = 3.0
Place = tuple[str, int]
"""Topic and partition."""


class Unread(NamedTuple):
    """A column of the answer, and what stands in it."""

    column: str
    of: Callable[[Place, int], int | None]
    """From a place and the position that is read next; None: unknown."""


def unread(data_dir: Path, places: Iterable[Place]) -> Unread | None:
    """What can be found out now: by asking Kafka where it is set, or by looking into the intake's log; None: nothing.

    That Kafka does not answer is said, and no more.
    """
    try:
        settings = Settings.load()
    except SettingsError:
        return None
    if settings.kafka_bootstrap_servers:
        try:
            ends = _ends(settings, list(places))
        except StartError as error:
            complain(str(error))
            return None
        return Unread("unread_messages", lambda place, position: _left(ends.get(place), position))
    log = data_dir / FOLDER
    if log.is_dir():
        controls = settings.controls_topic
        return Unread(
            "unread_bytes", lambda place, position: _bytes_left(log, controls, place, Position.of(position))
        )
    return None


def _left(end: int | None, position: int) -> int | None:
    return None if end is None else max(0, end - position)


def _ends(settings: Settings, places: list[Place]) -> dict[Place, int]:
    from confluent_kafka import KafkaException, TopicPartition

    from dataflow.connectors.kafka_client import Kafka, ask_offset

    kafka = Kafka(settings)
    topics = sorted({topic for topic, _ in places})
    known = kafka.partitions(*topics, patience_seconds=_PATIENCE_SECONDS) if topics else {}
    admin = kafka.admin(kafka.reports())
    asked: dict[Place, Any] = {
        (topic, number): ask_offset(admin, TopicPartition(topic, number), "latest", _PATIENCE_SECONDS)
        for topic, number in places
        if number in known.get(topic, ())
    }
    ends = {}
    for place, answer in asked.items():
        with suppress(KafkaException, TimeoutError):  # a partition without a leader
            ends[place] = answer.result(_PATIENCE_SECONDS + 1).offset
    return ends


def _bytes_left(log: Path, controls: str, place: Place, position: Position) -> int | None:
    topic, number = place
    folder = log / (CONTROLS if topic == controls else partition_name(number))
    try:
        sizes = {segment: segment_path(folder, segment).stat().st_size for segment in segments_of(folder)}
    except OSError:
        return None
    ahead = sum(size for segment, size in sizes.items() if segment >= position.segment)
    return max(0, ahead - (position.offset if position.segment in sizes else 0))
