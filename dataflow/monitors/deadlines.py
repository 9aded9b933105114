"""Deadlines of environments, by minute: a tick costs what is due, not what exists."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Any

from dataflow.monitors.due import earliest_due
from dataflow.monitors.environment import Environment
from dataflow.monitors.monitor import Monitor
from dataflow.monitors.times import FAR_MINUTE, Minute

Entry = tuple[Monitor, Environment]


class Deadlines:
    """Each environment has one entry that counts, at its earliest deadline or before it (`scheduled_minute`).

    One that comes up early goes back in, so a check-in that moves a deadline away costs nothing. Entries wait in a
    list per minute, and only the minutes in a heap: there are far fewer of those.
    """

    __slots__ = ("_entries", "_minutes")

    def __init__(self) -> None:
        self._entries: dict[Minute, list[Monitor | Environment]] = {}
        """By minute: a monitor, its environment, the next monitor; a pair each would be half of the memory."""
        self._minutes: list[Minute] = []

    def schedule(self, monitor: Monitor, environment: Environment) -> None:
        """Make sure that the environment comes up at its earliest deadline."""
        due = earliest_due(environment)
        if due < environment.scheduled_minute:
            self.enter(monitor, environment, due)

    def enter(self, monitor: Monitor, environment: Environment, due: Minute) -> None:
        """Let the environment come up at its earliest deadline, which is before its entry."""
        environment.scheduled_minute = due
        entries = self._entries.get(due)
        if entries is None:
            self._entries[due] = [monitor, environment]
            heappush(self._minutes, due)
        else:
            entries.append(monitor)
            entries.append(environment)

    @property
    def first_minute(self) -> Minute:
        """No deadline is before this minute; FAR_MINUTE: there is none."""
        return self._minutes[0] if self._minutes else FAR_MINUTE

    def forget(self, environment: Environment) -> None:
        """Let an environment never come up again: it is gone."""
        environment.scheduled_minute = FAR_MINUTE

    def take(self, until_minute: Minute) -> tuple[Minute, list[Entry]] | None:
        """The first minute that has come, and the environments with a deadline there, in order of their names.

        None if nothing is due until then. What was taken has no entry until it is scheduled again.
        """
        while self._minutes and self._minutes[0] <= until_minute:
            minute = heappop(self._minutes)
            if due := self._due_at(minute):
                due.sort(key=_name)
                return minute, due
        return None

    def _due_at(self, minute: Minute) -> list[Entry]:
        """What really falls due then; what is not due before later is entered again."""
        entries: Any = self._entries.pop(minute)
        due: list[Entry] = []
        for monitor, environment in zip(entries[::2], entries[1::2], strict=True):
            if environment.scheduled_minute != minute:
                continue  # gone, or entered again for an earlier minute
            environment.scheduled_minute = FAR_MINUTE
            if monitor.is_disabled:
                continue
            earliest = earliest_due(environment)
            if earliest <= minute:
                due.append((monitor, environment))
            elif earliest < FAR_MINUTE:
                self.enter(monitor, environment, earliest)
        return due


def _name(entry: Entry) -> tuple[int, str, str]:
    monitor, environment = entry
    return monitor.project_id, monitor.slug, environment.name
