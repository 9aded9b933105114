"""How old an answer is: by the event clock, and since its snapshot was published."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

import duckdb


class Age(NamedTuple):
    """What a snapshot says about its own time."""

    event_clock: datetime | None
    """None: no partition has a clock yet."""
    published_at: datetime | None

    def headline(self, now: datetime, zone: tzinfo = UTC) -> str:
        """One line: `as of 2025-03-03 23:59 UTC, published 3 min ago`."""
        if self.event_clock is None:
            begin = "as of the beginning: no input has a clock yet"
        else:
            begin = f"as of {self.event_clock.astimezone(zone):%Y-%m-%d %H:%M %Z}"
        if self.published_at is None:
            return begin
        return f"{begin}, published {roughly(now - self.published_at)} ago"


def age_of(connection: duckdb.DuckDBPyConnection) -> Age:
    """The age of the snapshot behind a connection."""
    row = connection.execute("SELECT event_clock, published_at FROM snapshot_info").fetchone()
    return Age(*row) if row is not None else Age(None, None)


def roughly(span: timedelta) -> str:
    """A span in its largest unit, such as `3 min` or `2 days`."""
    seconds = max(0, round(span.total_seconds()))
    if seconds < 120:
        return f"{seconds} s"
    if seconds < 7_200:
        return f"{seconds // 60} min"
    if seconds < 172_800:
        return f"{seconds // 3_600} hours"
    return f"{seconds // 86_400} days"
