"""What a key group of monitors cannot apply yet: items that depend on ticks about which nothing is known."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from dataflow.monitors.changes import MonitorItem
from dataflow.monitors.check_in import CheckIn
from dataflow.monitors.environment import Environment
from dataflow.monitors.monitor import Key, Monitor
from dataflow.monitors.receive import Left
from dataflow.monitors.times import FAR_MINUTE, NO_MINUTE, Minute

WaitingState = list[tuple[Minute, int, str, list[MonitorItem]]]
"""As a snapshot holds it: the tick, the monitor's project and slug, its items."""
Begun = list[tuple[int, str, int]]
"""As a snapshot holds it: a monitor's project and slug, and how far (`Left`) its first item has come."""


class WaitingItems:
    """Items by monitor, in order, and the tick that the first of each waits for.

    Whatever comes for a monitor that has items here waits after them.
    """

    __slots__ = ("_ticks", "begun", "items")

    def __init__(self, waiting: WaitingState = [], begun: Begun = []) -> None:  # noqa: B006 - read only
        self.items = {(project_id, slug): items for _, project_id, slug, items in waiting}
        """To be read only."""
        self._ticks = [(tick, project_id, slug) for tick, project_id, slug, _ in waiting]
        heapify(self._ticks)
        self.begun = {(project_id, slug): Left(left) for project_id, slug, left in begun}
        """Of monitors whose first item waits for no tick, but for the rest of what comes before it: how far it has
        come. To be read only."""

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

    @property
    def least_clock_minute(self) -> Minute:
        """The clock before all items: what monitors missed later is only found when their items are applied."""
        return min(map(self.clock_minute, self.items), default=FAR_MINUTE)

    def wait(self, key: Key, items: list[MonitorItem], tick: Minute) -> None:
        """Keep all that there is of a monitor until the tick that the first of it waits for."""
        self.items[key] = items
        heappush(self._ticks, (tick, *key))

    def leave(self, key: Key, items: list[MonitorItem], reached: Minute, left: Left) -> None:
        """Keep all that there is of a monitor until the next call: the first has come this far."""
        self.begun[key] = left
        self.wait(key, items, reached)

    def may_fire(self, monitor: Monitor, environment: Environment, due: Minute) -> bool:
        """Whether a deadline comes before all that waits for the monitor."""
        if not self.items:
            return True
        if due > self.clock_minute(monitor.key):
            return False
        # An item that goes by deadlines already fires those of its environment itself.
        left = self.begun.get(monitor.key, Left.DUE)
        return left is Left.DUE or self.items[monitor.key][0].environment != environment.name

    def append(self, key: Key, item: MonitorItem) -> None:
        """Keep another item of a monitor that has some here."""
        self.items[key].append(item)

    def take(self, tick: Minute) -> tuple[Key, list[MonitorItem], Left | None] | None:
        """All items of a monitor whose first one waits for this tick or an earlier one, and how far that has come if it
        has begun; None if there are none. By tick, then by name."""
        if not self._ticks or self._ticks[0][0] > tick:
            return None
        _, project_id, slug = heappop(self._ticks)
        key = (project_id, slug)
        return key, self.items.pop(key), self.begun.pop(key, None)

    def state(self) -> WaitingState:
        """What a snapshot needs."""
        return [(*entry, self.items[entry[1:]]) for entry in sorted(self._ticks)]

    def begun_state(self) -> Begun:
        """What a snapshot needs beside that."""
        return [(*key, int(left)) for key, left in sorted(self.begun.items())]
