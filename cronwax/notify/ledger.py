"""The ledger: what is open, what is to be sent, and each attempt, in one SQLite file. What it says happened is on disk.

    one transaction   positions in the input, what they brought, and the notifications planned from it
    one transaction   what came of an attempt, and which one begins next

So nothing is lost by a kill at any point; what is asked twice is only what a target was asked and whose answer was not
recorded, and it is asked under the same key.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from cronwax.notify.notification import Notification
from cronwax.notify.plan import Incident, Plan
from cronwax.notify.storms import Category, Window
from dataflow.monitors.silences import Silence

FOLDER = "notify"
"""Below the data folder; for its owner only."""
NAME = "ledger.sqlite3"
VERSION = 2
"""Version 1 knew no silences, and had no view for the published snapshot."""
DAY_MS = 86_400_000
_CUT_OFF = "the notifier ended before an answer was recorded"
_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE positions (part TEXT PRIMARY KEY, position TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE incidents (
    key TEXT PRIMARY KEY, is_open INTEGER NOT NULL, changed_ms INTEGER NOT NULL, body BLOB
) WITHOUT ROWID;
CREATE INDEX open_incidents ON incidents (key) WHERE is_open;
CREATE INDEX ended_incidents ON incidents (changed_ms) WHERE NOT is_open;
CREATE TABLE windows (
    target TEXT NOT NULL, category TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (target, category)
) WITHOUT ROWID;
CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    target TEXT NOT NULL,
    incident TEXT,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    created_ms INTEGER NOT NULL,
    next_ms INTEGER NOT NULL,
    ended_ms INTEGER,
    is_closed INTEGER NOT NULL DEFAULT 0,
    detail TEXT,
    body BLOB NOT NULL
);
CREATE INDEX waiting ON outbox (target, seq) WHERE state = 'waiting';
CREATE INDEX outbox_ended ON outbox (ended_ms) WHERE state <> 'waiting';
CREATE INDEX outbox_open ON outbox (target, incident) WHERE NOT is_closed;
CREATE INDEX outbox_incident ON outbox (incident) WHERE NOT is_closed;
CREATE TABLE lanes (
    target TEXT NOT NULL, lane TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (target, lane, seq)
) WITHOUT ROWID;
CREATE INDEX lanes_seq ON lanes (seq);
CREATE TABLE attempts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    seq INTEGER NOT NULL,
    number INTEGER NOT NULL,
    asked_ms INTEGER NOT NULL,
    answered_ms INTEGER,
    outcome TEXT,
    detail TEXT
);
CREATE INDEX attempts_seq ON attempts (seq);
CREATE INDEX attempts_open ON attempts (id) WHERE outcome IS NULL;
"""


_SINCE_2 = """
CREATE TABLE silences (id TEXT PRIMARY KEY, over_ms INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
CREATE VIEW published_attempts AS
SELECT a.id, o.key AS message, a.number AS attempt, o.target, o.created_ms, a.asked_ms, a.answered_ms, a.outcome,
    a.detail, CAST(o.body AS TEXT) AS body
FROM attempts AS a JOIN outbox AS o ON o.seq = a.seq
"""
"""The view is what the flow reads (`dataflow.connectors.notify_ledger`): columns may be added, and not changed."""


class LedgerError(Exception):
    """The ledger cannot be used; the text says why, in one line."""

    status = 1
    """The exit status: a later start may succeed."""


class LastingLedgerError(LedgerError):
    """The ledger cannot be used until a person has changed something."""

    status = 2


class Job(NamedTuple):
    """A notification that is being sent."""

    seq: int
    attempt: int
    """Its row in `attempts`."""
    number: int
    """The first attempt is 1."""
    notification: Notification


class Result(NamedTuple):
    """What came of an attempt."""

    outcome: str
    """sent, failed (it is tried again), refused or expired (it is not)."""
    detail: str
    next_ms: int = 0
    """Of a failed one, when it is tried again."""


