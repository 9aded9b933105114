"""The second half of the questions: messages, what is due, what is configured, refused, muted, and what came in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any

from dataflow.monitors.crontab import Crontab
from tests.state.common_questions import Rows, asked
from tests.state.plain_answers import (
    DAY,
    FAILING,
    FAR,
    MINUTE,
    Facts,
    count,
    key_of,
    minute_of,
    monday,
    seconds,
)


@asked(
    "Messages by owner and week",
    "SELECT owner, week_of(day) AS week, sum(messages) FROM messages_daily GROUP BY ALL",
)
def _messages(facts: Facts) -> Iterable[tuple[Any, ...]]:
    sent = [
        row for row in facts.tables["status_changes"] if (row["project_id"], row["slug"]) in facts.monitors
    ]
    sent_at = [(row["project_id"], row["slug"], row["created_at"]) for row in sent]
    gone = [
        row
        for row in facts.tables["status_changes"]
        if row["slug"] is not None and (row["project_id"], row["slug"]) not in facts.monitors
    ]
    weeks = [(facts.owner(*of), monday(of[2].date())) for of in sent_at]
    weeks += [(None, monday(row["created_at"].date())) for row in gone]
    return [(*week, number) for week, number in count(weeks).items()]


@asked(
    "All runs that are due within the next hour",
    "SELECT project_id, slug, environment, due_at FROM due_runs WHERE due_in_seconds < 3600",
)
def _due(facts: Facts) -> Iterable[tuple[Any, ...]]:
    return [(*key, due) for key, due in facts.due_times() if due < facts.now + timedelta(hours=1)]


@asked(
    "Collisions: how many are due in the same minute, past and to come",
    "SELECT minute, max(due) AS due FROM collisions GROUP BY minute HAVING max(due) > 1",
)
def _collisions(facts: Facts) -> Iterable[tuple[Any, ...]]:
    past = {
        (key, facts.due_at(rows, place)) for key, rows in facts.runs.items() for place in range(len(rows))
    }
    due = count(minute_of(at) for _, at in past if at is not None and at < facts.now)
    due += count(at for _, at in facts.due_times())
    return [(minute, number) for minute, number in due.items() if number > 1]


@asked(
    "Monitors not heard for long, by their own period",
    "SELECT project_id, slug, environment, silent_seconds FROM silence WHERE silent_periods > 3",
)
def _unheard(facts: Facts) -> Iterable[tuple[Any, ...]]:
    rows = []
    for key, environment in facts.environments.items():
        period = _period(facts, key)
        if environment["last_checkin"] is not None:
            silent = seconds(environment["last_checkin"], facts.now)
            if silent / period > 3:
                rows.append((*key, silent))
    return rows


def _period(facts: Facts, key: tuple[int, str, str]) -> float:
    monitor = facts.monitors[key[:2]]
    if monitor["schedule_type"] == "interval":
        number, unit = monitor["schedule"].split()
        year = 365.25 * 86400
        units = {"minute": 60, "hour": 3600, "day": 86400, "week": 604800, "month": year / 12, "year": year}
        return int(number) * float(units[unit])
    minute, hour, days = monitor["schedule"].split(maxsplit=2)
    if minute.isdecimal() and hour.isdecimal():
        minute = hour = "0"  # once a day, whenever that is
    return _period_of(f"{minute} {hour} {days}", int(facts.now.timestamp()) // 86400 * 1440 - 1)


@cache
def _period_of(schedule: str, wall: int) -> float:
    crontab = Crontab(schedule)
    ends, times = wall + 1461 * 1440, 0
    while (following := crontab.after(wall)) is not None and following <= ends:
        wall, times = following, times + 1
        if times == 5_000:  # often enough to know
            return (wall - ends + 1461 * 1440) * 60 / times
    return 1461 * 86400 / times


@asked(
    "What is overdue now, and by how much beyond its margin",
    "SELECT project_id, slug, environment, overdue_seconds, beyond_margin_seconds FROM monitor_status",
    "WHERE overdue_seconds IS NOT NULL",
)
def _overdue(facts: Facts) -> Iterable[tuple[Any, ...]]:
    rows: Rows = []
    by_id = {row["incident_id"]: row for row in facts.incidents}
    for key, environment in facts.environments.items():
        monitor, due = facts.monitors[key[:2]], environment["next_checkin"]
        incident = by_id.get(environment["open_incident_id"])
        last = environment["last_checkin"]
        if incident is not None and (last is None or incident["starting_timestamp"] > last):
            due = incident["starting_timestamp"]
        else:
            missed = [row["date_added"] for row in facts.runs[key] if row["status"] == "missed"]
            due = min(
                [at for at in [*missed, due] if at is not None and (at is due or last is None or at > last)],
                default=None,
            )
        if monitor["status"] != "disabled" and due is not None and due < facts.now:
            overdue = seconds(due, facts.now)
            rows.append((*key, overdue, max(overdue - 60 * (monitor["checkin_margin"] or 1), 0)))
    return rows


@asked(
    "Changes of config: what, from when, to when, by what",
    "SELECT project_id, slug, began_at, ended_at, set_by, owner, name, schedule FROM config_periods",
)
def _configs(facts: Facts) -> Iterable[tuple[Any, ...]]:
    rows = []
    for (project, slug), monitor in facts.monitors.items():
        since, by = monitor["created_at"], None
        history = [
            row
            for row in facts.tables["monitor_config_history"]
            if (row["project_id"], row["slug"]) == (project, slug)
        ]
        for row in sorted(history, key=lambda row: row["replaced_at"]):
            rows.append(
                (project, slug, since, row["replaced_at"], by, row["owner"], row["name"], row["schedule"])
            )
            since, by = row["replaced_at"], row["replaced_by"]
        rows.append((project, slug, since, None, by, monitor["owner"], monitor["name"], monitor["schedule"]))
    return rows


@asked(
    "Whose each monitor was at a time",
    "SELECT project_id, slug, owner FROM config_periods WHERE began_at <= event_clock() - INTERVAL 480 HOUR",
    "    AND coalesce(ended_at > event_clock() - INTERVAL 480 HOUR, true)",
)
def _whose(facts: Facts) -> Iterable[tuple[Any, ...]]:
    then = facts.now - 20 * DAY
    return [
        (*key, facts.owner(*key, then)) for key, row in facts.monitors.items() if row["created_at"] <= then
    ]


@asked("Refused check-ins by reason", "SELECT error_type, count(*) FROM rejections GROUP BY error_type")
def _refused(facts: Facts) -> Iterable[tuple[Any, ...]]:
    return count(type_ for row in facts.tables["processing_errors"] for type_ in row["error_types"]).items()


@asked("Which SDK sends what is refused", "SELECT sdk, error_type, count(*) FROM rejections GROUP BY ALL")
def _by_sdk(facts: Facts) -> Iterable[tuple[Any, ...]]:
    found = count(
        (row["sdk"], type_) for row in facts.tables["processing_errors"] for type_ in row["error_types"]
    )
    return [(*of, number) for of, number in found.items()]


@asked("Gaps in the data: hours in which nothing came", "FROM input_gaps WHERE lasted_seconds >= 3600")
def _gaps(facts: Facts) -> Iterable[tuple[Any, ...]]:
    minutes = sorted(row["minute"] for row in facts.tables["clock_ticks"] if row["volume"] > 0)
    gaps = [(before, after - MINUTE) for before, after in pairwise(minutes)]
    return [(begin, end, seconds(begin, end)) for begin, end in gaps if seconds(begin, end) >= 3600]


@asked(
    "The peak of check-ins a minute, and growth by week",
    "SELECT week_of(day) AS week, sum(check_ins), max(peak) FROM volume_daily GROUP BY week",
)
def _growth(facts: Facts) -> Iterable[tuple[Any, ...]]:
    weeks = defaultdict(list)
    for row in facts.tables["clock_ticks"]:
        weeks[monday((row["minute"] - MINUTE).date())].append(row["volume"])
    return [(week, sum(volumes), max(volumes)) for week, volumes in weeks.items()]


@asked(
    "Monitors by month of their first run, and which were deleted",
    "SELECT month(first_run_at AT TIME ZONE 'UTC') AS month, deleted_at, count(*) FROM monitor_lifetimes GROUP BY ALL",
)
def _lifetimes(facts: Facts) -> Iterable[tuple[Any, ...]]:
    first: dict[Any, datetime] = {}
    for row in facts.tables["check_ins"]:
        if row["status"] != "missed":
            of = (row["project_id"], row["slug"])
            first[of] = min(row["date_added"], first.get(of, FAR))
    there = [(first[of].month if of in first else None, None) for of in facts.monitors]
    deletes = [row for row in facts.tables["controls"] if row["type"] == "delete_monitor"]
    gone = [(None, row["received_at"]) for row in deletes if row["environment"] is None]
    return [(*of, number) for of, number in count([*there, *gone]).items()]


@asked(
    "What is or was muted, since when, for how long, until when",
    "SELECT project_id, slug, environment, began_at, ended_at, lasted_seconds FROM mute_periods",
)
def _muted(facts: Facts) -> Iterable[tuple[Any, ...]]:
    return [
        (project, slug, environment or None, since, until, seconds(since, until or facts.now))
        for project, slug, environment, since, until in facts.mutes()
    ]


@asked(
    "Which failed runs belong to an incident, and why others do not",
    "SELECT check_in_id, incident_id, no_incident_because IS NOT NULL FROM runs WHERE is_failure",
)
def _belonging(facts: Facts) -> Iterable[tuple[Any, ...]]:
    rows = []
    for row in facts.tables["check_ins"]:
        if row["status"] in FAILING:
            incident = facts.belongs.get((key_of(row), row["check_in_id"]))
            rows.append((row["check_in_id"], incident, incident is None))
    return rows
