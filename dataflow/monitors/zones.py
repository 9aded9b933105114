"""Time zones: what the clocks on the wall show."""

from __future__ import annotations

from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from state.zones import load_zone

WALL_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - wall-clock times have no zone
"""Wall-clock minutes count from here."""
MINUTE = timedelta(minutes=1)
_UTC_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class LocalTime:
    """What the clocks on the wall show in a time zone.

    Times are whole minutes since the epoch, UTC, unless they are called wall-clock minutes.
    """

    __slots__ = ("_zone",)

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone

    @classmethod
    def of(cls, name: str) -> LocalTime:
        """That of a zone by its IANA name. Raises KeyError if there is none of this name."""
        return cls(load_zone(name))

    def wall(self, minute: int) -> int:
        """The wall-clock minute at a minute. Raises OverflowError outside years 1-9999."""
        return minute + _offset((_UTC_EPOCH + minute * MINUTE).astimezone(self._zone))

    def minutes(self, wall: int) -> tuple[int, int]:
        """The minutes at which the clocks show this wall minute. Raises OverflowError outside years 1-9999.

        Both the same: the usual case. The first smaller: shown twice. The first greater: never shown; then
        the first is as if the clocks had not been put forward, the second as if they had been already.
        """
        shown = (WALL_EPOCH + wall * MINUTE).replace(tzinfo=self._zone)
        return wall - _offset(shown), wall - _offset(shown.replace(fold=1))

    def first_shown(self, wall: int) -> int:
        """The first minute at which the clocks show a wall-clock minute, or have skipped it."""
        early, late = self.minutes(wall)
        if early <= late:
            return early
        return bisect_left(range(early), True, lo=late, key=lambda minute: self.wall(minute) >= wall)


def _offset(shown: datetime) -> int:
    """Whole minutes that the wall clock is ahead of UTC."""
    offset = shown.utcoffset()
    assert offset is not None
    return offset // MINUTE
