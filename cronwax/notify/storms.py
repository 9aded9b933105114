"""Storms: when many things happen at once, the first are sent one by one, and the rest in one digest. Pure."""

from __future__ import annotations

from typing import Literal

import msgspec

from cronwax.notify.notification import Named

MINUTE_MS = 60_000
Category = Literal["opens", "reminds", "notes", "ends"]
"""What is counted by itself, for each target."""


class Waiting(msgspec.Struct):
    """Something that will be in a digest."""

    key: str
    """The idempotency key that it would have had by itself."""
    route: str
    lane: str
    kind: str
    named: Named


class Window(msgspec.Struct):
    """A minute of one target and category, from the first thing that happened in it on.

    The first `size` of it are sent one by one; the rest wait for its end. A minute with more than `size` is followed by
    one in which all wait, until one has no more than that.
    """

    start_ms: int
    is_storm: bool = False
    """The minute before had too many: all of this one wait."""
    count: int = 0
    waiting: list[Waiting] = []

    def admit(self, size: int) -> bool:
        """Count one more within this minute; whether it is sent by itself."""
        self.count += 1
        return not self.is_storm and self.count <= size

    def is_over(self, now_ms: int) -> bool:
        """Whether its minute has passed."""
        return now_ms >= self.start_ms + MINUTE_MS

    def after(self, size: int) -> Window | None:
        """The window that follows at once; None: the next one begins when something happens again."""
        return Window(self.start_ms + MINUTE_MS, is_storm=True) if self.count > size else None
