"""Lines of the log: what the intake writes of messages and drops. The time is put before when they are written."""

from __future__ import annotations

from zlib import crc32

import msgspec
from msgspec import Raw

from cronwax.intake.outcome import RETENTION_DAYS, Drop, Message, Outcome
from dataflow.wire.check_ins import DROPPED

MAX_DROPPED_BYTES = 10_000
"""So much of what was dropped is kept."""
_SHOWN = frozenset({"check_in", "request"})
"""What a row is written of when it is dropped. Anything else (transactions, sessions) was never meant for Cronwax: it
is counted."""
Entry = tuple[int, bytes]
"""Partition, and a line from after its time on, with its newline."""


class _CheckIn(msgspec.Struct):
    type: str
    message_type: str
    payload: Raw
    start_time: float
    sdk: str | None
    project_id: int
    retention_days: int


class _Dropped(msgspec.Struct):
    message_type: str
    payload: str
    start_time: float
    project_id: int
    slug: str | None
    reason: str
    sdk: str | None


_encode = msgspec.json.Encoder().encode


def entries_of(outcome: Outcome, start_time: float, partitions: int) -> list[Entry]:
    """What is to be written about a request."""
    entries = [
        (partition_of(message.project_id, message.slug, partitions), _line(_check_in(message)))
        for message in outcome.messages
    ]
    project_id = outcome.project_id
    if project_id is not None:
        entries += [
            (
                partition_of(project_id, drop.slug or "", partitions),
                _line(_dropped(drop, project_id, start_time)),
            )
            for drop in outcome.drops
            if drop.item in _SHOWN
        ]
    return entries


def partition_of(project_id: int, slug: str, partitions: int) -> int:
    """The partition of a monitor: all of its check-ins stay in order."""
    return crc32(f"{project_id}/{slug}".encode("utf-8", "surrogatepass")) % partitions


def stamped(now_us: int, entry: bytes) -> bytes:
    """A whole line."""
    return b'{"ts":%d.%06d,%b' % (now_us // 1_000_000, now_us % 1_000_000, entry)


def control_entry(control: bytes) -> bytes:
    """A control (JSON) as a line from after its time on."""
    return b'"control":' + _one_line(control) + b"}\n"


def _line(message: bytes) -> bytes:
    return b'"message":' + message + b"}\n"


def _check_in(message: Message) -> bytes:
    # JSON holds line breaks between its tokens only (a config is handed on as it came), where a space means the same.
    payload = Raw(_one_line(bytes(message.payload)))
    return _encode(
        _CheckIn(
            "check_in",
            "check_in",
            payload,
            message.start_time,
            message.sdk,
            message.project_id,
            RETENTION_DAYS,
        )
    )


def _dropped(drop: Drop, project_id: int, start_time: float) -> bytes:
    payload = drop.payload[:MAX_DROPPED_BYTES].decode("utf-8", "replace")
    return _encode(_Dropped(DROPPED, payload, start_time, project_id, drop.slug, drop.reason, drop.sdk))


def _one_line(text: bytes) -> bytes:
    if b"\n" in text or b"\r" in text:
        return text.replace(b"\n", b" ").replace(b"\r", b" ")
    return text
