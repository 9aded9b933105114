"""What happens to one table between two commits."""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter
from typing import Any

Row = tuple[Any, ...]

_COMPACT_AT = 500_000
"""Rows from which a log is worth shortening to what is left of it."""


class Changes:
    """Upserts and deletes of one table in order, kept until they are resolved into what is left of them.

    Taking rows is the hot path, so it only appends: which rows are replaced by later ones is found out in one
    pass at the commit, or when the log has doubled since it was last shortened.
    """

    __slots__ = ("_compact_at", "_identity", "_key_of", "_log", "_width")

    def __init__(self, width: int, identity: int) -> None:
        self._width = width
        self._identity = identity
        self._key_of = itemgetter(*range(identity))
        self._log: list[Row] = []
        self._compact_at = _COMPACT_AT

    def __len__(self) -> int:
        return len(self._log)

    def add(self, rows: Iterable[Row]) -> None:
        """Take rows as long as the table (upserts) and shorter ones (deletes of all rows that begin so)."""
        self._log.extend(rows)
        if len(self._log) > self._compact_at:
            deletes, upserts = self.resolve()
            self._log = deletes + upserts
            self._compact_at = max(_COMPACT_AT, 2 * len(self._log))

    def resolve(self) -> tuple[list[Row], list[Row]]:
        """The deletes, to be applied first, and the upserts, one for each identity."""
        log = self._log
        if set(map(len, log)) <= {self._width}:
            return [], list(dict(zip(map(self._key_of, log), log, strict=True)).values())
        return self._resolve_deletes()

    def clear(self) -> None:
        """Forget everything taken."""
        self._log = []
        self._compact_at = _COMPACT_AT

    def _resolve_deletes(self) -> tuple[list[Row], list[Row]]:
        # Backwards, a row only counts if nothing later replaces it or deletes it by any of its beginnings.
        deleted: dict[Row, None] = {}
        lengths: set[int] = set()
        kept: dict[Row, Row] = {}
        for row in reversed(self._log):
            if len(row) < self._width:
                deleted[row] = None
                lengths.add(len(row))
            elif row[: self._identity] not in kept and not any(row[:length] in deleted for length in lengths):
                kept[row[: self._identity]] = row
        return list(deleted)[::-1], list(kept.values())[::-1]
