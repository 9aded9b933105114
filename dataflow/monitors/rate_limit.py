"""The rate limit: check-ins of one environment in one minute of broker time (SPEC, section 4).

It counts by the broker's timestamps, so a backlog is never rate limited for being a backlog.
"""

from __future__ import annotations

from dataflow.monitors.check_in import MINUTE_US, CheckIn

KEPT_MINUTES = 2
"""Counts are kept this many minutes after the event clock has passed, for broker timestamps that are out of order."""

SavedCounts = dict[int, list[tuple[int, str, str, int]]]
"""By minute: project id, slug, environment, count."""


class RateLimit:
    """How many check-ins each environment has had, by minute."""

    __slots__ = ("_counts", "_limit")

    def __init__(self, limit: int, saved: SavedCounts | None = None) -> None:
        """`limit`: check-ins of one environment that one minute may hold."""
        self._limit = limit
        self._counts: dict[int, dict[tuple[int, str, str], int]] = {
            minute: {(project, slug, name): count for project, slug, name, count in counts}
            for minute, counts in (saved or {}).items()
        }

    def is_exceeded_by(self, check_in: CheckIn) -> bool:
        """Count a check-in; whether it is one too many. One without a usable slug belongs to no monitor."""
        if not check_in.slug:
            return False
        minute = check_in.received_us // MINUTE_US
        counts = self._counts.get(minute)
        if counts is None:
            counts = self._counts[minute] = {}
        key = (check_in.project_id, check_in.slug, check_in.environment)
        count = counts.get(key, 0) + 1
        counts[key] = count
        return count > self._limit

    def forget_before(self, clock_minute: int) -> None:
        """Let go of what no late check-in is counted with any more, now that the event clock is here."""
        first = clock_minute - KEPT_MINUTES
        for minute in [minute for minute in self._counts if minute < first]:
            del self._counts[minute]

    def totals(self) -> dict[int, int]:
        """How many check-ins each minute has had: of one in which nothing more came, `minute_state` says the same."""
        return {minute: sum(counts.values()) for minute, counts in self._counts.items()}

    def minute_state(self, minute: int) -> list[tuple[int, str, str, int]]:
        """What a snapshot holds of a minute."""
        return [(project, slug, name, n) for (project, slug, name), n in self._counts[minute].items()]

    def state(self) -> SavedCounts:
        """What a snapshot holds."""
        return {minute: self.minute_state(minute) for minute in self._counts}
