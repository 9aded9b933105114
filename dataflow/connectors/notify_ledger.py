"""The notifier's ledger, read by the flow's own writer: so its attempts get into the tables, and these have one writer.

The notifier is a process of its own, with an SQLite file that it writes while others read. What it promises to readers
is the view `published_attempts` (`cronwax.notify.ledger`).
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import msgspec

from dataflow.process.log import warn
from state.schema.tables.silences import NotificationRow

LEDGER = Path("notify", "ledger.sqlite3")
"""Below the data folder."""
_AT_ONCE = 20_000
"""Attempts that are read in one go: the others follow with the next epoch."""
_QUERY = """
    SELECT id, message, attempt, target, created_ms, asked_ms, answered_ms, outcome, detail, body
    FROM published_attempts WHERE id >= ? OR id IN (SELECT value FROM json_each(?)) ORDER BY id LIMIT ?"""


class _Event(msgspec.Struct):
    project_id: int | None = None
    slug: str = ""
    environment: str = ""
    incident_id: str = ""
    owner: str | None = None


class _Body(msgspec.Struct):
    """What is read of a notification."""

    route: str
    does: str
    kind: str
    title: str
    event: _Event | None = None


_decode = msgspec.json.Decoder(_Body).decode


class NotifyLedger:
    """Reads what has been added or answered since it was last asked."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / LEDGER
        self._next_id = 0
        """Attempts before it have been read."""
        self._open: list[int] = []
        """Those of them that had no answer."""
        self._inode = 0
        self._complaint = ""

    def rows(self) -> list[NotificationRow]:
        """The attempts that are new, or that have been answered; none where there is no ledger, or none that can be
        read, which is said once."""
        try:
            inode = self._path.stat().st_ino
        except OSError:
            return []
        if inode != self._inode:  # another ledger
            self._inode, self._next_id, self._open = inode, 0, []
        try:
            uri = f"{self._path.absolute().as_uri()}?mode=ro"
            with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=1.0)) as ledger:
                given = [self._next_id, json.dumps(self._open), _AT_ONCE]
                found = ledger.execute(_QUERY, given).fetchall()
            changed = [each for each in found if each[0] >= self._next_id or each[7] is not None]
            rows = [_row(each) for each in changed]
        except (sqlite3.Error, msgspec.DecodeError, UnicodeDecodeError) as error:
            self._complain(str(error))
            return []
        self._complaint = ""
        self._open = [number for number, *_, outcome, _, _ in found if outcome is None]
        self._next_id = max([self._next_id, *(number + 1 for number, *_ in found)])
        return rows

    def _complain(self, text: str) -> None:
        if text != self._complaint:
            self._complaint = text
            warn("notify_ledger", text=f"{self._path}: its notifications are not published: {text}")


def _row(found: tuple[Any, ...]) -> NotificationRow:
    _, message, attempt, target, created_ms, asked_ms, answered_ms, outcome, detail, text = found
    body = _decode(text)
    event = body.event if body.event is not None else _Event()
    is_about_monitor = event.project_id is not None
    return NotificationRow(
        message=message,
        attempt=attempt,
        target=target,
        route=body.route,
        does=body.does,
        kind=body.kind,
        project_id=event.project_id,
        slug=event.slug if is_about_monitor else None,
        environment=event.environment if is_about_monitor else None,
        incident_id=event.incident_id or None,
        owner=event.owner,
        title=body.title,
        planned_at=created_ms * 1_000,
        sent_at=asked_ms * 1_000,
        answered_at=answered_ms * 1_000 if answered_ms is not None else None,
        outcome=outcome,
        detail=detail,
    )
