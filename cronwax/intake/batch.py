"""Cronwax's own address for many check-ins at once: lines as the `file` source reads them, all or nothing."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from cronwax.intake.check_in import message, read
from cronwax.intake.outcome import Dropped, Message, Outcome, Rejected
from dataflow.monitors.time_texts import parse_time

MAX_SECONDS = 253_402_300_800.0


class _Message(msgspec.Struct, gc=False):
    payload: Raw
    message_type: str = "check_in"
    start_time: float | None = None
    project_id: int | None = None
    sdk: str | None = None


class _Line(msgspec.Struct, gc=False):
    ts: Any
    message: _Message


_line = msgspec.json.Decoder(_Line).decode
_text = msgspec.json.Decoder(str).decode
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def check_ins_of(project_id: int, body: bytes, start_time: float) -> Outcome:
    """Every line's check-in. Raises Rejected (422), which names the first bad line.

    A check-in keeps its `start_time` (without one: its `ts`), which is never after `start_time`, when the request
    came. The log's own time is the request's.
    """
    messages: list[Message] = []
    for number, line in enumerate(body.split(b"\n"), 1):
        if line.strip():
            try:
                messages.append(_message(project_id, line, start_time))
            except Dropped as reason:
                raise Rejected(422, f"line {number}: {reason}; nothing was taken", payload=line) from None
    answer = msgspec.json.encode({"accepted": len(messages)})
    return Outcome(202, answer, messages, project_id=project_id)


def _message(project_id: int, line: bytes, latest: float) -> Message:
    try:
        decoded = _line(line)
        text = bytes(decoded.message.payload)
        if text.startswith(b'"'):
            text = _text(text).encode()
    except _BROKEN as error:
        raise Dropped(f"no line of a check-in: {error}") from None
    given = decoded.message
    if given.message_type != "check_in":
        raise Dropped("message_type must be check_in")
    if given.project_id is not None and given.project_id != project_id:
        raise Dropped(f"project_id must be {project_id}, as in the address")
    ts_us = parse_time(decoded.ts)
    if ts_us is None:
        raise Dropped("ts is missing or not a time")
    start = ts_us / 1_000_000 if given.start_time is None else given.start_time
    if not 0 <= start < MAX_SECONDS:
        raise Dropped("start_time must be seconds since 1970")
    return message(project_id, given.sdk, min(start, latest), read(text))
