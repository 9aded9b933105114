"""How far the inputs have been written, and whether the flow is reading something again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Row = tuple[Any, ...]
"""(topic, partition, position, clock in µs or None), as in the table `partitions`."""


class Positions:
    """The furthest position of every input partition.

    A flow that resumes reads its last epoch again, which is in the database already. Until it is as far as it
    was, the tables are a mixture of then and now: `behind` says so, and the table `partitions` keeps the
    furthest position, so that this is still known after another crash.
    """

    def __init__(self, reached: Iterable[Row]) -> None:
        self._reached = {row[:2]: row for row in reached}
        self._behind: dict[Row, Row] = {}

    @property
    def behind(self) -> bool:
        """Some partition is being read again and is not yet where it had been."""
        return bool(self._behind)

    def advance(self, rows: Iterable[Row]) -> list[Row]:
        """Take new positions; returns those that are no step back."""
        forward = []
        for row in rows:
            key = row[:2]
            if key in self._reached and _progress(row) < _progress(self._reached[key]):
                self._behind[key] = row
                continue
            self._behind.pop(key, None)
            self._reached[key] = row
            forward.append(row)
        return forward

    def accept(self) -> list[Row]:
        """Take the positions that are behind for the true ones; returns them."""
        rows = list(self._behind.values())
        self._reached |= self._behind
        self._behind = {}
        return rows


def _progress(row: Row) -> tuple[int, int]:
    _, _, position, clock = row
    return position, -1 if clock is None else clock
