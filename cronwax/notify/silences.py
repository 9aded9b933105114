"""Silences: times in which nobody is notified of what opens. When one holds is a rule of the flow's, and pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from cronwax.notify.events import Event
from dataflow.monitors.silences import Silence, Subject, silenced

GENERAL_ORGANIZATION = 1
"""Of projects that the projects file does not name."""


class Silences:
    """Those that were announced and are not over."""

    def __init__(
        self,
        known: Iterable[Silence] = (),
        organization_of: Callable[[int], int] = lambda project_id: GENERAL_ORGANIZATION,
    ) -> None:
        """`organization_of` says it of a project."""
        self._known = {silence.id: silence for silence in known}
        self._organization_of = organization_of

    @property
    def ask_owner(self) -> bool:
        """Whether any is about the monitors of an owner."""
        return any(silence.owner is not None for silence in self._known.values())

    def take(self, silence: Silence, now_ms: int) -> None:
        """One was announced, or ended early."""
        self._known = {key: each for key, each in self._known.items() if each.over_us() > now_ms * 1_000}
        self._known[silence.id] = silence

    def holding(self, event: Event, now_ms: int) -> Silence | None:
        """The silence that keeps an opening or a reminder from being sent now, the one that ends last; None: none does.

        Only what is about a monitor can be silenced. Ends of what was sent are sent all the same.
        """
        if event.project_id is None or not self._known:
            return None
        subject = Subject(
            self._organization_of(event.project_id),
            event.project_id,
            event.slug,
            event.environment,
            event.owner,
        )
        found = silenced(self._known.values(), subject, now_ms * 1_000)
        return found[0] if found is not None else None
