"""What travels between steps: chunks of items, records, messages and dead letters.

The engine pickles whatever crosses from one process to another; here that is one `bytes` each, made by msgspec.
"""

from __future__ import annotations

from types import GenericAlias
from typing import Any

import msgspec

from dataflow.monitors.changes import Change
from dataflow.monitors.check_in import NO_MINUTE, CheckIn, Control
from dataflow.monitors.decisions import TickEvent
from state.schema.catalogue import TABLES, Deletes, Rows

END_OF_TIME = 2**40
"""The minute that an input which never had a time stands at once it has ended: it holds nobody back."""


class RuleRequested(msgspec.Struct, array_like=True, tag=5, gc=False):
    """A check-in created its monitor, or changed its config: keep what the monitor really sends for a while."""

    organization_id: int
    project_id: int
    slug: str
    received_us: int
    """When the check-in came: the rule holds from there."""
    topic: str
    partition: int
    offset: int


Item = CheckIn | Control | Change | RuleRequested


class Chunk(msgspec.Struct, array_like=True):
    """Items in order, on their way from one origin to one key group, and the clock that holds behind them."""

    origin: int
    """Which partition or key group it comes from."""
    target: int
    """The key group it goes to."""
    items: list[Item]
    clock_minute: int = NO_MINUTE
    """Everything that the origin holds before this minute has been sent; NO_MINUTE: nothing new."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _decode_chunk, (_encode(self),)


class Sampled(Chunk, array_like=True):
    """A chunk on its way to sampling: what passed the gate."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _decode_sampled, (_encode(self),)


class Volumes(msgspec.Struct, array_like=True):
    """How many check-ins a gate group let in, by minute; complete for all minutes before its clock."""

    origin: int
    """The gate group."""
    target: int
    """Always 0: one key judges the whole."""
    counts: dict[int, int]
    clock_minute: int

    def __reduce__(self) -> tuple[Any, ...]:
        return _decode_volumes, (_encode(self),)


class Ticks(msgspec.Struct, array_like=True):
    """What has been decided about the ticks up to `clock_minute`, on its way to one key group."""

    target: int
    events: list[TickEvent]
    """In order; ticks that are not named are NORMAL."""
    clock_minute: int
    clear_until: int
    """Ticks up to this one will be NORMAL, whatever comes."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _decode_ticks, (_encode(self),)


class Records(msgspec.Struct, array_like=True):
    """Changes to tables: deletes, and then rows in order (see `state.schema.catalogue`)."""

    shard: int
    rows: Rows
    sent_at: float = 0.0
    """With several shards, of what goes to all of them: the machine's time, in seconds since the epoch; 0: unknown."""
    deletes: Deletes = msgspec.field(default_factory=dict)

    def __reduce__(self) -> tuple[Any, ...]:
        return _decode_records, (_encode(self),)


class PackedRecords(msgspec.Struct, array_like=True):
    """Records as they are stored and sent: which class a row is of depends on the table."""

    shard: int
    rows: dict[str, msgspec.Raw]
    sent_at: float = 0.0
    deletes: dict[str, list[tuple[Any, ...]]] = msgspec.field(default_factory=dict)


def unpacked(packed: PackedRecords) -> Records:
    """Records that were packed. Raises msgspec.DecodeError."""
    rows: Rows = {name: _row_decoders[name].decode(some) for name, some in packed.rows.items()}
    return Records(packed.shard, rows, packed.sent_at, packed.deletes)


class Message(msgspec.Struct, array_like=True, gc=False):
    """One message for the occurrences topic."""

    id: str
    key: str
    """The fingerprint."""
    payload: bytes
    """JSON."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _decode_message, (_encode(self),)


class DeadLetter(msgspec.Struct, array_like=True, gc=False):
    """Bytes that are no message, and where they were."""

    topic: str
    partition: int
    offset: int
    reason: str
    original: bytes

    def __reduce__(self) -> tuple[Any, ...]:
        return _decode_dead_letter, (_encode(self),)


_encode = msgspec.msgpack.Encoder().encode
_chunk_decoder = msgspec.msgpack.Decoder(Chunk)
_sampled_decoder = msgspec.msgpack.Decoder(Sampled)
_volumes_decoder = msgspec.msgpack.Decoder(Volumes)
_ticks_decoder = msgspec.msgpack.Decoder(Ticks)
_records_decoder = msgspec.msgpack.Decoder(PackedRecords)
_row_decoders: dict[str, Any] = {
    name: msgspec.msgpack.Decoder(GenericAlias(list, (table.row,))) for name, table in TABLES.items()
}
_message_decoder = msgspec.msgpack.Decoder(Message)
_dead_letter_decoder = msgspec.msgpack.Decoder(DeadLetter)


# pickle takes functions by their name, and a decoder's method has none.


def _decode_chunk(data: bytes) -> Chunk:
    return _chunk_decoder.decode(data)


def _decode_sampled(data: bytes) -> Sampled:
    return _sampled_decoder.decode(data)


def _decode_volumes(data: bytes) -> Volumes:
    return _volumes_decoder.decode(data)


def _decode_ticks(data: bytes) -> Ticks:
    return _ticks_decoder.decode(data)


def _decode_records(data: bytes) -> Records:
    return unpacked(_records_decoder.decode(data))


def _decode_message(data: bytes) -> Message:
    return _message_decoder.decode(data)


def _decode_dead_letter(data: bytes) -> DeadLetter:
    return _dead_letter_decoder.decode(data)
