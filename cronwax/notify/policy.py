"""What the routes file says about planning, and what kinds of target differ in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from cronwax.notify.routes import Routes


class Traits(NamedTuple):
    """What kinds of target differ in."""

    groups: bool = False
    """It groups by itself: storms are left to it."""
    takes_notes: bool = True
    """Reminders and notes mean something to it."""
    has_state: bool = False
    """What was opened there has to be closed there: ends are never put together, and a digest is closed when all that
    is in it is over."""


@dataclass(frozen=True)
class Policy:
    """What the routes file says about planning."""

    routes: Routes
    targets: Mapping[str, Traits]
    storm_size: int = 10
    """Openings of a target within a minute that are sent one by one."""
    link: str | None = None
    remind_after_ms: int | None = None
    """Of routes that do not say it themselves; None: nobody is reminded."""
