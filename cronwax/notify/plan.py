"""What the planner knows of what is open, and what it has planned."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from cronwax.notify.events import Event
from cronwax.notify.notification import Notification
from cronwax.notify.storms import Category, Window
from dataflow.monitors.silences import Silence


class Notified(msgspec.Struct):
    """That a target was notified of an opening."""

    target: str
    route: str
    at_ms: int
    ends: bool = True
    """It is notified of the end, too."""
    waits: bool = False
    """Not yet: it waits for a digest."""
    thread: str | None = None
    """The key of the digest or note that said so; None: a notification of its own."""
    reminders: int = 0


class Incident(msgspec.Struct):
    """Something that is open."""

    event: Event
    """What opened it."""
    newest: Event | None = None
    """The newest failure since."""
    failures: int = 1
    is_held: bool = False
    """A silence keeps it from being notified."""
    notified: list[Notified] = []
    acknowledged_by: str = ""
    """Who has acknowledged it: nobody is reminded; empty: nobody has."""


@dataclass
class Plan:
    """What has changed, to be stored at once."""

    notifications: list[Notification] = field(default_factory=list)
    incidents: dict[str, Incident] = field(default_factory=dict)
    """Those that are open, by key."""
    ended: set[str] = field(default_factory=set)
    """Keys of those that are over."""
    windows: dict[tuple[str, Category], Window | None] = field(default_factory=dict)
    """By target and category; None: gone."""
    silences: list[Silence] = field(default_factory=list)
    """Announced, or ended."""

    def __bool__(self) -> bool:
        return bool(self.notifications or self.incidents or self.ended or self.windows or self.silences)
