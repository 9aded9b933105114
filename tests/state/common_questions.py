"""The questions that analysts and managers ask, each in at most three lines of SQL, and its plain answer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from tests.state.plain_answers import (
    DAY,
    FAILING,
    FAR,
    Facts,
    count,
    mean,
    monday,
    quantiles,
    seconds,
    share,
)

Rows = list[tuple[Any, ...]]


class Asked(NamedTuple):
    """A question."""

    text: str
    sql: str
    plain: Callable[[Facts], Iterable[tuple[Any, ...]]]


ASKED: list[Asked] = []


def asked(text: str, *lines: str) -> Callable[[Callable[[Facts], Iterable[tuple[Any, ...]]]], None]:
    """The function below answers this in plain Python; the lines of SQL are at most three."""

    def take(plain: Callable[[Facts], Iterable[tuple[Any, ...]]]) -> None:
        ASKED.append(Asked(text, "\n".join(lines), plain))

    return take


def _sums(
    facts: Facts, group: Callable[[tuple[int, str, str], datetime], Any], since: date | None = None
) -> dict[Any, list[float]]:
    """Seconds ok and failing by group, from a day on."""
    sums: dict[Any, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for key in facts.environments:
        for begin, end, state in facts.states(key):
            if since is None or begin.date() >= since:
                sums[group(key, begin)][0] += seconds(begin, end) * (state == "ok")
                sums[group(key, begin)][1] += seconds(begin, end) * (state == "failing")
    return sums


@asked(
    "Uptime (SLA) by owner over 30 days",
    "SELECT owner, sum(ok_seconds) / nullif(sum(ok_seconds + failing_seconds), 0) AS uptime",
    "FROM uptime_daily WHERE days_ago BETWEEN 1 AND 30 GROUP BY owner",
)
def _uptime_by_owner(facts: Facts) -> Iterable[tuple[Any, ...]]:
    sums: dict[Any, list[float]] = defaultdict(lambda: [0.0, 0.0])
    today = facts.now.date()
    for key in facts.environments:
        for begin, end, state in facts.states(key):
            if today - timedelta(days=30) <= begin.date() < today:
                pair = sums[facts.owner(*key[:2], begin)]
                pair[0] += seconds(begin, end) * (state == "ok")
                pair[1] += seconds(begin, end) * (state == "failing")
    return [(owner, share(*pair)) for owner, pair in sums.items()]


@asked(
    "Uptime of each environment by month",
    "SELECT project_id, slug, environment, month(day) AS month,",
    "    sum(ok_seconds) / nullif(sum(ok_seconds + failing_seconds), 0) AS uptime",
    "FROM uptime_daily GROUP BY ALL",
)
def _uptime_by_month(facts: Facts) -> Iterable[tuple[Any, ...]]:
    return [
        (*key, month, share(*pair))
        for (key, month), pair in _sums(facts, lambda key, begin: (key, begin.month)).items()
    ]


@asked(
    "Uptime within business hours only",
    "SELECT project_id, slug, environment, sum(ok_seconds), sum(failing_seconds)",
    "FROM uptime_in_hours(event_clock() - INTERVAL 720 HOUR, event_clock(), 'Europe/Vienna', '09:00', '17:00')",
    "GROUP BY ALL",
)
def _business_hours(facts: Facts) -> Iterable[tuple[Any, ...]]:
    zone, since = ZoneInfo("Europe/Vienna"), facts.now - 30 * DAY
    hours = []
    day = since.astimezone(zone).date()
    while day <= facts.now.astimezone(zone).date():
        if day.weekday() < 5:
            opens, closes = (datetime.combine(day, time(hour), zone) for hour in (9, 17))
            hours.append((max(opens, since), min(closes, facts.now)))
        day += DAY
    rows = []
    for key in facts.environments:
        sums = {"ok": 0.0, "failing": 0.0}
        has_any = False
        for begin, end, state in facts.states(key):
            for opens, closes in hours:
                shared = seconds(max(begin, opens), min(end, closes))
                if shared > 0:
                    has_any = True
                    sums[state] = sums.get(state, 0.0) + shared
        if has_any:
            rows.append((*key, sums["ok"], sums["failing"]))
    return rows


@asked(
    "Mean time to recover, by owner",
    "SELECT owner, avg(lasted_seconds) AS seconds FROM incident_details WHERE NOT is_open GROUP BY owner",
)
def _recovery_by_owner(facts: Facts) -> Iterable[tuple[Any, ...]]:
    lasted = defaultdict(list)
    for row in facts.incidents:
        if row["resolving_timestamp"] is not None:
            begin, end = facts.outage(row)
            lasted[facts.owner(row["project_id"], row["slug"], begin)].append(seconds(begin, end))
    return [(owner, mean(values)) for owner, values in lasted.items()]


@asked(
    "Mean time to recover, over everything",
    "SELECT avg(lasted_seconds) AS seconds, count(*) AS incidents FROM incident_details WHERE NOT is_open",
)
def _recovery(facts: Facts) -> Iterable[tuple[Any, ...]]:
    resolved = [
        seconds(*facts.outage(row)) for row in facts.incidents if row["resolving_timestamp"] is not None
    ]
    return [(mean(resolved), len(resolved))]


@asked(
    "Mean time between failures, by team",
    "SELECT owner, avg(well_before_seconds) AS seconds FROM incident_details GROUP BY owner",
)
def _between_failures(facts: Facts) -> Iterable[tuple[Any, ...]]:
    gaps = defaultdict(list)
    for row, before in facts.in_order():
        begin = row["starting_timestamp"]
        gap = None if before is None else max(seconds(facts.outage(before)[1], begin), 0)
        gaps[facts.owner(row["project_id"], row["slug"], begin)].append(gap)
    return [(owner, mean(values)) for owner, values in gaps.items()]


@asked(
    "The flakiest monitors, by share of failed runs",
    "SELECT project_id, slug, environment, sum(failures) / sum(judged) AS share",
    "FROM runs_daily GROUP BY ALL HAVING sum(judged) > 0 ORDER BY share DESC, 1, 2, 3 LIMIT 5",
)
def _flakiest(facts: Facts) -> Iterable[tuple[Any, ...]]:
    shares = []
    for key, rows in facts.runs.items():
        judged = [row["status"] in FAILING for row in rows if row["status"] in ("ok", *FAILING)]
        if judged:
            shares.append((*key, sum(judged) / len(judged)))
    return sorted(shares, key=lambda row: (-row[3], row[:3]))[:5]


@asked(
    "The longest silent failure: from the first failed run to the first message",
    "SELECT incident_id, silent_seconds FROM incident_details",
    "WHERE silent_seconds IS NOT NULL ORDER BY silent_seconds DESC, incident_id LIMIT 5",
)
def _silent(facts: Facts) -> Iterable[tuple[Any, ...]]:
    told = [(row["incident_id"], facts.told_at(row), row["starting_timestamp"]) for row in facts.incidents]
    silent = [(incident, seconds(begin, at)) for incident, at, begin in told if at is not None]
    return sorted(silent, key=lambda row: (-row[1], row[0]))[:5]


@asked(
    "Median and 95th percentile of the duration, by job",
    "SELECT project_id, slug, environment, quantile_cont(duration_seconds, 0.5) AS p50,",
    "    quantile_cont(duration_seconds, 0.95) AS p95",
    "FROM runs WHERE duration_seconds IS NOT NULL GROUP BY ALL",
)
def _durations(facts: Facts) -> Iterable[tuple[Any, ...]]:
    took = {
        key: [facts.took(row) for row in rows if facts.took(row) is not None]
        for key, rows in facts.runs.items()
    }
    return [(*key, *quantiles(values)) for key, values in took.items() if values]


@asked(
    "Which jobs became slower than they were",
    "SELECT project_id, slug, environment, trend FROM run_durations WHERE trend > 1.5",
)
def _slower(facts: Facts) -> Iterable[tuple[Any, ...]]:
    week, before = facts.now - 7 * DAY, facts.now - 35 * DAY
    rows = []
    for key, runs in facts.runs.items():
        new = [took for row in runs if row["date_added"] >= week and (took := facts.took(row)) is not None]
        old = [
            took
            for row in runs
            if before <= row["date_added"] < week and (took := facts.took(row)) is not None
        ]
        if new and old and quantiles(old)[0] and quantiles(new)[0] / quantiles(old)[0] > 1.5:
            rows.append((*key, quantiles(new)[0] / quantiles(old)[0]))
    return rows


@asked(
    "How long each job took, by week",
    "SELECT project_id, slug, week_of(started_at) AS week, quantile_cont(duration_seconds, 0.5) AS p50",
    "FROM runs WHERE duration_seconds IS NOT NULL GROUP BY ALL",
)
def _by_week(facts: Facts) -> Iterable[tuple[Any, ...]]:
    weeks = defaultdict(list)
    for key, _, _, row in facts.started():
        if facts.took(row) is not None:
            weeks[(*key[:2], monday(row["date_added"].date()))].append(facts.took(row))
    return [(*week, quantiles(values)[0]) for week, values in weeks.items()]


@asked(
    "Runs by weekday and hour, on the clocks of the monitor's zone and in UTC",
    "SELECT isodow(started_local) AS weekday, hour(started_local) AS hour, hour(started_utc) AS hour_utc, count(*)",
    "FROM runs WHERE started_at IS NOT NULL GROUP BY ALL",
)
def _by_hour(facts: Facts) -> Iterable[tuple[Any, ...]]:
    hours: list[Any] = []
    for key, _, _, row in facts.started():
        local = row["date_added"].astimezone(facts.zone(*key[:2], row["date_added"]))
        hours.append((local.isoweekday(), local.hour, row["date_added"].hour))
    return [(*hour, number) for hour, number in count(hours).items()]


@asked(
    "Who starts late, and by how much",
    "SELECT project_id, slug, environment, count(*) AS runs, count(*) FILTER (late_seconds >= 60), max(late_seconds)",
    "FROM runs WHERE late_seconds IS NOT NULL GROUP BY ALL",
)
def _late(facts: Facts) -> Iterable[tuple[Any, ...]]:
    late = defaultdict(list)
    for key, rows, place, _ in facts.started():
        by = facts.late(rows, place)
        if by is not None:
            late[key].append(by)
    return [(*key, len(some), sum(by >= 60 for by in some), max(some)) for key, some in late.items()]


@asked("Runs that overlapped one before", "SELECT check_in_id FROM runs WHERE is_overlapping")
def _overlaps(facts: Facts) -> Iterable[tuple[Any, ...]]:
    busy_until: dict[Any, datetime] = {}
    found = []
    for key, _, _, row in facts.started():
        before = busy_until.get(key) or row["date_added"]
        if before > row["date_added"]:
            found.append((row["check_in_id"],))
        ended: datetime = facts.ended(row) or FAR
        busy_until[key] = max(ended, before)
    return found


@asked(
    "The most runs at once, and when",
    "SELECT running, moment FROM concurrency ORDER BY running DESC, moment LIMIT 1",
)
def _at_once(facts: Facts) -> Iterable[tuple[Any, ...]]:
    turns = []
    for _, _, _, row in facts.started():
        ended = facts.ended(row) or FAR
        if row["date_added"] < ended:
            turns += [(row["date_added"], 1), (ended, -1)]
    running, most = 0, (0, FAR)
    for moment, turn in sorted(turns):
        running += turn
        if running > most[0]:
            most = (running, moment)
    return [most] if turns else []
