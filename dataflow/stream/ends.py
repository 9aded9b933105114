"""The end of the inputs, as a step hears of it."""

from __future__ import annotations

from collections.abc import Iterable


class Ends:
    """Which of a fixed set of origins have said that nothing more comes from them.

    It is in no snapshot: inputs say so in every run.
    """

    __slots__ = ("_left",)

    def __init__(self, origins: Iterable[int]) -> None:
        self._left = set(origins)

    def take(self, origin: int) -> bool:
        """An origin has ended; whether it was the last one."""
        if origin not in self._left:
            return False
        self._left.remove(origin)
        return not self._left
