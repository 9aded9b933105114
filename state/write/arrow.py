"""Rows of records as Arrow tables: the fastest way into DuckDB (a million values take some tens of ms)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pyarrow as pa
from msgspec.structs import astuple

from state.schema.table import Column, Kind, Row

_UUID = pa.uuid()
_TYPES: dict[Kind, Any] = {
    Kind.INT: pa.int64(),
    Kind.ID: pa.uint64(),
    Kind.TEXT: pa.string(),
    Kind.BOOL: pa.bool_(),
    Kind.FLOAT: pa.float64(),
    Kind.TIME: pa.timestamp("us", tz="UTC"),
    Kind.UUID: pa.binary(16),
    Kind.JSON: pa.string(),
    Kind.TEXTS: pa.list_(pa.string()),
}
_SLICE_ROWS = 2048
"""Rows that are transposed and converted at once: what the one finds, the other still has in the core's cache, which
halves the time; and other threads wait for each of these calls."""


def rows_to_arrow(columns: Sequence[Column], rows: Sequence[Row]) -> Any:
    """Rows of a table with these columns as one Arrow table with the names of the columns.

    Text that is not valid Unicode gets replacement characters, numbers too large for 64 bits the largest (or
    smallest) that fits: nothing that a message can hold may stop the writer.
    """
    return _to_arrow(columns, rows, lambda some: map(astuple, some))


def values_to_arrow(columns: Sequence[Column], values: Sequence[tuple[Any, ...]]) -> Any:
    """The same of tuples that have a value for each of the columns."""
    return _to_arrow(columns, values, lambda some: some)


def _to_arrow(
    columns: Sequence[Column],
    rows: Sequence[Any],
    as_tuples: Callable[[Sequence[Any]], Iterable[tuple[Any, ...]]],
) -> Any:
    return pa.concat_tables(
        _slice_to_arrow(columns, as_tuples(rows[start : start + _SLICE_ROWS]))
        for start in range(0, len(rows), _SLICE_ROWS)
    )


def _slice_to_arrow(columns: Sequence[Column], rows: Iterable[tuple[Any, ...]]) -> Any:
    values = zip(*rows, strict=True)
    return pa.table(
        {column.name: _array(column.kind, each) for column, each in zip(columns, values, strict=True)}
    )


def _array(kind: Kind, values: Sequence[Any]) -> Any:
    try:
        array = pa.array(values, _TYPES[kind])
    except (pa.ArrowInvalid, OverflowError, UnicodeError):
        array = pa.array([None if value is None else _FITTING[kind](value) for value in values], _TYPES[kind])
    return pa.ExtensionArray.from_storage(_UUID, array) if kind is Kind.UUID else array


def _unicode(value: str | bytes) -> str:
    """Text as it can be stored: what is not UTF-8, and lone surrogates, become replacement characters."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _clamp(low: int, high: int) -> Callable[[int], int]:
    return lambda value: min(max(value, low), high)


def _itself(value: Any) -> Any:
    return value


_FITTING: dict[Kind, Callable[[Any], Any]] = {
    Kind.INT: _clamp(-(2**63), 2**63 - 1),
    Kind.ID: _clamp(0, 2**64 - 1),
    Kind.TEXT: _unicode,
    Kind.BOOL: bool,
    Kind.FLOAT: float,
    Kind.TIME: _clamp(-(2**62), 2**62),
    Kind.UUID: _itself,
    Kind.JSON: _unicode,
    Kind.TEXTS: lambda values: [_unicode(value) for value in values],
}
"""How a value becomes one that its column can hold, by kind; for columns that do not convert as they are."""
