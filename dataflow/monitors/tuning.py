"""What can be tuned for all monitors alike."""

from __future__ import annotations

import msgspec


class Tuning(msgspec.Struct, frozen=True, gc=False):
    """Parameters of the rules; with the defaults they are Sentry's. Not part of any snapshot."""

    early_tolerance_us: int = 0
    """A run that starts at most this many µs before its scheduled time counts as that scheduled run."""
    clock_delay_us: int = 0
    """How far partitions' clocks stay behind their newest broker timestamps, in µs."""
    flapping_changes: int = 0
    """More changes between ok and error than this, within the window, are flapping; 0: never."""
    flapping_window_minutes: int = 60


DEFAULT_TUNING = Tuning()
"""With nothing set."""
