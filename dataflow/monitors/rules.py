"""What can be set about the rules, for all monitors alike."""

from __future__ import annotations

import msgspec


class Rules(msgspec.Struct, frozen=True, gc=False):
    """The rules' parameters; with the defaults they are Sentry's. No part of any snapshot."""

    early_tolerance_us: int = 0
    """A run that begins up to so long (µs) before its scheduled time counts for that time."""


USUAL_RULES = Rules()
"""With nothing set."""
