"""What travels between steps: chunks of items, records, messages and dead letters.

The engine pickles whatever crosses from one process to another; here that is one `bytes` each, made by msgspec.
"""

from __future__ import annotations

from types import GenericAlias
from typing import Any

import msgspec

from dataflow.monitors.admission import RuleRequested
from dataflow.monitors.changes import Change, MaintenanceSet
from dataflow.monitors.check_in import NO_MINUTE, CheckIn, Control
from dataflow.monitors.decisions import TickEvent
from dataflow.monitors.event_order import Mark
from dataflow.stream.codecs import Sent, sent
from state.schema.catalogue import TABLES, Deletes, Rows

END_OF_TIME = 2**40
"""The minute that an input which never had a time stands at once it has ended: it holds nobody back."""


Item = CheckIn | Control | Change | MaintenanceSet | RuleRequested


class Reading(msgspec.Struct, array_like=True):
    """What puts the items of a chunk in order with those of other origins (see `monitors.event_order`)."""

    controls: list[int]
    """Which of the items are controls, by their places."""
    late: dict[int, int]
    """By their offsets, times (µs) of items by which they are ordered, where that is not their own."""
    marks: list[Mark]
    newest_us: int
    """The time of the newest message that was read, of all key groups; NO_TIME: none was."""
    read_us: int
    """Nothing earlier comes from the origin any more."""


@sent
class Chunk(Sent, array_like=True):
    """Items in order, on their way from one origin to one key group, and the clock that holds behind them."""

    origin: int
    """Which partition or key group it comes from."""
    target: int
    """The key group it goes to."""
    items: list[Item]
    clock_minute: int = NO_MINUTE
    """Everything that the origin holds before this minute has been sent; NO_MINUTE: nothing new."""
    order: Reading | None = None
    """On the way to the gate, where inputs are put in order: how far the origin has been read, and more."""
    is_last: bool = False
    """The inputs have ended: nothing more comes from the origin."""


@sent
class Sampled(Chunk, array_like=True):
    """A chunk on its way to sampling: what passed the gate."""


@sent
class Volumes(Sent, array_like=True):
    """How many check-ins a gate group let in, by minute; complete for all minutes before its clock."""

    origin: int
    """The gate group."""
    target: int
    """Always 0: one key judges the whole."""
    counts: dict[int, int]
    clock_minute: int
    is_last: bool = False
    """As of Chunk."""


@sent
class Ticks(Sent, array_like=True):
    """What has been decided about the ticks up to `clock_minute`, on its way to one key group."""

    target: int
    events: list[TickEvent]
    """In order; ticks that are not named are NORMAL."""
    clock_minute: int
    clear_until: int
    """Ticks up to this one will be NORMAL, whatever comes."""
    is_last: bool = False
    """As of Chunk."""


class Records(msgspec.Struct, array_like=True):
    """Changes to tables: deletes, and then rows in order (see `state.schema.catalogue`)."""

    shard: int
    rows: Rows
    sent_at: float = 0.0
    """With several shards, of what goes to all of them: the machine's time, in seconds since the epoch; 0: unknown."""
    deletes: Deletes = msgspec.field(default_factory=dict)
    worked_off: dict[int, int] = msgspec.field(default_factory=dict)
    """By key group of monitors: with this the tables hold all that ticks up to this minute have brought; NO_MINUTE:
    none yet. With several shards it goes to all of them, as the inputs' positions do."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _decode_records, (msgspec.msgpack.encode(self),)


class PackedRecords(msgspec.Struct, array_like=True):
    """Records as they are stored and sent: which class a row is of depends on the table."""

    shard: int
    rows: dict[str, msgspec.Raw]
    sent_at: float = 0.0
    deletes: dict[str, list[tuple[Any, ...]]] = msgspec.field(default_factory=dict)
    worked_off: dict[int, int] = msgspec.field(default_factory=dict)


def unpacked(packed: PackedRecords) -> Records:
    """Records that were packed. Raises msgspec.DecodeError."""
    rows: Rows = {name: _row_decoders[name].decode(some) for name, some in packed.rows.items()}
    return Records(packed.shard, rows, packed.sent_at, packed.deletes, packed.worked_off)


@sent
class Message(Sent, array_like=True, gc=False):
    """One message for the occurrences topic."""

    id: str
    key: str
    """The fingerprint."""
    payload: bytes
    """JSON."""


@sent
class BlockWrite(Sent, array_like=True, gc=False):
    """A block of a snapshot on its way to a key of its own (`steps.kept_blocks`)."""

    key: str
    data: bytes | None = None
    """Empty: there is no block at the moment; None: nor will there be."""


@sent
class DeadLetter(Sent, array_like=True, gc=False):
    """Bytes that are no message, and where they were."""

    topic: str
    partition: int
    offset: int
    reason: str
    original: bytes


_records_decoder = msgspec.msgpack.Decoder(PackedRecords)
_row_decoders: dict[str, Any] = {
    name: msgspec.msgpack.Decoder(GenericAlias(list, (table.row,))) for name, table in TABLES.items()
}


def _decode_records(data: bytes) -> Records:  # by its name for pickle: a decoder's method has none
    return unpacked(_records_decoder.decode(data))
