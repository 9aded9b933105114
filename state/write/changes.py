"""What happens to one table between two commits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from state.schema.table import Row, Table

Prefix = tuple[Any, ...]
"""The first values of an identity: all rows that have them are deleted."""

_SLICE = 2048
"""Rows that are looked through, or let go of, in one call of the interpreter's own: other threads wait for each of
them."""
_COMPACT_AT = 500_000
"""Rows from which a log is worth shortening to what is left of it."""


class Changes:
    """Upserts and deletes of one table in order, kept until they are resolved into what is left of them.

    Taking rows is the hot path, so it only appends: which rows are replaced by later ones is found out in one
    pass at the commit, or when the log has doubled since it was last shortened.
    """

    __slots__ = ("_compact_at", "_has_deletes", "_key_of", "_log")

    def __init__(self, table: Table) -> None:
        self._key_of = table.key_of
        self._log: list[Row | Prefix] = []
        self._has_deletes = False
        self._compact_at = _COMPACT_AT

    def __len__(self) -> int:
        return len(self._log)

    def add(self, rows: Iterable[Row]) -> None:
        """Take rows, which replace those of the same identities."""
        self._log.extend(rows)
        if len(self._log) > self._compact_at:
            deletes, upserts = self.resolve()
            self._log = [*deletes, *upserts]
            self._has_deletes = bool(deletes)
            self._compact_at = max(_COMPACT_AT, 2 * len(self._log))

    def delete(self, prefixes: Iterable[Prefix]) -> None:
        """Take deletes of all rows whose identities begin so."""
        self._log.extend(prefixes)
        self._has_deletes = True

    def resolve(self) -> tuple[list[Prefix], list[Row]]:
        """The deletes, to be applied first, and the upserts, one for each identity."""
        if self._has_deletes:
            return self._resolve_deletes()
        rows, kept = cast(list[Row], self._log), dict[Prefix, Row]()
        for start in range(0, len(rows), _SLICE):
            some = rows[start : start + _SLICE]
            kept.update(zip(map(self._key_of, some), some, strict=True))
        return [], list(kept.values())

    def clear(self) -> None:
        """Forget everything taken."""
        while self._log:
            del self._log[-_SLICE:]
        self._has_deletes = False
        self._compact_at = _COMPACT_AT

    def _resolve_deletes(self) -> tuple[list[Prefix], list[Row]]:
        # Backwards, a row only counts if nothing later replaces it or deletes it by any of its beginnings.
        deleted: dict[Prefix, None] = {}
        lengths: set[int] = set()
        kept: dict[Prefix, Row] = {}
        for change in reversed(self._log):
            if isinstance(change, tuple):
                deleted[change] = None
                lengths.add(len(change))
                continue
            key = self._key_of(change)
            if key not in kept and not any(key[:length] in deleted for length in lengths):
                kept[key] = change
        return list(deleted)[::-1], list(kept.values())[::-1]
