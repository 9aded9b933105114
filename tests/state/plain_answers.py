"""What analysts ask, worked out in plain Python from the base tables: nothing here knows a view.

`Facts` reads the tables; each function answers one question with rows, as its SQL in `common_questions` does.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from dataflow.monitors.schedule import schedule_for
from tests.state.test_answers_properties import middle_and_high

Row = dict[str, Any]
Key = tuple[int, str, str]
Span = tuple[datetime, datetime]
FAILING = ("error", "missed", "timeout")
FAR = datetime(9999, 1, 1, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TABLES = (
    *("monitors", "monitor_environments", "monitor_config_history", "monitor_status_history", "mute_history"),
    *("check_ins", "run_decisions", "incidents", "status_changes", "processing_errors", "clock_ticks"),
    *("internal.system_incident_spans", "controls", "snapshot_info"),
)


def seconds(begin: datetime, end: datetime) -> float:
    return (end - begin) / timedelta(seconds=1)


def minute_of(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


class Facts:
    """The base tables of a published file, and what follows from them."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.tables: dict[str, list[Row]] = {}
        for name in TABLES:
            result = connection.execute(f"FROM {name}")
            names = [column[0] for column in result.description]
            self.tables[name] = [
                {key: _utc(value) for key, value in zip(names, row, strict=True)} for row in result.fetchall()
            ]
        self.now: datetime = self.tables["snapshot_info"][0]["event_clock"]
        self.monitors = {(row["project_id"], row["slug"]): row for row in self.tables["monitors"]}
        self.environments = {key_of(row): row for row in self.tables["monitor_environments"]}
        self.runs: dict[Key, list[Row]] = {key: [] for key in self.environments}
        for row in sorted(self.tables["check_ins"], key=_begin_order):
            self.runs.setdefault(key_of(row), []).append(row)
        self.decisions = defaultdict(list)
        for row in sorted(self.tables["run_decisions"], key=lambda row: row["noticed_at"]):
            self.decisions[key_of(row)].append(row)
        self.incidents = self.tables["incidents"]
        self.belongs = dict(self._belongs())

    # Whose it was.

    def owner(self, project: int, slug: str, moment: datetime) -> str | None:
        owner: str | None = self._held(project, slug, moment)["owner"]
        return owner

    def _held(self, project: int, slug: str, moment: datetime) -> Row:
        rows = [
            row
            for row in self.tables["monitor_config_history"]
            if (row["project_id"], row["slug"]) == (project, slug)
        ]
        for row in sorted(rows, key=lambda row: row["replaced_at"]):
            if moment < row["replaced_at"]:
                return row
        return self.monitors[project, slug]

    def zone(self, project: int, slug: str, moment: datetime) -> ZoneInfo:
        return ZoneInfo(self._held(project, slug, moment)["timezone"])

    # What it was.

    def outage(self, incident: Row) -> Span:
        """From its start to its resolution, or to now."""
        starts = incident["starting_timestamp"]
        resolved = incident["resolving_timestamp"]
        return starts, self.now if resolved is None else max(starts, resolved)

    def disabled(self, project: int, slug: str) -> list[tuple[datetime, datetime | None]]:
        rows = [
            row
            for row in self.tables["monitor_status_history"]
            if (row["project_id"], row["slug"]) == (project, slug)
        ]
        rows.sort(key=lambda row: row["changed_at"])
        ends = [*(row["changed_at"] for row in rows[1:]), *([None] if rows else [])]
        return [
            (row["changed_at"], end)
            for row, end in zip(rows, ends, strict=True)
            if row["status"] == "disabled"
        ]

    def mutes(self) -> list[tuple[int, str, str, datetime, datetime | None]]:
        by_place = defaultdict(list)
        for row in sorted(self.tables["mute_history"], key=lambda row: row["changed_at"]):
            by_place[row["project_id"], row["slug"], row["environment"]].append(row)
        found = []
        for place, rows in by_place.items():
            since = None
            for row in rows:
                if row["is_muted"] and since is None:
                    since = row["changed_at"]
                elif not row["is_muted"] and since is not None:
                    found.append((*place, since, row["changed_at"]))
                    since = None
            if since is not None:
                found.append((*place, since, None))
        return found

    def known_at(self, key: Key) -> datetime | None:
        starts: list[datetime] = [row["starting_timestamp"] for row in self.incidents if key_of(row) == key]
        if self.environments[key]["status"] == "active" and not starts:
            return None
        first = [row["date_added"] for row in self.runs[key] if row["expected_time"] is None]
        created: datetime = self.monitors[key[:2]]["created_at"]
        return min([min(first, default=created), *starts])

    def states(self, key: Key) -> Iterator[tuple[datetime, datetime, str]]:
        """Stretches of time in which nothing changes, and what the environment was in them."""
        known = self.known_at(key)
        begin = min(self.monitors[key[:2]]["created_at"], known or FAR)
        outages = [self.outage(row) for row in self.incidents if key_of(row) == key]
        disabled = [(begin_, end or self.now) for begin_, end in self.disabled(*key[:2])]
        blind = [
            (row["start"], row["end"] or self.now) for row in self.tables["internal.system_incident_spans"]
        ]
        changed = [
            row["replaced_at"]
            for row in self.tables["monitor_config_history"]
            if (row["project_id"], row["slug"]) == key[:2]
        ]
        edges = {begin, self.now, known or begin, *changed}
        edges |= {edge for span in (*outages, *disabled, *blind) for edge in span}
        midnight = begin.replace(hour=0, minute=0, second=0, microsecond=0)
        while midnight < self.now:
            edges.add(midnight)
            midnight += DAY
        ordered = sorted(edge for edge in edges if begin <= edge <= self.now)
        for left, right in pairwise(ordered):
            if _within(left, disabled):
                state = "disabled"
            elif _within(left, outages):
                state = "failing"
            elif known is None or left < known:
                state = "unknown"
            else:
                state = "blind" if _within(left, blind) else "ok"
            yield left, right, state

    # Runs and incidents.

    def is_absent(self, row: Row) -> bool:
        """It never began."""
        return is_absent(row)

    def due_at(self, rows: list[Row], place: int) -> datetime | None:
        row = rows[place]
        due: datetime | None = row["expected_time"]
        ahead = due is not None and not self.is_absent(row) and row["date_added"] < due
        if ahead and place and self.is_absent(rows[place - 1]):
            missed: datetime = rows[place - 1]["date_added"]
            return missed
        return due

    def late(self, rows: list[Row], place: int) -> float | None:
        due, row = self.due_at(rows, place), rows[place]
        if due is None or self.is_absent(row) or row["date_added"] <= due - MINUTE:
            return None
        return max(seconds(due, row["date_added"]), 0.0)

    def took(self, row: Row) -> float | None:
        """How long a run took, in seconds, if its end is known."""
        duration = row["duration_ms"]
        if duration is None or row["status"] not in ("ok", "error", "timeout"):
            return None
        updated = row["date_updated"]
        by_tick = (
            updated == minute_of(updated) and row["date_added"] + timedelta(milliseconds=duration) < updated
        )
        return None if row["status"] == "timeout" and by_tick else duration / 1000

    def ended(self, row: Row) -> datetime | None:
        ended: datetime | None = None if row["status"] == "in_progress" else row["date_updated"]
        return ended

    def started(self) -> Iterator[tuple[Key, list[Row], int, Row]]:
        """Every run that began, in its environment's order."""
        for key, rows in self.runs.items():
            for place, row in enumerate(rows):
                if not self.is_absent(row):
                    yield key, rows, place, row

    def _belongs(self) -> Iterator[tuple[tuple[Key, Any], str]]:
        """Failing check-ins and their incidents: a walk over what counted, as the thresholds saw it."""
        first = {(key_of(row), row["starting_check_in_id"]): row["incident_id"] for row in self.incidents}
        for key, rows in self.decisions.items():
            led_up: list[Row] = []
            for row in rows:
                if row["verdict"] == "success":
                    if row["counted"]:
                        led_up = []
                elif row["counted"]:
                    led_up.append(row)
                    if row["incident_id"] is not None:
                        begun = [
                            n
                            for n, each in enumerate(led_up)
                            if first.get((key, each["check_in_id"])) == row["incident_id"]
                        ]
                        for each in led_up[begun[0] if begun else -1 :]:
                            yield (key, each["check_in_id"]), row["incident_id"]
                        led_up = []

    def opened_at(self, incident: Row) -> datetime | None:
        times = [
            row["noticed_at"]
            for row in self.decisions[key_of(incident)]
            if row["incident_id"] == incident["incident_id"] and row["verdict"] == "failure"
        ]
        return min(times, default=None)

    def told_at(self, incident: Row) -> datetime | None:
        times = [
            row["created_at"]
            for row in self.tables["status_changes"]
            if row["incident_id"] == incident["incident_id"] and row["payload_type"] == "occurrence"
        ]
        return min(times, default=None)

    def in_order(self) -> Iterator[tuple[Row, Row | None]]:
        """Incidents and the one before of the same environment."""
        before: dict[Key, Row] = {}
        for row in sorted(self.incidents, key=lambda row: (row["starting_timestamp"], row["incident_id"])):
            yield row, before.get(key_of(row))
            before[key_of(row)] = row

    # When it is due.

    def due_times(self) -> Iterator[tuple[Key, datetime]]:
        """Each scheduled time of the next 24 hours, by the flow's own schedules."""
        for key, environment in self.environments.items():
            monitor, due = self.monitors[key[:2]], environment["next_checkin"]
            if monitor["status"] == "disabled" or due is None:
                continue
            schedule = schedule_for(monitor["schedule_type"], monitor["schedule"], monitor["timezone"])
            while due < self.now + DAY:
                if due >= self.now:
                    yield key, due
                minute = schedule.after((due - EPOCH) // timedelta(microseconds=1))
                due = EPOCH + timedelta(minutes=minute)


def is_absent(row: Row) -> bool:
    """It never began: a miss, or one that became unknown."""
    unknown = row["status"] == "unknown" and row["date_added"] == row["expected_time"]
    return bool(row["status"] == "missed" or unknown)


def key_of(row: Row) -> Key:
    return row["project_id"], row["slug"], row["environment"]


def _utc(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) and value.tzinfo is not None else value


def _within(moment: datetime, spans: Iterable[Span]) -> bool:
    return any(begin <= moment < end for begin, end in spans)


def _begin_order(row: Row) -> tuple[Any, ...]:
    return row["date_added"], not is_absent(row), str(row["check_in_id"])


def mean(values: Iterable[float | None]) -> float | None:
    some = [value for value in values if value is not None]
    return sum(some) / len(some) if some else None


def share(good: float, bad: float) -> float | None:
    return good / (good + bad) if good + bad else None


def quantiles(values: Iterable[float | None]) -> tuple[float, float]:
    return middle_and_high([value for value in values if value is not None])


def count(items: Iterable[Any]) -> Counter[Any]:
    return Counter(items)
