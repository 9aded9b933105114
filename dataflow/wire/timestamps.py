"""Times as messages spell them, to µs since the epoch."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

LATEST_US = 253_402_300_799_999_999
"""The last µs of the year 9999, the end of what datetime and DuckDB can both tell."""
_LATEST_S = LATEST_US // 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class _Stamped(msgspec.Struct, gc=False):
    ts: datetime | int | float


class _Spelled(msgspec.Struct, gc=False):
    ts: Any


_decode_usual = msgspec.json.Decoder(_Stamped).decode
_decode_any = msgspec.json.Decoder(_Spelled).decode


def read_ts(line: bytes) -> int | None:
    """The broker's timestamp of a line of JSON, in µs; None if the line is no JSON object or has no `ts`
    that is a time (see `parse_time`)."""
    try:
        ts = _decode_usual(line).ts
    except msgspec.ValidationError:
        return _read_unusual_ts(line)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    return time_of(ts)


def time_of(ts: datetime | int | float) -> int | None:
    """A time in µs, from what msgspec makes of one; None as in `parse_time`."""
    if type(ts) is float and 0 <= ts < _LATEST_S:  # the usual one; NaN compares as False
        return round(ts * 1e6)
    return _from_datetime(ts) if isinstance(ts, datetime) else parse_time(ts)


def parse_time(value: object) -> int | None:
    """A time in µs, from ISO 8601 (without a zone: UTC) or from epoch seconds.

    None for anything else: infinities, times before 1970 or after the year 9999, booleans.
    """
    if isinstance(value, str):
        try:
            return _from_datetime(datetime.fromisoformat(value.strip()))
        except ValueError:
            return None
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        # Compared first: infinities, and what becomes one, cannot be rounded. NaN compares as False.
        return _in_range(round(value * 1e6)) if 0 <= value < LATEST_US else None
    if isinstance(value, int):
        return _in_range(value * 1_000_000)
    return None


def _read_unusual_ts(line: bytes) -> int | None:
    try:
        return parse_time(_decode_any(line).ts)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def _from_datetime(moment: datetime) -> int | None:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return _in_range((moment - _EPOCH) // _MICROSECOND)


def _in_range(time_us: int) -> int | None:
    return time_us if 0 <= time_us <= LATEST_US else None
