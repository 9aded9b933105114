"""What a key group of monitors cannot apply yet: items that depend on ticks about which nothing is known."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from dataflow.monitors.check_in import NO_MINUTE, CheckIn
from dataflow.monitors.environment import FAR_MINUTE
from dataflow.stream.items import Item, RuleRequested

Key = tuple[int, str]
"""(project id, slug)"""


class Parking:
    """Items by monitor, in order, and the tick that the first of each waits for.

    Whatever comes for a monitor that has items here waits behind them.
    """

    __slots__ = ("_ticks", "items")

    def __init__(self, parked: list[tuple[int, int, str, list[Item]]] = []) -> None:  # noqa: B006 - read only
        self.items = {(project_id, slug): items for _, project_id, slug, items in parked}
        """To be read only."""
        self._ticks = [(tick, project_id, slug) for tick, project_id, slug, _ in parked]
        heapify(self._ticks)

    @property
    def first_tick(self) -> int:
        """The first tick that something waits for; FAR_MINUTE: nothing does."""
        return self._ticks[0][0] if self._ticks else FAR_MINUTE

    def clock_minute(self, key: Key) -> int:
        """The clock before the items of a monitor, behind which ticks come after one of them; FAR_MINUTE: it has none.

        The first waits, but not all need come from its partition: one from a slower partition waits behind it. (A
        control of a partition that has no clock is in no order with ticks.)
        """
        clock = FAR_MINUTE
        for item in self.items.get(key, ()):
            assert not isinstance(item, RuleRequested)
            if item.clock_minute != NO_MINUTE or isinstance(item, CheckIn):
                clock = min(clock, item.clock_minute)
        return clock

    def park(self, key: Key, item: Item, tick: int) -> None:
        """Keep the first item of a monitor until the tick."""
        self.park_all(key, [item], tick)

    def park_all(self, key: Key, items: list[Item], tick: int) -> None:
        """Keep all that there is of a monitor until the tick, for the first of which it has to wait."""
        self.items[key] = items
        heappush(self._ticks, (tick, *key))

    def append(self, key: Key, item: Item) -> None:
        """Keep another item of a monitor that has some here."""
        self.items[key].append(item)

    def take(self, tick: int) -> tuple[Key, list[Item]] | None:
        """All items of a monitor whose first one waits for this tick or an earlier one; None if there are none.
        By tick, then by name."""
        if not self._ticks or self._ticks[0][0] > tick:
            return None
        _, project_id, slug = heappop(self._ticks)
        return (project_id, slug), self.items.pop((project_id, slug))

    def state(self) -> list[tuple[int, int, str, list[Item]]]:
        """What a snapshot needs."""
        return [(*entry, self.items[entry[1:]]) for entry in sorted(self._ticks)]
