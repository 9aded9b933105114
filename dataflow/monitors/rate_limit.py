"""The rate limit: check-ins of one environment in one minute of broker time (SPEC, section 4).

It counts by the broker's timestamps, so a backlog is never rate limited for being a backlog.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice

from dataflow.monitors.check_in import CheckIn

KEPT_MINUTES = 2
"""Counts are kept this many minutes after the event clock has passed, for broker timestamps that are out of order."""

SavedCount = tuple[int, str, str, int]
"""Project id, slug, environment, count."""
SavedCounts = dict[int, list[SavedCount]]
"""By minute."""


class RateLimit:
    """How many check-ins each environment has had, by minute."""

    __slots__ = ("_counts", "_forgotten", "_limit", "_repeated", "_saved")

    def __init__(self, limit: int, saved: SavedCounts | None = None, fresh: Collection[int] = ()) -> None:
        """`limit`: check-ins of one environment that one minute may hold. `fresh`: the minutes of `saved` that
        `take_fresh` is to give all the same."""
        self._limit = limit
        self._counts: dict[int, dict[tuple[int, str, str], int]] = {
            minute: {(project, slug, name): count for project, slug, name, count in counts}
            for minute, counts in (saved or {}).items()
        }
        self._saved = {minute: len(counts) for minute, counts in self._counts.items() if minute not in fresh}
        """By minute, how many of the counts, which are in the order of their first check-ins, have been saved."""
        self._repeated: set[tuple[int, tuple[int, str, str]]] = set()
        """Counts of more than one that may have been saved as less."""
        self._forgotten: list[int] = []

    def is_exceeded_by(self, check_in: CheckIn, minute: int) -> bool:
        """Count a check-in that was received in this minute; whether it is one too many. One without a usable slug
        belongs to no monitor."""
        if not check_in.slug:
            return False
        counts = self._counts.get(minute)
        if counts is None:
            counts = self._counts[minute] = {}
        key = (check_in.project_id, check_in.slug, check_in.environment)
        count = counts.get(key, 0) + 1
        counts[key] = count
        if count > 1 and minute in self._saved:
            self._repeated.add((minute, key))
        return count > self._limit

    def forget_before(self, clock_minute: int) -> None:
        """Let go of what no late check-in is counted with any more, now that the event clock is here."""
        first = clock_minute - KEPT_MINUTES
        for minute in [minute for minute in self._counts if minute < first]:
            del self._counts[minute]
            self._saved.pop(minute, None)
            self._forgotten.append(minute)

    def take_forgotten(self) -> list[int]:
        """The minutes that were let go of since the last call. Late check-ins may have begun them again."""
        forgotten, self._forgotten = self._forgotten, []
        return forgotten

    def count_fresh(self) -> int:
        """How many counts `take_fresh` would give, about."""
        return sum(map(len, self._counts.values())) - sum(self._saved.values()) + len(self._repeated)

    def take_fresh(self) -> SavedCounts:
        """The counts that have changed since the last call, as they are now."""
        fresh: SavedCounts = {}
        for minute, counts in self._counts.items():
            known = self._saved.get(minute, 0)
            if len(counts) > known:
                fresh[minute] = [(*key, count) for key, count in islice(counts.items(), known, None)]
                self._saved[minute] = len(counts)
        for minute, key in sorted(self._repeated):
            if (count := self._counts.get(minute, {}).get(key)) is not None:
                fresh.setdefault(minute, []).append((*key, count))
        self._repeated.clear()
        return fresh

    def state(self) -> SavedCounts:
        """All counts."""
        return {
            minute: [(*key, count) for key, count in counts.items()]
            for minute, counts in self._counts.items()
        }
