"""The wall clock. It moves the clock of an idle partition and dates signs of life; rules never read it."""

from __future__ import annotations

import time
from collections.abc import Callable

from dataflow.monitors.check_in import minute_of


def wall_clock_us() -> int:
    """Microseconds since the epoch."""
    return time.time_ns() // 1_000


class WallClock:
    """The wall clock as partitions that are idle follow it, and how far clocks may be apart."""

    def __init__(self, now_us: Callable[[], int], allowance_us: int) -> None:
        self.now_us = now_us
        self._allowance_us = allowance_us

    def latest_us(self) -> int:
        """The latest time that a message can have if all clocks are in step to within the allowance."""
        return self.now_us() + self._allowance_us

    def allowed_us(self, time_us: int) -> int:
        """The time that a partition read to its end then may be taken to have come to."""
        return time_us - self._allowance_us

    def minute_at(self, time_us: int) -> int:
        """The minute that a partition read to its end may stand at; every message before it has arrived."""
        return minute_of(self.allowed_us(time_us))
