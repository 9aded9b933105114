"""The reference: the same rules in plain Python and SQLite, one transaction a batch, as one would write it in an
afternoon. It is what the flow is compared with, in speed and in what comes out: it shares no code with the flow.

Times are whole ms since the epoch. It knows check-ins from one file; no controls, seats or sampling.
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from croniter import croniter

BATCH = 4096
MINUTE = 60_000
FINISHED = ("ok", "error", "missed")
UNITS = {"minute": 1, "hour": 60, "day": 1440, "week": 10_080}
SCHEMA = """
CREATE TABLE monitors (id INTEGER PRIMARY KEY, organization INT, project INT, slug TEXT, config TEXT,
    UNIQUE (project, slug));
CREATE TABLE environments (id INTEGER PRIMARY KEY, monitor INT, name TEXT, status TEXT DEFAULT 'active',
    last_checkin INT, next_checkin INT, latest INT, failures TEXT DEFAULT '[]', oks INT DEFAULT 0, incident INT,
    succeeded INT DEFAULT -1, failed INT DEFAULT -1,
    UNIQUE (monitor, name));
CREATE INDEX due ON environments (latest);
CREATE TABLE check_ins (guid TEXT PRIMARY KEY, environment INT, status TEXT, date_added INT, date_updated INT,
    expected INT, timeout_at INT, duration INT, trace TEXT, ended_well INT DEFAULT 0) WITHOUT ROWID;
CREATE INDEX timing_out ON check_ins (timeout_at) WHERE timeout_at IS NOT NULL;
CREATE INDEX runs ON check_ins (environment, date_added);
CREATE TABLE incidents (id INTEGER PRIMARY KEY, environment INT, starting TEXT, started INT, resolving TEXT,
    resolved INT);
