"""What `cronwax tail` does: shows what the flow sends, as it comes."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NoReturn

import duckdb
from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage
from rich.console import Console
from rich.text import Text

from cronwax.commands.arguments import ToolError, complain, show_warnings
from cronwax.commands.sending import kafka_settings
from cronwax.commands.sentences import Known, LookUp, Reader, Sentence, iso
from dataflow.connectors.jsonl_sink import dead_letter_line
from dataflow.connectors.kafka_client import Kafka, is_transient
from dataflow.settings import Settings, SettingsError
from dataflow.stream.items import DeadLetter
from state.ask.terminal import clean
from state.errors import StateError
from state.publish.snapshot import open_snapshot

SHOWN_BYTES = 200
"""So much of a dead letter is shown on its line."""
_COLOURS = {"failed": "red", "resolved": "green"}
"""By the first word of what happened; the rest is about the flow itself."""


def follow(options: argparse.Namespace) -> int:
    """Show messages until Ctrl-C (status 0) or until nobody reads; returns the exit status."""
    answered = show_warnings()
    try:
        # A shell's background job ignores it; SIGTERM ends a tail in the same way.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _interrupt)
        settings = kafka_settings()
        topic = settings.dead_letter_topic if options.dead_letters else settings.occurrences_topic
        show = _form(options.dead_letters, options.json, settings)
        for message in _messages(settings, topic, options.from_start, not options.no_follow, answered):
            show(message)
    except (ToolError, SettingsError) as error:
        complain(str(error))
        return 1
    except KeyboardInterrupt:
        pass
    return 0


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _form(dead_letters: bool, as_json: bool, settings: Settings) -> Callable[[KafkaMessage], None]:
    if dead_letters:
        return _dead_letter_as_json if as_json else _dead_letter_as_line
    return _JsonLines() if as_json else _Lines(partial(look_up, settings.data_dir))


def look_up(data_dir: Path, fingerprint: str) -> Known | None:
    """Whose incident this is, as far as a snapshot in the data folder knows."""
    try:
        with open_snapshot(data_dir) as connection:
            row = connection.execute(
                "SELECT project_id || '/' || slug, environment, incident_id FROM incidents WHERE fingerprint = ?",
                [fingerprint],
            ).fetchone()
    except (StateError, duckdb.Error):
        return None
    return None if row is None else Known(*row)


def _messages(
    settings: Settings, topic: str, from_start: bool, follow: bool, answered: Callable[[], None]
) -> Iterator[KafkaMessage]:
    """The messages of a topic, for ever or as far as there are some. Raises ToolError and KafkaStartError."""
    kafka = Kafka(settings)
    partitions = kafka.partitions(topic)[topic]
    answered()
    if follow and sys.stderr.isatty():
        complain(f"following {topic} at {kafka.bootstrap}; Ctrl-C ends that")
    reports = kafka.reports()
    consumer = kafka.consumer(reports)
    start = OFFSET_BEGINNING if from_start else OFFSET_END
    try:
        consumer.assign([TopicPartition(topic, partition, start) for partition in partitions])
        unfinished = set(partitions)
        while follow or unfinished:
            for message in consumer.consume(1000, 0.2):
                error = message.error()
                if error is None:
                    yield message
                elif error.code() == KafkaError._PARTITION_EOF:
                    unfinished.discard(message.partition() or 0)
                elif not is_transient(error):
                    raise ToolError(f"Kafka: {topic}: {reports.redact(error.str())}")
            if reports.fatal:
                raise ToolError(f"Kafka: {topic}: {reports.fatal}")
    except KafkaException as error:
        raise ToolError(f"Kafka: {topic}: {reports.redact(error.args[0].str())}") from None
    finally:
        consumer.close()


class _Lines:
    """A sentence a line: with colours on a terminal, separated by tabs elsewhere."""

    def __init__(self, look_up: LookUp) -> None:
        self._reader = Reader(look_up)
        self._console = Console(highlight=False, soft_wrap=True) if sys.stdout.isatty() else None

    def __call__(self, message: KafkaMessage) -> None:
        sentence = self._reader.read(message.value() or b"", message.timestamp()[1])
        if self._console is None:
            print("\t".join(sentence), flush=True)
        else:
            self._console.print(_coloured(sentence))


def _coloured(sentence: Sentence) -> Text:
    word = sentence.happened.partition(":")[0]
    return Text.assemble(
        (sentence.time, "dim"),
        f"  {sentence.monitor:32}  {sentence.environment:12}  ",
        (sentence.happened, _COLOURS.get(word, "yellow")),
    )


class _JsonLines:
    """One JSON object a message: where it is, and what it is."""

    def __call__(self, message: KafkaMessage) -> None:
        value = (message.value() or b"").decode("utf-8", "replace")
        try:
            body = json.loads(value)
        except (ValueError, RecursionError):
            body = value
        place = {
            "partition": message.partition(),
            "offset": message.offset(),
            "ts_ms": message.timestamp()[1],
        }
        print(json.dumps({**place, "message": body}), flush=True)


def _dead_letter(message: KafkaMessage) -> DeadLetter:
    """A message of the dead letters' topic; without its headers it is one of that topic itself."""
    found = message.headers()
    headers = {
        name: value.decode("utf-8", "replace")
        for name, value in (found if isinstance(found, list) else ())
        if isinstance(value, bytes)
    }
    return DeadLetter(
        headers.get("topic") or message.topic() or "",
        _number(headers.get("partition"), message.partition()),
        _number(headers.get("offset"), message.offset()),
        headers.get("reason", ""),
        message.value() or b"",
    )


def _number(header: str | None, otherwise: int | None) -> int:
    return int(header) if header and header.isdecimal() else otherwise or 0


def _dead_letter_as_line(message: KafkaMessage) -> None:
    letter = _dead_letter(message)
    shown = "" if len(letter.original) <= SHOWN_BYTES else f"... ({len(letter.original)} bytes)"
    print(
        iso(message.timestamp()[1] / 1000),
        f"{letter.topic}/{letter.partition}/{letter.offset}",
        clean(letter.reason),
        f"{letter.original[:SHOWN_BYTES]!r}{shown}",
        sep="\t",
        flush=True,
    )


def _dead_letter_as_json(message: KafkaMessage) -> None:
    print(dead_letter_line(_dead_letter(message)).decode(), flush=True)
