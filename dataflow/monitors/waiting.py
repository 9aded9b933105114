"""What a key group of monitors cannot apply yet: items that depend on ticks about which nothing is known."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from dataflow.monitors.changes import MonitorItem
from dataflow.monitors.check_in import CheckIn
from dataflow.monitors.monitor import Key
from dataflow.monitors.times import FAR_MINUTE, NO_MINUTE, Minute

WaitingState = list[tuple[Minute, int, str, list[MonitorItem]]]
"""As a snapshot holds it: the tick, the monitor's project and slug, its items."""


class WaitingItems:
    """Items by monitor, in order, and the tick that the first of each waits for.

    Whatever comes for a monitor that has items here waits after them.
    """

    __slots__ = ("_ticks", "items")

    def __init__(self, waiting: WaitingState = []) -> None:  # noqa: B006 - read only
        self.items = {(project_id, slug): items for _, project_id, slug, items in waiting}
        """To be read only."""
        self._ticks = [(tick, project_id, slug) for tick, project_id, slug, _ in waiting]
        heapify(self._ticks)

    @property
    def first_tick(self) -> Minute:
        """The first tick that something waits for; FAR_MINUTE: nothing does."""
        return self._ticks[0][0] if self._ticks else FAR_MINUTE

    def clock_minute(self, key: Key) -> Minute:
        """The clock before a monitor's items: later ticks come after one of them; FAR_MINUTE: it has none.

        The first waits, but not all need come from its partition: one from a slower partition waits after it. (A
        control of a partition that has no clock is in no order with ticks.)
        """
        clock = FAR_MINUTE
        for item in self.items.get(key, ()):
            if item.clock_minute != NO_MINUTE or isinstance(item, CheckIn):
                clock = min(clock, item.clock_minute)
        return clock

    def wait(self, key: Key, items: list[MonitorItem], tick: Minute) -> None:
        """Keep all that there is of a monitor until the tick that the first of it waits for."""
        self.items[key] = items
        heappush(self._ticks, (tick, *key))

    def append(self, key: Key, item: MonitorItem) -> None:
        """Keep another item of a monitor that has some here."""
        self.items[key].append(item)

    def take(self, tick: Minute) -> tuple[Key, list[MonitorItem]] | None:
        """All items of a monitor whose first one waits for this tick or an earlier one; None if there are none.
        By tick, then by name."""
        if not self._ticks or self._ticks[0][0] > tick:
            return None
        _, project_id, slug = heappop(self._ticks)
        return (project_id, slug), self.items.pop((project_id, slug))

    def state(self) -> WaitingState:
        """What a snapshot needs."""
        return [(*entry, self.items[entry[1:]]) for entry in sorted(self._ticks)]
