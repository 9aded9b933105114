"""How much of what has come due at once goes into one epoch."""

from __future__ import annotations

from datetime import timedelta

WORK_IN_AN_EPOCH = 30_000
"""Check-ins and messages: what an epoch brings is in memory until it is written, and is written in one transaction."""
PAUSE = timedelta(milliseconds=100)
"""How long a key group waits before it looks whether the next epoch has begun."""


class EpochWork:
    """What is left of an epoch's work, for all key groups of a process; any of them says when an epoch ends.

    Workers are threads. What they count at the same time may be lost or be there twice, which does no harm.
    """

    def __init__(self, most: int = WORK_IN_AN_EPOCH) -> None:
        self._most = self._left = most

    def has_room(self) -> bool:
        """Whether anything may be done yet."""
        return self._left > 0

    def take(self, done: int) -> None:
        """So much was done."""
        self._left -= done

    def end_epoch(self) -> None:
        """From now on it is another epoch."""
        self._left = self._most
