"""When a part that died is started again, and when it is given up."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 30.0
STEADY_SECONDS = 60.0
"""A part that ran for this long begins at the shortest pause again."""
DEATHS = 6
WITHIN_SECONDS = 300.0
"""A part that dies DEATHS times within this time keeps dying."""


@dataclass(slots=True)
class Backoff:
    """The pauses of one part. Times are seconds of a clock that never goes back."""

    _pause: float = FIRST_SECONDS
    _deaths: deque[float] = field(default_factory=deque)

    def died(self, started: float, now: float) -> float | None:
        """The pause before the next start, in seconds; None: it keeps dying."""
        if now - started >= STEADY_SECONDS:
            self._pause = FIRST_SECONDS
            self._deaths.clear()
        self._deaths.append(now)
        while self._deaths and now - self._deaths[0] > WITHIN_SECONDS:
            self._deaths.popleft()
        if len(self._deaths) >= DEATHS:
            return None
        pause, self._pause = self._pause, min(self._pause * 2, LONGEST_SECONDS)
        return pause
