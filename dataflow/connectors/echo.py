"""When a source that has nothing new gives an empty batch, so that what its news brought about is published.

The engine lets a sink act only in an epoch that brings it something. What came too soon after a snapshot for the next
one would wait for it until something else comes.
"""

from __future__ import annotations


class Echo:
    """Of one partition."""

    def __init__(self, seconds: float) -> None:
        """`seconds`: the publishing interval."""
        self._seconds = seconds
        self._last_at = 0.0
        self._left = 0

    def is_due(self, is_news: bool, now: float) -> bool:
        """Whether the flow gets a batch at this time, in seconds of any clock that only goes on: of news at once, and
        an empty one an interval after it."""
        if is_news:
            self._last_at, self._left = now, 1
            return True
        if not self._left or now - self._last_at < self._seconds:
            return False
        self._last_at, self._left = now, self._left - 1
        return True
