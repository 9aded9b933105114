"""Rows of records as Arrow tables: the fastest way into DuckDB (a million values take some tens of ms)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from state.schema.catalogue import Table

_UUID = pa.uuid()
_TYPES: dict[str, Any] = {
    "int": pa.int64(),
    "id": pa.uint64(),
    "text": pa.string(),
    "bool": pa.bool_(),
    "float": pa.float64(),
    "time": pa.timestamp("us", tz="UTC"),
    "uuid": pa.binary(16),
    "json": pa.string(),
    "texts": pa.list_(pa.string()),
}
_SLICE_ROWS = 2048
"""So many rows at once are transposed and converted: what the one finds, the other still has in the core's cache, which
halves the time; and other threads wait for each of these calls."""
_UNSIGNED = {"project_id", "organization_id"}
"""Numbers of Sentry's that use all 64 bits; other ints are signed."""


def to_arrow(table: Table, rows: Sequence[tuple[Any, ...]]) -> Any:
    """Rows of `table`, all of the same length, as one Arrow table with the names of their columns.

    Text that is no valid Unicode gets replacement characters, numbers too large for 64 bits the largest (or
    smallest) that fits: nothing that a message can hold may stop the writer.
    """
    return pa.concat_tables(
        _slice_to_arrow(table, rows[start : start + _SLICE_ROWS])
        for start in range(0, len(rows), _SLICE_ROWS)
    )


def _slice_to_arrow(table: Table, rows: Sequence[tuple[Any, ...]]) -> Any:
    columns = zip(*rows, strict=True)
    arrays = {
        name: _array(name, kind, values) for (name, kind), values in zip(table.columns, columns, strict=False)
    }
    return pa.table(arrays)


def _array(name: str, kind: str, values: Sequence[Any]) -> Any:
    if kind == "int" and name in _UNSIGNED:
        kind = "id"
    try:
        array = pa.array(values, _TYPES[kind])
    except (pa.ArrowInvalid, OverflowError, UnicodeError):
        array = pa.array([None if value is None else _MENDERS[kind](value) for value in values], _TYPES[kind])
    return pa.ExtensionArray.from_storage(_UUID, array) if kind == "uuid" else array


def _unicode(value: str | bytes) -> str:
    """Text as it can be stored: what is no UTF-8, and lone surrogates, become replacement characters."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _clamp(low: int, high: int) -> Callable[[int], int]:
    return lambda value: min(max(value, low), high)


def _itself(value: Any) -> Any:
    return value


_MENDERS: dict[str, Callable[[Any], Any]] = {
    "int": _clamp(-(2**63), 2**63 - 1),
    "id": _clamp(0, 2**64 - 1),
    "text": _unicode,
    "bool": bool,
    "float": float,
    "time": _clamp(-(2**62), 2**62),
    "uuid": _itself,
    "json": _unicode,
    "texts": lambda values: [_unicode(value) for value in values],
}
"""How a value becomes one that its column can hold, by kind; for columns that do not convert as they are."""
