"""Times as messages spell them, to µs since the epoch."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from dataflow.monitors.time_texts import LATEST_US, from_datetime, parse_time

LATEST_S = LATEST_US // 1_000_000
"""No time is as late, in seconds since the epoch."""


class _Stamped(msgspec.Struct, gc=False):
    ts: datetime | int | float


class _Spelled(msgspec.Struct, gc=False):
    ts: Any


_decode_usual = msgspec.json.Decoder(_Stamped).decode
_decode_any = msgspec.json.Decoder(_Spelled).decode


def read_ts(line: bytes) -> int | None:
    """The broker's timestamp of a line of JSON, in µs; None if the line is not a JSON object or has no `ts`
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
    if type(ts) is float and 0 <= ts < LATEST_S:  # the usual one; NaN compares as False
        return round(ts * 1e6)
    return from_datetime(ts) if isinstance(ts, datetime) else parse_time(ts)


def _read_unusual_ts(line: bytes) -> int | None:
    try:
        return parse_time(_decode_any(line).ts)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
