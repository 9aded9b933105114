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
        self._news_at: float | None = None

    def is_due(self, is_news: bool, now: float) -> bool:
        """Whether the flow gets a batch at this time, in seconds of any clock that only goes on: of news at once, and
        an empty one an interval after it."""
        if is_news:
            self._news_at = now
            return True
        if self._news_at is None or now - self._news_at < self._seconds:
            return False
        self._news_at = None
        return True
