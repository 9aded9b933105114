"""How far the inputs have been written, and whether the flow is reading something again."""

from __future__ import annotations

from collections.abc import Iterable

from state.schema.tables.internal import PartitionRow

_Input = tuple[str, int]


class Positions:
    """The furthest position of every input partition.

    A flow that resumes reads its last epoch again, which is in the database already. Until it is as far as it
    was, the tables are a mixture of then and now: `behind` says so, and the table `partitions` keeps the
    furthest position, so that this is still known after another crash.
    """

    def __init__(self, reached: Iterable[PartitionRow]) -> None:
        self._reached = {_input(row): row for row in reached}
        self._behind: dict[_Input, PartitionRow] = {}

    @property
    def behind(self) -> bool:
        """Some partition is being read again and is not yet where it had been."""
        return bool(self._behind)

    def advance(self, rows: Iterable[PartitionRow]) -> list[PartitionRow]:
        """Take new positions; returns those that are not a step back."""
        forward = []
        for row in rows:
            key = _input(row)
            if key in self._reached and _progress(row) < _progress(self._reached[key]):
                self._behind[key] = row
                continue
            self._behind.pop(key, None)
            self._reached[key] = row
            forward.append(row)
        return forward

    def accept(self) -> list[PartitionRow]:
        """Take the positions that are behind for the true ones; returns them."""
        rows = list(self._behind.values())
        self._reached |= self._behind
        self._behind = {}
        return rows


def _input(row: PartitionRow) -> _Input:
    return row.topic, row.partition


def _progress(row: PartitionRow) -> tuple[int, int]:
    return row.position, -1 if row.clock is None else row.clock
