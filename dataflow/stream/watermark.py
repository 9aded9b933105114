"""The event clock: one slowest-of-many tracker, used wherever clocks meet."""

from __future__ import annotations

from collections.abc import Sequence

from dataflow.monitors.check_in import NO_MINUTE
from dataflow.stream.items import END_OF_TIME


class Watermark:
    """The slowest of a fixed set of inputs' clocks, in whole minutes. It never goes back.

    The inputs have names, so that what a snapshot holds finds its input again when others were added.
    """

    __slots__ = ("_clocks", "_names", "minute")

    def __init__(self, names: Sequence[str], state: tuple[int, dict[str, int]] | None = None) -> None:
        self.minute, known = state if state is not None else (NO_MINUTE, {})
        self._names = names
        self._clocks = [known.get(name, NO_MINUTE) for name in names]

    def advance(self, origin: int, minute: int) -> bool:
        """Take an input's clock; whether the watermark moved by it."""
        clocks = self._clocks
        before = clocks[origin]
        if minute <= before:
            return False
        clocks[origin] = minute
        if before > self.minute:
            return False
        slowest = min(clocks)
        if slowest <= self.minute or slowest == END_OF_TIME:
            return False
        self.minute = slowest
        return True

    def slowest_beside(self, origin: int) -> int:
        """The slowest clock of the other inputs; END_OF_TIME if there are none."""
        others = (clock for index, clock in enumerate(self._clocks) if index != origin)
        return min(others, default=END_OF_TIME)

    def state(self) -> tuple[int, dict[str, int]]:
        """What a snapshot needs: the watermark and the clocks by name."""
        return self.minute, dict(zip(self._names, self._clocks, strict=True))
