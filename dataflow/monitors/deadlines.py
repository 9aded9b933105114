"""Deadlines of environments, by minute: a tick costs what is due, not what exists."""

from __future__ import annotations

from heapq import heappop, heappush

from dataflow.monitors.environment import FAR_MINUTE, Environment, Monitor

Entry = tuple[Monitor, Environment]


class Deadlines:
    """Each environment has one entry that counts, at its earliest deadline or before it (`scheduled_minute`).

    One that comes up early goes back in, so a check-in that moves a deadline away costs nothing. Entries wait in a
    list per minute, and only the minutes in a heap: there are far fewer of those.
    """

    __slots__ = ("_entries", "_minutes")

    def __init__(self) -> None:
        self._entries: dict[int, list[Entry]] = {}
        self._minutes: list[int] = []

    def schedule(self, monitor: Monitor, environment: Environment) -> None:
        """Make sure that the environment comes up at its earliest deadline."""
        due = environment.earliest_due()
        if due >= environment.scheduled_minute:
            return
        environment.scheduled_minute = due
        entries = self._entries.get(due)
        if entries is None:
            self._entries[due] = [(monitor, environment)]
            heappush(self._minutes, due)
        else:
            entries.append((monitor, environment))

    @property
    def first_minute(self) -> int:
        """No deadline is before this minute; FAR_MINUTE: there is none."""
        return self._minutes[0] if self._minutes else FAR_MINUTE

    def forget(self, environment: Environment) -> None:
        """Let an environment never come up again: it is gone."""
        environment.scheduled_minute = FAR_MINUTE

    def take(self, until_minute: int) -> tuple[int, list[Entry]] | None:
        """The first minute that has come, and the environments with a deadline there, in order of their names.

        None if nothing is due until then. What was taken has no entry until it is scheduled again.
        """
        while self._minutes and self._minutes[0] <= until_minute:
            minute = heappop(self._minutes)
            due = [entry for entry in self._entries.pop(minute) if self._falls_due(entry, minute)]
            if due:
                due.sort(key=_name)
                return minute, due
        return None

    def _falls_due(self, entry: Entry, minute: int) -> bool:
        monitor, environment = entry
        if environment.scheduled_minute != minute:
            return False  # gone, or entered again for an earlier minute
        environment.scheduled_minute = FAR_MINUTE
        if monitor.is_disabled:
            return False
        if environment.earliest_due() <= minute:
            return True
        self.schedule(monitor, environment)
        return False


def _name(entry: Entry) -> tuple[int, str, str]:
    monitor, environment = entry
    return monitor.project_id, monitor.slug, environment.name
