"""Numbers and times as the page says them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def duration(value: timedelta | None) -> str:
    """The two largest units: 2 d 3 h, 41 min, 7 s; below a second in ms."""
    if value is None:
        return ""
    seconds = value.total_seconds()
    if 0 < seconds < 1:
        return f"{seconds * 1_000:.0f} ms"
    rest = round(seconds)
    for place, (unit, size) in enumerate(_UNITS):
        if rest >= size:
            count, rest = divmod(rest, size)
            smaller = _UNITS[place + 1 : place + 2]
            second = [f"{rest // size} {unit}" for unit, size in smaller if rest >= size]
            return " ".join([f"{count} {unit}", *second])
    return "0 s"


def moment(value: datetime | None) -> str:
    """Date and minute in UTC."""
    return "" if value is None else f"{value.astimezone(UTC):%Y-%m-%d %H:%M}"


def percent(value: float | None) -> str:
    """A ratio in percent; only the whole is 100 %, a little less is not rounded up to it."""
    if value is None:
        return "–"
    return "100 %" if value == 1 else f"{min(value * 100, 99.99):.2f} %"