CREATE TABLE messages (id INTEGER PRIMARY KEY, body TEXT);
CREATE TABLE errors (id INTEGER PRIMARY KEY, type TEXT, payload TEXT);
"""


class Reference:
    """A database file, and what to do with one message after the other."""

    def __init__(self, path: Path, organizations: dict[str, int]) -> None:
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.row_factory = sqlite3.Row
        self.db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;" + SCHEMA)
        self.organizations = organizations
        self.clock: int | None = None
        self.counts: dict[tuple[Any, ...], int] = {}

    def replay(self, path: Path) -> None:
        """Apply a file of JSON Lines to its end."""
        with path.open(encoding="utf-8") as file:
            while lines := list(islice(file, BATCH)):
                self.db.execute("BEGIN")
                for line in lines:
                    self.message(json.loads(line))
                self.db.execute("COMMIT")

    def message(self, line: dict[str, Any]) -> None:
        """One message, then the ticks that it causes."""
        received = round(line["ts"] * 1000)
        if line["message"]["message_type"] == "check_in":
            self.check_in(line["message"], received)
        minute = received // MINUTE
        if self.clock is None or minute > self.clock:
            first = minute if self.clock is None else self.clock + 1
            self.clock = minute
            for tick in range(first, minute + 1):
                self.tick(tick * MINUTE)
            self.counts = {}

    def check_in(self, message: dict[str, Any], received: int) -> None:
        """The gate, the monitor, the environment, then the check-in itself."""
        payload = message["payload"]
        project, slug = message["project_id"], payload["monitor_slug"].lower()[:50]
        name = payload.get("environment") or "production"
        key = (project, slug, name, received // MINUTE)
        self.counts[key] = self.counts.get(key, 0) + 1
        if self.counts[key] > 6:
            return self.error("MONITOR_ENVIRONMENT_RATELIMITED", payload)
        try:
            guid = uuid.UUID(payload["check_in_id"]).hex
        except ValueError:
            return self.error("CHECKIN_INVALID_GUID", payload)
        before = self.config(project, slug)
        monitor = self.monitor(project, slug, payload.get("monitor_config"))
        if monitor is None:
            return self.error("MONITOR_NOT_FOUND", payload)
        environment = self.environment(monitor["id"], name)
        start = min(round(message["start_time"] * 1000), received)
        config = json.loads(monitor["config"])
        if environment["latest"] is not None and environment["latest"] <= start // MINUTE * MINUTE:
            self.catch_up(environment["id"], start // MINUTE * MINUTE)
            environment = self.environment(monitor["id"], name)
        asked = any(before.get(key) != config.get(key) for key in ("schedule", "timezone", "checkin_margin"))
        return self.apply(environment, config, guid, payload, start, asked)

    def config(self, project: int, slug: str) -> dict[str, Any]:
        """The config of a monitor, {} if there is none."""
        query = "SELECT config FROM monitors WHERE project = ? AND slug = ?"
        found = self.db.execute(query, (project, slug)).fetchone()
        return json.loads(found["config"]) if found else {}

    def monitor(self, project: int, slug: str, config: dict[str, Any] | None) -> Any:
        """Find, create or update a monitor."""
        query = "SELECT * FROM monitors WHERE project = ? AND slug = ?"
        monitor = self.db.execute(query, (project, slug)).fetchone()
        if config is None:
            return monitor
        old = json.loads(monitor["config"]) if monitor else {}
        merged = json.dumps({**old, **config}, sort_keys=True)
        if monitor is None:
            organization = self.organizations.get(str(project), 1)
            self.db.execute(
                "INSERT INTO monitors (organization, project, slug, config) VALUES (?, ?, ?, ?)",
                (organization, project, slug, merged),
            )
        elif merged != monitor["config"]:
            self.db.execute("UPDATE monitors SET config = ? WHERE id = ?", (merged, monitor["id"]))
        else:
            return monitor
        return self.db.execute(query, (project, slug)).fetchone()

    def environment(self, monitor: int, name: str) -> Any:
        """Find or create an environment."""
        query = "SELECT * FROM environments WHERE monitor = ? AND name = ?"
        found = self.db.execute(query, (monitor, name)).fetchone()
        if found is None:
            self.db.execute("INSERT INTO environments (monitor, name) VALUES (?, ?)", (monitor, name))
            found = self.db.execute(query, (monitor, name)).fetchone()
        return found

    def apply(
        self,
        environment: Any,
        config: dict[str, Any],
        guid: str,
        payload: Any,
        start: int,
        asks_otherwise: bool,
    ) -> None:
        """Match the check-in by its guid; write it down; see what it means for its environment."""
        status, runtime, counts = payload["status"], config.get("max_runtime") or 30, True
        duration = round(payload["duration"] * 1000) if payload.get("duration") is not None else None
        known = self.db.execute("SELECT * FROM check_ins WHERE guid = ?", (guid,)).fetchone()
        if known is not None and known["environment"] != environment["id"]:
            return self.error("CHECKIN_ENVIRONMENT_MISMATCH", payload)
        if known is not None and known["status"] in FINISHED:
            return None if status == "in_progress" else self.error("CHECKIN_FINISHED", payload)
        if known is not None and known["status"] == "timeout" and status == "in_progress":
            return None
        if known is None:
            added = start - (duration or 0)
            timeout = (added // MINUTE + runtime) * MINUTE if status == "in_progress" else None
            trace = payload.get("contexts", {}).get("trace", {}).get("trace_id")
            self.db.execute(
                "INSERT INTO check_ins VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
                (
                    guid,
                    environment["id"],
                    status,
                    added,
                    start,
                    environment["next_checkin"],
                    timeout,
                    duration,
                    trace,
                ),
            )
        else:
            added = known["date_added"]
            duration = abs(start - added) if duration is None else duration
            timeout = (start // MINUTE + runtime) * MINUTE if status == "in_progress" else None
            kept = "timeout" if known["status"] == "timeout" else status
            counts = kept == status or (status == "ok" and not known["ended_well"])
            self.db.execute(
                "UPDATE check_ins SET status = ?, duration = ?, date_updated = ?, timeout_at = ?,"
                " ended_well = ended_well OR ? WHERE guid = ?",
                (kept, duration, start, timeout, kept == "timeout" and status == "ok", guid),
            )
        ends = known is not None and status != "in_progress"
        seen = added if known is None and status == "error" else start
        moves = not ends or config["schedule"]["type"] == "interval" or asks_otherwise
        if moves and (environment["last_checkin"] or 0) <= seen:
            last = max(environment["last_checkin"] or 0, added)
            self.plan(environment["id"], config, next_time(config, start), last)
        if status == "ok" and counts:
            self.succeed(environment, config, guid, added)
        elif status == "error" and counts:
            self.fail(environment["id"], config, guid, added, status)
        return None

    def plan(self, environment: int, config: dict[str, Any], following: int, last: int | None = None) -> None:
        """When the next check-in is expected, and when it will be missed."""
        latest = following + (config.get("checkin_margin") or 1) * MINUTE
        self.db.execute(
            "UPDATE environments SET next_checkin = ?, latest = ?, last_checkin = coalesce(?, last_checkin)"
            " WHERE id = ?",
            (following, latest, last, environment),
        )

    def tick(self, now: int) -> None:
        """Misses, then time-outs, that are due at a minute."""
        for row in self.db.execute("SELECT id FROM environments WHERE latest <= ?", (now,)).fetchall():
            self.miss(row["id"], now)
        query = "SELECT guid FROM check_ins WHERE timeout_at <= ? ORDER BY date_added, guid"
        for row in self.db.execute(query, (now,)).fetchall():
            self.time_out(row["guid"], now)

    def catch_up(self, environment: int, until: int) -> None:
        """Minute by minute, what one environment owes before a late check-in."""
        while True:
            latest, timeout = self.db.execute(
                "SELECT latest, (SELECT min(timeout_at) FROM check_ins WHERE environment = e.id)"
                " FROM environments e WHERE id = ?",
                (environment,),
            ).fetchone()
            if latest <= until and (timeout is None or latest <= timeout):
                self.miss(environment, latest)
            elif timeout is not None and timeout <= until:
                query = "SELECT guid FROM check_ins WHERE environment = ? AND timeout_at = ? ORDER BY date_added, guid"
                (guid, *_) = self.db.execute(query, (environment, timeout)).fetchone()
                self.time_out(guid, timeout)
            else:
                return

    def miss(self, environment: int, now: int) -> None:
        """Nothing came in time."""
        row, config = self.with_config(environment)
        guid = uuid.uuid5(uuid.NAMESPACE_OID, f"{environment}/{row['next_checkin']}").hex
        expected = row["next_checkin"]
        self.db.execute(
            "INSERT INTO check_ins VALUES (?, ?, 'missed', ?, ?, ?, NULL, NULL, NULL, 0)",
            (guid, environment, expected, now, expected),
        )
        self.plan(environment, config, resumed(config, expected, now))
        self.fail(environment, config, guid, expected, "missed")

    def time_out(self, guid: str, now: int) -> None:
        """A run takes too long."""
        run = self.db.execute("SELECT * FROM check_ins WHERE guid = ?", (guid,)).fetchone()
        self.db.execute(
            "UPDATE check_ins SET status = 'timeout', timeout_at = NULL, date_updated = ? WHERE guid = ?",
            (now, guid),
        )
        row, config = self.with_config(run["environment"])
        later = self.db.execute(
            "SELECT 1 FROM check_ins WHERE environment = ? AND date_added > ? AND status IN ('ok', 'error') LIMIT 1",
            (run["environment"], run["date_added"]),
        ).fetchone()
        if not later and (row["last_checkin"] or 0) <= run["date_added"]:
            self.plan(run["environment"], config, resumed(config, row["next_checkin"], now))
        self.fail(run["environment"], config, guid, run["date_added"], "timeout")

    def with_config(self, environment: int) -> tuple[Any, dict[str, Any]]:
        """An environment with its monitor's config."""
        row = self.db.execute(
            "SELECT e.*, m.config FROM environments e JOIN monitors m ON m.id = e.monitor WHERE e.id = ?",
            (environment,),
        ).fetchone()
        return row, json.loads(row["config"])

    def fail(self, environment: int, config: dict[str, Any], guid: str, added: int, status: str) -> None:
        """Let a failure count, unless a later run has succeeded: as the N-th in a row it opens an incident."""
        query = "UPDATE environments SET failed = max(failed, ?) WHERE id = ?"
        self.db.execute(query, (added, environment))
        row = self.db.execute("SELECT * FROM environments WHERE id = ?", (environment,)).fetchone()
        if row["succeeded"] > added:
            return
        incident, failures = row["incident"], [*json.loads(row["failures"]), [guid, added, status]]
        state = row["status"]
        if incident is None and len(failures) >= (config.get("failure_issue_threshold") or 1):
            first = failures[0]
            query = "INSERT INTO incidents (environment, starting, started) VALUES (?, ?, ?)"
            incident = self.db.execute(query, (environment, first[0], first[1])).lastrowid
            state = "error"
        if incident is not None:
            self.send({"type": "occurrence", "incident": incident, "check_in": guid, "failures": failures})
            failures = []
        self.db.execute(
            "UPDATE environments SET status = ?, failures = ?, oks = 0, incident = ? WHERE id = ?",
            (state, json.dumps(failures), incident, environment),
        )

    def succeed(self, environment: Any, config: dict[str, Any], guid: str, added: int) -> None:
        """Let a success count, unless a later run has failed: as the M-th in a row it resolves the incident."""
        query = "UPDATE environments SET succeeded = max(succeeded, ?) WHERE id = ?"
        self.db.execute(query, (added, environment["id"]))
        if environment["failed"] > added:
            return
        oks, incident, state = environment["oks"] + 1, environment["incident"], environment["status"]
        if incident is None or oks >= (config.get("recovery_threshold") or 1):
            if incident is not None:
                query = "UPDATE incidents SET resolving = ?, resolved = ? WHERE id = ?"
                self.db.execute(query, (guid, added, incident))
                self.send({"type": "status_change", "incident": incident, "check_in": guid})
            oks, incident, state = 0, None, "ok"
        self.db.execute(
            "UPDATE environments SET status = ?, failures = '[]', oks = ?, incident = ? WHERE id = ?",
            (state, oks, incident, environment["id"]),
        )

    def send(self, body: dict[str, Any]) -> None:
        """A message to the rest of the world."""
        self.db.execute("INSERT INTO messages (body) VALUES (?)", (json.dumps(body),))

    def error(self, kind: str, payload: dict[str, Any]) -> None:
        """A message that is rejected."""
        self.db.execute("INSERT INTO errors (type, payload) VALUES (?, ?)", (kind, json.dumps(payload)))


def next_time(config: dict[str, Any], after: int) -> int:
    """The schedule's next time strictly after a time, cut to the minute."""
    schedule = config["schedule"]
    minute = after // MINUTE
    if schedule["type"] == "interval":
        return (minute + int(schedule["value"]) * UNITS[schedule["unit"]]) * MINUTE
    return _next_of_crontab(schedule["value"], config.get("timezone") or "UTC", minute) * MINUTE


def resumed(config: dict[str, Any], anchor: int, now: int) -> int:
    """The first expected time that is not before `now`, after a check-in failed."""
    schedule = config["schedule"]
    if schedule["type"] == "crontab":
        return next_time(config, now - MINUTE)
    step = schedule["value"] * UNITS[schedule["unit"]] * MINUTE
    return anchor if anchor >= now else anchor - (anchor - now) // step * step


@lru_cache(maxsize=100_000)
def _next_of_crontab(expression: str, zone: str, minute: int) -> int:
    start = datetime.fromtimestamp(minute * 60, UTC).astimezone(ZoneInfo(zone))
    return int(croniter(expression, start).get_next(float)) // 60
