"""Times, numbers and names as sentences have them. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo


@dataclass(frozen=True)
class Clock:
    """How times are written: in UTC, and in brackets in the monitor's zone where that is another."""

    zone_name: str
    zone: tzinfo

    def full(self, moment: datetime, names_zone: bool = False) -> str:
        """`2025-03-03 01:40 UTC (20:40)`; with the zone's name where it is given first."""
        text = in_utc(moment)
        if self.zone_name == "UTC":
            return text
        local = moment.astimezone(self.zone)
        is_same_day = local.date() == moment.astimezone(UTC).date()
        shown = f"{local:%H:%M}" if is_same_day else f"{local:%Y-%m-%d %H:%M}"
        return f"{text} ({shown} in {self.zone_name})" if names_zone else f"{text} ({shown})"

    def again(self, moment: datetime, day_of: datetime) -> str:
        """Without the date, if it is the day that was just named: `01:40:05`."""
        if moment.astimezone(UTC).date() != day_of.astimezone(UTC).date():
            return self.full(moment)
        at = moment.astimezone(UTC)
        text = f"{at:%H:%M:%S}" if at.second else f"{at:%H:%M}"
        if self.zone_name == "UTC":
            return text
        return f"{text} UTC ({moment.astimezone(self.zone):%H:%M})"


def in_utc(moment: datetime) -> str:
    """`2025-03-03 01:40 UTC`, with seconds where there are any."""
    at = moment.astimezone(UTC)
    return f"{at:%Y-%m-%d %H:%M} UTC" if not at.second else f"{at:%Y-%m-%d %H:%M:%S} UTC"


def count(number: int, one: str, many: str | None = None) -> str:
    """`1 failure`, `2 failures`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def span(length: timedelta) -> str:
    """How long: `an hour`, `90 minutes`, `2 days`."""
    seconds = round(length.total_seconds())
    minutes = round(seconds / 60)
    if seconds < 60:
        return count(seconds, "second")
    if minutes < 55:
        return count(minutes, "minute")
    if minutes <= 65:
        return "an hour"
    if minutes < 180:
        return count(minutes, "minute")
    if minutes < 48 * 60:
        return count(round(minutes / 60), "hour")
    return count(round(minutes / 1440), "day")


def ordinal(number: int) -> str:
    """`third`, `12th`."""
    words = (
        "",
        "first",
        "second",
        "third",
        "fourth",
        "fifth",
        "sixth",
        "seventh",
        "eighth",
        "ninth",
        "tenth",
    )
    if number < len(words):
        return words[number]
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


REASONS = {
    "CHECKIN_FINISHED": "its id is that of a run that had already ended",
    "CHECKIN_ENVIRONMENT_MISMATCH": "its id is that of a run in another environment",
    "CHECKIN_GUID_PROJECT_MISMATCH": "its id is that of a run in another project",
    "CHECKIN_INVALID_DURATION": "its duration is too long",
    "CHECKIN_INVALID_GUID": "its id is not a UUID",
    "CHECKIN_VALIDATION_FAILED": "a field of it is not valid",
    "CHECKIN_DROPPED": "the intake could not take it",
    "MONITOR_DISABLED": "the monitor was disabled",
    "MONITOR_DISABLED_NO_QUOTA": "no seat was left, and the monitor is disabled",
    "MONITOR_INVALID_CONFIG": "its monitor_config is not valid",
    "MONITOR_INVALID_ENVIRONMENT": "its environment's name is not valid",
    "MONITOR_LIMIT_EXCEEDED": "the organization has as many monitors as it may have",
    "MONITOR_NOT_FOUND": "there was no such monitor, and it brought no valid monitor_config",
    "MONITOR_OVER_QUOTA": "no seat was free",
    "MONITOR_ENVIRONMENT_LIMIT_EXCEEDED": "the monitor has as many environments as it may have",
    "MONITOR_ENVIRONMENT_RATELIMITED": "more came within that minute than the rate limit lets in",
    "ORGANIZATION_KILLSWITCH_ENABLED": "the organization's killswitch was on",
}
"""What the types of processing errors mean to somebody whose check-in was rejected."""
