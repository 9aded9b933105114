"""When an attempt that failed is made again. Pure but for the jitter, which is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

LONGEST_RETRY_AFTER_SECONDS = 3_600.0
"""A target that asks for a longer pause is asked again after this."""


@dataclass(frozen=True)
class Backoff:
    """Pauses that double, from `first` to `longest` seconds, each shortened by chance by up to a half: so targets that
    failed together are not asked together."""

    first_seconds: float
    longest_seconds: float

    def pause(self, failures: int, chance: Callable[[], float], asked_seconds: float | None = None) -> float:
        """Seconds until the next attempt after so many failures in a row (1 or more). `chance` gives 0 to 1;
        `asked_seconds`: what the target asked for (Retry-After)."""
        grown = self.first_seconds * 2.0 ** min(failures - 1, 40)
        pause = min(grown, self.longest_seconds) * (1 - chance() / 2)
        return max(pause, min(asked_seconds or 0.0, LONGEST_RETRY_AFTER_SECONDS))
