"""Which monitors of a key group may have changed since they were last written down."""

from __future__ import annotations

from dataflow.monitors.monitor import Monitor


class Noted:
    """Monitors that may have changed, or are deleted, each once, in order."""

    __slots__ = ("_monitors",)

    def __init__(self) -> None:
        self._monitors: list[Monitor] = []

    def __len__(self) -> int:
        return len(self._monitors)

    def add(self, monitor: Monitor) -> None:
        """It may have changed."""
        if not monitor.is_noted:
            monitor.is_noted = True
            self._monitors.append(monitor)

    def take(self) -> list[Monitor]:
        """Those that were added since the last call."""
        noted, self._monitors = self._monitors, []
        for monitor in noted:
            monitor.is_noted = False
        return noted
