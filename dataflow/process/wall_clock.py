"""The wall clock. It moves the clock of an idle Kafka partition and dates signs of life; rules never read it."""

from __future__ import annotations

import time


def wall_clock_us() -> int:
    """Microseconds since the epoch."""
    return time.time_ns() // 1_000