class Ledger:
    """Used by several threads, one at a time. Every method raises LedgerError."""

    def __init__(self, folder: Path, *, is_read_only: bool = False) -> None:
        """Open it; made if it is not there, unless it is only to be read."""
        self._path = folder / NAME
        self._lock = threading.Lock()
        try:
            if is_read_only:
                self._db = sqlite3.connect(
                    f"file:{self._path.absolute()}?mode=ro", uri=True, check_same_thread=False
                )
                self._check_version()
                return
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
            self._db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._prepare()
        except OSError as error:
            raise LedgerError(f"{error.filename or self._path}: {error.strerror}") from None
        except sqlite3.DatabaseError as error:
            raise _words(self._path, error) from None

    def close(self) -> None:
        """No method works after it."""
        with self._lock:
            self._db.close()

    def positions(self) -> dict[str, str]:
        """Where reading goes on, by part of the input."""
        with self._reading() as db:
            return dict(db.execute("SELECT part, position FROM positions").fetchall())

    def open_incidents(self) -> dict[str, Incident]:
        """What is open, by key, in the order of the keys."""
        with self._reading() as db:
            rows = db.execute("SELECT key, body FROM incidents WHERE is_open ORDER BY key").fetchall()
        return {key: _decode_incident(body) for key, body in rows}

    def windows(self) -> dict[tuple[str, Category], Window]:
        """The minutes that are being counted."""
        with self._reading() as db:
            rows = db.execute("SELECT target, category, body FROM windows").fetchall()
        return {(target, category): _decode_window(body) for target, category, body in rows}

    def silences(self) -> list[Silence]:
        """Those that were not over when they were last looked through."""
        with self._reading() as db:
            rows = db.execute("SELECT body FROM silences ORDER BY id").fetchall()
        return [_decode_silence(body) for (body,) in rows]

    def was_ended(self, key: str) -> bool:
        """Whether something of this key was open, and is over."""
        with self._reading() as db:
            row = db.execute("SELECT is_open FROM incidents WHERE key = ?", [key]).fetchone()
        return row is not None and not row[0]

    def commit(self, plan: Plan, positions: Mapping[str, str], now_ms: int) -> None:
        """Take in what has been read and planned, at once."""
        with self._writing() as db:
            db.executemany("INSERT OR REPLACE INTO positions VALUES (?, ?)", list(positions.items()))
            db.executemany(
                "INSERT OR REPLACE INTO incidents VALUES (?, 1, ?, ?)",
                [(key, now_ms, _encode(incident)) for key, incident in plan.incidents.items()],
            )
            for notification in plan.notifications:
                _insert(db, notification)
            for key in sorted(plan.ended):
                db.execute("INSERT OR REPLACE INTO incidents VALUES (?, 0, ?, NULL)", [key, now_ms])
                db.execute("UPDATE outbox SET is_closed = 1 WHERE incident = ? AND NOT is_closed", [key])
            db.executemany(
                "INSERT OR REPLACE INTO silences VALUES (?, ?, ?)",
                [(silence.id, silence.over_us() // 1_000, _encode(silence)) for silence in plan.silences],
            )
            for (target, category), window in plan.windows.items():
                if window is None:
                    db.execute("DELETE FROM windows WHERE target = ? AND category = ?", [target, category])
                else:
                    db.execute(
                        "INSERT OR REPLACE INTO windows VALUES (?, ?, ?)", [target, category, _encode(window)]
                    )

    def advance(
        self, target: str, done: tuple[Job, Result] | None, now_ms: int, *, begin: bool
    ) -> Job | None:
        """Record what came of an attempt, and begin the next one of a target if there is one to begin: the oldest that
        is due and that no older one of its lanes still waits before."""
        with self._writing() as db:
            if done is not None:
                _record(db, *done, now_ms)
            if not begin:
                return None
            row = db.execute(_NEXT, {"target": target, "now": now_ms}).fetchone()
            if row is None:
                return None
            seq, attempts, body = row
            number = attempts + 1
            db.execute("UPDATE outbox SET attempts = ? WHERE seq = ?", [number, seq])
            attempt = db.execute(
                "INSERT INTO attempts (seq, number, asked_ms) VALUES (?, ?, ?)", [seq, number, now_ms]
            ).lastrowid
        assert attempt is not None
        return Job(seq, attempt, number, _decode_notification(body))

    def next_due_ms(self, target: str) -> int | None:
        """When the first of what waits for a target may be sent; None: nothing waits. It may have to wait longer,
        for others of its lanes."""
        with self._reading() as db:
            (due,) = db.execute(
                "SELECT min(next_ms) FROM outbox WHERE target = ? AND state = 'waiting'", [target]
            ).fetchone()
        return None if due is None else int(due)

    def still_open(self, target: str) -> list[Notification]:
        """The openings that a target has taken of what is still open."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT body FROM outbox WHERE target = ? AND incident IS NOT NULL AND NOT is_closed"
                " AND state = 'sent' ORDER BY seq",
                [target],
            ).fetchall()
        return [_decode_notification(body) for (body,) in rows]

    def expire(self, known: set[str], before_ms: int, now_ms: int) -> list[tuple[str, int]]:
        """Give up what has waited since before a time for targets that are not known; how many, by target."""
        with self._writing() as db:
            names = [name for (name,) in db.execute(
                "SELECT DISTINCT target FROM outbox WHERE state = 'waiting'"
            ).fetchall() if name not in known]  # fmt: skip
            given_up = []
            for name in names:
                rows = db.execute(
                    "SELECT seq FROM outbox WHERE target = ? AND state = 'waiting' AND created_ms < ?",
                    [name, before_ms],
                ).fetchall()
                for (seq,) in rows:
                    _finish(db, seq, "dead", "no target of its name was in the routes file", now_ms)
                if rows:
                    given_up.append((name, len(rows)))
        return given_up

    def prune(self, before_ms: int) -> int:
        """Forget what ended before a time: notifications, their attempts, and keys. Returns how many notifications."""
        with self._writing() as db:
            gone = (
                "SELECT seq FROM outbox WHERE state <> 'waiting' AND ended_ms < ?"
                " AND (is_closed OR incident IS NULL)"
            )
            db.execute(f"DELETE FROM attempts WHERE seq IN ({gone})", [before_ms])  # noqa: S608
            count = db.execute(f"DELETE FROM outbox WHERE seq IN ({gone})", [before_ms]).rowcount  # noqa: S608
            db.execute("DELETE FROM incidents WHERE NOT is_open AND changed_ms < ?", [before_ms])
            db.execute("DELETE FROM silences WHERE over_ms < ?", [before_ms])
        return count

    def query(self, sql: str, given: Mapping[str, object]) -> list[tuple[object, ...]]:
        """Ask something of the tables above."""
        with self._reading() as db:
            return db.execute(sql, given).fetchall()

    def _prepare(self) -> None:
        with self._writing() as db:
            (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if not tables:
                for statement in (_SCHEMA + _SINCE_2).split(";"):
                    db.execute(statement)
                db.execute("INSERT INTO meta VALUES ('version', ?)", [str(VERSION)])
            elif db.execute("SELECT 1 FROM meta WHERE name = 'version' AND value = '1'").fetchone():
                for statement in _SINCE_2.split(";"):
                    db.execute(statement)
                db.execute("UPDATE meta SET value = ? WHERE name = 'version'", [str(VERSION)])
            self._check_version()
            db.execute(
                "UPDATE attempts SET outcome = 'unknown', detail = ? WHERE outcome IS NULL", [_CUT_OFF]
            )

    def _check_version(self) -> None:
        row = self._db.execute("SELECT value FROM meta WHERE name = 'version'").fetchone()
        if row is None or row[0] != str(VERSION):
            raise LastingLedgerError(f"{self._path}: a newer Cronwax wrote it, or it is no ledger")

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._db
            except sqlite3.Error as error:
                raise _words(self._path, error) from None

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._reading() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")


_NEXT = """
SELECT o.seq, o.attempts, o.body FROM outbox AS o
WHERE o.target = :target AND o.state = 'waiting' AND o.next_ms <= :now
    AND NOT EXISTS (
        SELECT 1 FROM lanes AS own
        JOIN lanes AS other ON other.target = own.target AND other.lane = own.lane AND other.seq < own.seq
        WHERE own.seq = o.seq
    )
ORDER BY o.seq LIMIT 1
"""


def _insert(db: sqlite3.Connection, notification: Notification) -> None:
    """Put it into the outbox, unless it is there already, or has been."""
    opened = notification.event if notification.does == "opens" else None
    seq = db.execute(
        "INSERT OR IGNORE INTO outbox (key, target, incident, state, created_ms, next_ms, body)"
        " VALUES (?, ?, ?, 'waiting', ?, 0, ?) RETURNING seq",
        [
            notification.key,
            notification.target,
            opened.key if opened is not None else None,
            notification.created_ms,
            _encode(notification),
        ],
    ).fetchone()
    if seq is not None:
        lanes = [(notification.target, lane, seq[0]) for lane in notification.lanes]
        db.executemany("INSERT INTO lanes VALUES (?, ?, ?)", lanes)


def _record(db: sqlite3.Connection, job: Job, result: Result, now_ms: int) -> None:
    db.execute(
        "UPDATE attempts SET answered_ms = ?, outcome = ?, detail = ? WHERE id = ?",
        [now_ms, result.outcome, result.detail, job.attempt],
    )
    if result.outcome == "failed":
        db.execute(
            "UPDATE outbox SET next_ms = ?, detail = ? WHERE seq = ?",
            [result.next_ms, result.detail, job.seq],
        )
    else:
        state = "sent" if result.outcome == "sent" else "dead"
        _finish(db, job.seq, state, result.detail, now_ms)


def _finish(db: sqlite3.Connection, seq: int, state: str, detail: str, now_ms: int) -> None:
    db.execute(
        "UPDATE outbox SET state = ?, detail = ?, ended_ms = ? WHERE seq = ?", [state, detail, now_ms, seq]
    )
    db.execute("DELETE FROM lanes WHERE seq = ?", [seq])


def _words(path: Path, error: sqlite3.Error) -> LedgerError:
    text = f"{path}: {error}"
    if isinstance(error, sqlite3.OperationalError):
        return LedgerError(text)  # a full disk, a lock: that passes
    return LastingLedgerError(f"{text}; put back one that is whole, or remove it to begin again")


_encode = msgspec.json.Encoder().encode
_decode_incident = msgspec.json.Decoder(Incident).decode
_decode_window = msgspec.json.Decoder(Window).decode
_decode_silence = msgspec.json.Decoder(Silence).decode
_decode_notification = msgspec.json.Decoder(Notification).decode
