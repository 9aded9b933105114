"""What `cronwax send` does: writes check-ins and controls to the flow's topics."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial

from cronwax.commands.arguments import ToolError, complain, show_warnings
from cronwax.commands.options import SDK, check_in_payload, control_body
from cronwax.commands.outgoing import Letter, check_in, control
from cronwax.commands.recording import read_dead_letters, read_recording
from cronwax.commands.rule_options import rule_body
from cronwax.commands.sender import Sender
from cronwax.commands.unknown import unknown_monitor
from cronwax.intake.lines import control_entry
from cronwax.intake.log_writer import append_controls
from dataflow.connectors.intake_log import CONTROLS, FOLDER, LogError
from dataflow.settings import LOG_MARKER, Settings, SettingsError


def send(options: argparse.Namespace) -> int:
    """Send what the command line asks for; returns the exit status. A StartError is one of 2."""
    answered = show_warnings()
    try:
        if options.command == "lines":
            _send_lines(options.keep_ts, options.json, answered)
        elif options.command == "dead-letters":
            _send_dead_letters(options.json, answered)
        else:
            _send_one(_letter(options), options, answered)
    except (ToolError, SettingsError) as error:
        complain(str(error))
        return 1
    except KeyboardInterrupt:
        complain("interrupted; what was not shown as sent may have been")
        return 130
    return 0


def kafka_settings() -> Settings:
    """The settings, with the address of Kafka. Raises SettingsError."""
    settings = Settings.load()
    if not settings.kafka_bootstrap_servers:
        raise SettingsError("CRONWAX_KAFKA_BOOTSTRAP_SERVERS must be set")
    return settings


def _send_one(letter: Letter, options: argparse.Namespace, answered: Callable[[], None]) -> None:
    """Write one message to Kafka; a control, where there is no Kafka, to the intake's log."""
    settings = Settings.load()
    if options.command == "control" and (doubt := unknown_monitor(settings.data_dir, letter.value)):
        complain(doubt)
    if settings.kafka_bootstrap_servers:
        sender = Sender(settings, partial(_show, as_json=options.json))
        answered()
        sender.send(letter)
        sender.finish()
        return
    folder = settings.data_dir / FOLDER
    if not (folder / LOG_MARKER).is_file():
        raise SettingsError(
            f"CRONWAX_KAFKA_BOOTSTRAP_SERVERS must be set: there is no Kafka, and no intake's log in {folder}"
        )
    if not letter.is_control:
        raise ToolError("without Kafka, check-ins are sent to the intake over HTTP; serve shows how")
    try:
        append_controls(folder / CONTROLS, [control_entry(letter.value)])
    except OSError as error:
        raise ToolError(f"{error.filename or folder}: {error.strerror}") from None
    except LogError as error:
        raise ToolError(str(error)) from None
    if options.json:
        print(json.dumps({"message": letter.name, "file": str(folder / CONTROLS)}), flush=True)
    else:
        print(f"{letter.name} written to {folder / CONTROLS}", flush=True)


def _letter(options: argparse.Namespace) -> Letter:
    if options.command == "check-in":
        now_us = time.time_ns() // 1000
        return check_in(check_in_payload(options), options.project, SDK, now_us)
    if options.command == "rule":
        return control(rule_body(options, datetime.now(UTC)))
    return control(control_body(options, datetime.now(UTC)))


def _show(letter: Letter, topic: str, partition: int, offset: int, as_json: bool) -> None:
    if as_json:
        place = {"topic": topic, "partition": partition, "offset": offset}
        print(json.dumps({"message": letter.name, **place}), flush=True)
    else:
        print(f"{letter.name} sent to {topic}/{partition} at offset {offset}", flush=True)


def _send_lines(keep_ts: bool, as_json: bool, answered: Callable[[], None]) -> None:
    recording = read_recording(sys.stdin.buffer)
    sender = _send_all(
        kafka_settings(),
        ((at_us if keep_ts else None, letter) for at_us, letter in recording),
        as_json,
        answered,
    )
    if keep_ts and sender.keeps_own_times:
        complain(
            "a topic keeps times of its own (message.timestamp.type=LogAppendTime): --keep-ts had no effect"
        )


def _send_dead_letters(as_json: bool, answered: Callable[[], None]) -> None:
    settings = kafka_settings()
    letters = read_dead_letters(sys.stdin.buffer, (settings.checkins_topic, settings.controls_topic))
    _send_all(settings, ((None, letter) for letter in letters), as_json, answered)


def _send_all(
    settings: Settings,
    letters: Iterable[tuple[int | None, Letter]],
    as_json: bool,
    answered: Callable[[], None],
) -> Sender:
    """Send letters, each with its broker timestamp in µs or the present, and say how many went where."""
    ranges: dict[tuple[str, int], tuple[int, int, int]] = {}

    def count(letter: Letter, topic: str, partition: int, offset: int) -> None:
        messages, first, last = ranges.get((topic, partition), (0, offset, offset))
        ranges[topic, partition] = messages + 1, min(first, offset), max(last, offset)

    sender = Sender(settings, count)
    answered()
    try:
        for at_us, letter in letters:
            sender.send(letter, at_us)
    finally:
        try:
            sender.finish()
        finally:
            for (topic, partition), (messages, first, last) in sorted(ranges.items()):
                if as_json:
                    place = {
                        "topic": topic,
                        "partition": partition,
                        "first_offset": first,
                        "last_offset": last,
                    }
                    print(json.dumps({"messages": messages, **place}))
                else:
                    print(f"{messages} sent to {topic}/{partition} at offsets {first} to {last}")
    return sender
