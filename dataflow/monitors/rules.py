"""What can be set about the rules, for all monitors alike."""

from __future__ import annotations

import msgspec


class Rules(msgspec.Struct, frozen=True, gc=False):
    """The rules' parameters; with the defaults they are Sentry's. No part of any snapshot."""

    early_tolerance_us: int = 0
    """A run that begins up to so long (µs) before its scheduled time counts for that time."""
    clock_delay_us: int = 0
    """How far partitions' clocks stay behind their newest broker timestamps, in µs."""
    flapping_changes: int = 0
    """More changes between ok and error than that, within the window, are flapping; 0: none ever are."""
    flapping_window_minutes: int = 60


USUAL_RULES = Rules()
"""With nothing set."""
