"""When a source that has nothing new gives an empty batch, so that several shards publish what its news brought about.

The engine lets a sink act only in an epoch that brings it something. One shard publishes what is left by itself
(`EpochPartition.publish_rest`); several must copy at the same epochs, which they know by the positions that sources
send to all of them.
"""

from __future__ import annotations

TIMES = 2
"""The first may come a moment too early: the interval is counted from when the positions had gone out."""
MIN_SECONDS = 1.0
"""Where each epoch is published: rows of news may come in a later epoch than it did."""


class Echo:
    """Of one partition."""

    def __init__(self, publish_interval: float, shards: int) -> None:
        """`publish_interval` in seconds."""
        self._seconds = max(publish_interval, MIN_SECONDS)
        self._times = TIMES if shards > 1 else 0
        self._last_at = 0.0
        self._left = 0

    def is_due(self, is_news: bool, now: float) -> bool:
        """Whether the flow gets a batch at this time, in seconds of any clock that only goes on: of news at once, and
        for several shards an empty one an interval after it, and once more after another."""
        if is_news:
            self._last_at, self._left = now, self._times
            return True
        if not self._left or now - self._last_at < self._seconds:
            return False
        self._last_at, self._left = now, self._left - 1
        return True
