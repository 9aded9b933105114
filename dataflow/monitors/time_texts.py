"""Times as people and programs write them, to µs since the epoch."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

LATEST_US = 253_402_300_799_999_999
"""The last µs of the year 9999, the end of what datetime and DuckDB can both hold."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def parse_time(value: object) -> int | None:
    """A time in µs, from ISO 8601 (without a zone: UTC) or from epoch seconds.

    None for anything else: infinities, times before 1970 or after the year 9999, booleans.
    """
    if isinstance(value, str):
        try:
            return from_datetime(datetime.fromisoformat(value.strip()))
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


def from_datetime(moment: datetime) -> int | None:
    """A moment in µs, without a zone in UTC; None before 1970."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return _in_range((moment - _EPOCH) // _MICROSECOND)


def _in_range(time_us: int) -> int | None:
    return time_us if 0 <= time_us <= LATEST_US else None
