"""Lines of the log as messages of the check-ins topic, each to the partition that its monitor's key names."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import msgspec
from msgspec import Raw

from dataflow.monitors.fields import slugify
from dataflow.wire.check_ins import DROPPED
from dataflow.wire.timestamps import time_of

_MASK = 0xFFFFFFFF
_MULTIPLIER = 0x5BD1E995
_SEED = 0x9747B28C


class Record(NamedTuple):
    """A message for Kafka."""

    key: bytes
    value: bytes
    timestamp_ms: int


class _Message(msgspec.Struct, gc=False):
    message_type: str
    payload: Raw
    start_time: float
    project_id: int
    sdk: str | None = None
    type: str = "check_in"
    retention_days: int = 90
    slug: str | None = None
    reason: str = ""


class _Line(msgspec.Struct, gc=False):
    ts: float
    message: _Message


class _Named(msgspec.Struct, gc=False):
    monitor_slug: str


_line = msgspec.json.Decoder(_Line).decode
_named = msgspec.json.Decoder(_Named).decode
_text = msgspec.json.Decoder(str).decode
_pack = msgspec.msgpack.Encoder().encode


def record_of(line: bytes) -> Record | None:
    """A line as a record; None if it is not a message (a crash of the machine may leave anything)."""
    try:
        decoded = _line(line)
        message = decoded.message
        is_drop = message.message_type == DROPPED
        payload = _text(message.payload).encode() if is_drop else bytes(message.payload)
        slug = message.slug or "" if is_drop else slugify(_named(payload).monitor_slug)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    fields: dict[str, object] = {
        "type": message.message_type,
        "message_type": message.message_type,
        "payload": payload,
        "start_time": message.start_time,
        "sdk": message.sdk,
        "project_id": message.project_id,
        "retention_days": message.retention_days,
    }
    if is_drop:
        fields |= {"slug": message.slug, "reason": message.reason}
    timestamp_us = time_of(decoded.ts) or 0
    return Record(f"{message.project_id}/{slug}".encode(), _pack(fields), timestamp_us // 1000)


@lru_cache(maxsize=65_536)
def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key, as Kafka's own clients choose it (murmur2)."""
    return (_murmur2(key) & 0x7FFFFFFF) % partitions


def _murmur2(data: bytes) -> int:
    length = len(data)
    state = (_SEED ^ length) & _MASK
    whole = length & ~3
    for at in range(0, whole, 4):
        word = int.from_bytes(data[at : at + 4], "little") * _MULTIPLIER & _MASK
        word = (word ^ word >> 24) * _MULTIPLIER & _MASK
        state = (state * _MULTIPLIER & _MASK) ^ word
    if length > whole:
        state ^= int.from_bytes(data[whole:], "little")
        state = state * _MULTIPLIER & _MASK
    state = (state ^ state >> 13) * _MULTIPLIER & _MASK
    return state ^ state >> 15
