"""Records that may not be on disk yet, as the recovery store holds them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import zstandard

from dataflow.process.exit import LastingError
from dataflow.stream.items import PackedRecords, Records, unpacked
from state.schema.catalogue import TABLES, Rows
from state.schema.table import Kind, Row, Table
from state.write.data_mark import DataMark

VERSION = 3
"""Of the layout. Until version 2 it was the blocks alone. In version 1 the columns of a row's identity came first, and
a delete was a row of only these."""
_BLOCK_BYTES = 256_000
"""Records are compressed in blocks of about this size, as they come."""


class Encoded:
    """Records as snapshots hold them. Made bit by bit, as at the end of an epoch everything would wait for it."""

    def __init__(self) -> None:
        self.blocks: list[tuple[int, bytes]] = []
        """Each with its size before it was compressed."""
        self.size_bytes = self.raw_bytes = 0
        """With and without compression."""
        self._block: list[bytes] = []
        self._block_bytes = 0

    def add(self, records: list[Records]) -> None:
        """Take records, in order."""
        for each in records:
            encoded = _encode(each)
            self._block.append(encoded)
            self._block_bytes += len(encoded)
        if self._block_bytes >= _BLOCK_BYTES:
            self.finish()

    def finish(self) -> None:
        """Nothing more comes for now: what there is becomes a block."""
        if self._block:
            block = _encode([msgspec.Raw(each) for each in self._block])
            self.blocks.append((len(block), _compress(block)))
            self.size_bytes += len(self.blocks[-1][1])
            self.raw_bytes += len(block)
            self._block, self._block_bytes = [], 0


class Unwritten(msgspec.Struct, array_like=True):
    """What a snapshot holds."""

    blocks: list[tuple[int, bytes]]
    """Each with its size before it was compressed."""
    mark: DataMark | None = None
    """Of the file that everything else is in."""
    worked_off: dict[int, int] = msgspec.field(default_factory=dict)
    """By key group, as of these records (`Records.worked_off`): the file has the slowest alone."""


class Left(NamedTuple):
    """What an execution has left to be written."""

    records: list[Records]
    mark: DataMark | None
    worked_off: dict[int, int]


def encoded_blocks(
    blocks: list[tuple[int, bytes]], mark: DataMark | None, worked_off: dict[int, int]
) -> bytes:
    """Blocks as one snapshot, with the mark of the file that everything else is in, and how far key groups are."""
    return _encode((VERSION, Unwritten(blocks, mark, dict(sorted(worked_off.items())))))


def decoded(snapshot: bytes) -> Left:
    """What is in a snapshot of this or an earlier release. Raises LastingError if it is of a later one."""
    version, raw = _decode_version(snapshot)
    if version > VERSION:
        raise LastingError(
            f"recovery store: a newer release stored the rows that are still to be written (version {version})"
        )
    decode = _decode_version_1 if version == 1 else _decode
    unwritten = Unwritten(_decode_blocks(raw)) if version < 3 else _decode_unwritten(raw)
    decompress = zstandard.ZstdDecompressor().decompress
    records = [
        each for size, block in unwritten.blocks for each in decode(decompress(block, max_output_size=size))
    ]
    return Left(records, unwritten.mark, unwritten.worked_off)


class _Version1(msgspec.Struct, array_like=True):
    shard: int
    rows: dict[str, list[list[Any]]]
    sent_at: float = 0.0


def _compress(block: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=1).compress(block)  # not to be shared: workers are threads


_encode = msgspec.msgpack.Encoder().encode
_decode_version = msgspec.msgpack.Decoder(tuple[int, msgspec.Raw]).decode
_decode_blocks = msgspec.msgpack.Decoder(list[tuple[int, bytes]]).decode
_decode_unwritten = msgspec.msgpack.Decoder(Unwritten).decode
_decode_values = msgspec.msgpack.Decoder(list[list[Any]]).decode
_packed_records = msgspec.msgpack.Decoder(list[PackedRecords]).decode
_records_of_version_1 = msgspec.msgpack.Decoder(list[_Version1]).decode


def _decode(block: bytes) -> list[Records]:
    return [_unpacked(packed) for packed in _packed_records(block)]


def _unpacked(packed: PackedRecords) -> Records:
    try:
        return unpacked(packed)
    except msgspec.ValidationError:  # of a release whose tables had fewer columns
        rows: Rows = {
            name: [_padded(TABLES[name], values) for values in _decode_values(some)]
            for name, some in packed.rows.items()
        }
        return Records(packed.shard, rows, packed.sent_at, packed.deletes, packed.worked_off)


def _padded(table: Table, values: list[Any]) -> Row:
    """A row of an earlier release: the columns that came since have what an upgrade gives to the rows before them."""
    named = {column.name: _FILLS[column.since.fill] for column in table.columns[len(values) :]}
    return table.row(**dict(zip(table.names, values, strict=False)), **named)


_FILLS = {"NULL": None, "false": False}
"""What `Since.fill` is as a value."""


def _decode_version_1(block: bytes) -> list[Records]:
    return [
        Records(old.shard, rows, old.sent_at, deletes)
        for old in _records_of_version_1(block)
        for rows, deletes in _in_order(old.rows)
    ]


def _in_order(old: dict[str, list[list[Any]]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Rows and deletes, by table; one at a time, as deletes stood among the rows."""
    for name, rows in old.items():
        table = TABLES[name]
        for row in rows:
            if len(row) <= len(table.identity):
                yield {}, {name: [tuple(row)]}
            else:
                yield {name: [_row_of_version_1(table, row)]}, {}


def _row_of_version_1(table: Table, values: list[Any]) -> Row:
    names = [*table.identity, *(name for name in table.names if name not in table.identity)]
    named = dict(zip(names, values, strict=False))
    for column in table.columns:
        named.setdefault(column.name, _FILLS[column.since.fill])
        if column.kind is Kind.JSON and isinstance(named[column.name], str):
            named[column.name] = named[column.name].encode("utf-8", "surrogatepass")
    return table.row(**named)
