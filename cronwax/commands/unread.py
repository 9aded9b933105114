"""How much of the input is not read yet: the snapshot knows how far the flow is, not how much there is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

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

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

_PATIENCE_SECONDS = 3.0
"""For one answer."""
_ENDS_PATIENCE_SECONDS = 10.0
"""For the ends of partitions, from a cluster that has answered: one that is busy, or chooses a leader, takes longer."""
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
    from dataflow.connectors.kafka_client import Kafka

    kafka = Kafka(settings)
    topics = sorted({topic for topic, _ in places})
    known = kafka.partitions(*topics, patience_seconds=_PATIENCE_SECONDS) if topics else {}
    admin = kafka.admin(kafka.reports())
    asked = [place for place in places if place[1] in known.get(place[0], ())]
    ends: dict[Place, int] = {}
    failed: dict[Place, str] = {}
    deadline = time.monotonic() + _ENDS_PATIENCE_SECONDS
    while asked and time.monotonic() < deadline:
        asked = _ask_once(admin, asked, ends, failed)
    for (topic, number), reason in sorted(failed.items()):
        complain(f"Kafka at {kafka.bootstrap} does not say where {topic}/{number} ends: {reason}")
    return ends


def _ask_once(
    admin: AdminClient, places: list[Place], ends: dict[Place, int], failed: dict[Place, str]
) -> list[Place]:
    """Ask for all ends at once, and note the answers. Returns the places to ask for again: a partition without a
    leader gets one, mostly."""
    from confluent_kafka import KafkaException, TopicPartition

    from dataflow.connectors.kafka_client import RETRY_SECONDS, ask_offset, is_transient

    answers = {
        place: ask_offset(admin, TopicPartition(*place), "latest", _PATIENCE_SECONDS) for place in places
    }
    again = []
    for place, answer in answers.items():
        try:
            ends[place] = answer.result(_PATIENCE_SECONDS + 1).offset
            failed.pop(place, None)
        except TimeoutError:
            failed[place] = f"no answer within {_PATIENCE_SECONDS:g} s"
            again.append(place)
        except KafkaException as error:
            failed[place] = error.args[0].str()
            if is_transient(error.args[0]):
                again.append(place)
    if again:
        time.sleep(RETRY_SECONDS)
    return again


def _bytes_left(log: Path, controls: str, place: Place, position: Position) -> int | None:
    topic, number = place
    folder = log / (CONTROLS if topic == controls else partition_name(number))
    try:
        sizes = {segment: segment_path(folder, segment).stat().st_size for segment in segments_of(folder)}
    except OSError:
        return None
    ahead = sum(size for segment, size in sizes.items() if segment >= position.segment)
    return max(0, ahead - (position.offset if position.segment in sizes else 0))
