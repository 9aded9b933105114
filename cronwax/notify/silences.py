"""Silences: times in which nobody is notified of what opens. The one rule of them is a pure function."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from cronwax.notify.events import Event


@dataclass(frozen=True)
class Silence:
    """What is silenced from `start_ms` (inclusive) to `end_ms` (exclusive), since the epoch; None: whatever it is."""

    start_ms: int
    end_ms: int
    project_id: int | None = None
    slug: str | None = None
    """A glob, as `environment` and `owner` are."""
    environment: str | None = None
    owner: str | None = None
    reason: str = ""


def silenced(event: Event, silences: Iterable[Silence], now_ms: int) -> Silence | None:
    """The silence that keeps an opening or a reminder from being sent now, the one that ends last; None: none does.

    Only what is about a monitor can be silenced. Ends of what was sent are sent all the same.
    """
    if event.project_id is None:
        return None
    found = [each for each in silences if each.start_ms <= now_ms < each.end_ms and _covers(each, event)]
    return max(found, key=lambda each: each.end_ms, default=None)


def _covers(silence: Silence, event: Event) -> bool:
    return (
        silence.project_id in (None, event.project_id)
        and (silence.slug is None or fnmatchcase(event.slug, silence.slug))
        and (silence.environment is None or fnmatchcase(event.environment, silence.environment))
        and (silence.owner is None or fnmatchcase(event.owner or "", silence.owner))
    )
