"""The SLA of a month: how much of the hours that count each group of monitors was well, and what was left out."""

from __future__ import annotations

import csv
import io
import json
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
from jinja2 import Environment, PackageLoader, StrictUndefined

from state.errors import StateError
from state.report.calendar import DAY, Holiday, Hours

GROUPS = {
    "owner": "owner",
    "project": "project_id",
    "monitor": "project_id || '/' || slug || ' ' || environment",
}
"""What a report can be by, as SQL."""
STATES = ("ok", "failing", "unknown", "blind", "disabled", "maintenance")
"""Of `state_periods`."""
_PERIODS = """
    SELECT coalesce(({group})::VARCHAR, ''), project_id, slug, environment, state, epoch_us(began_at),
        epoch_us(ended_at)
    FROM state_periods
    WHERE began_at < $ends AND ended_at > $begins
    ORDER BY ALL"""
_SECOND_US = 1_000_000


@dataclass
class Group:
    """One line of the report; times in µs within the hours that count."""

    name: str
    environments: set[tuple[int, str, str]] = field(default_factory=set)
    us: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATES, 0))
    outside_us: int = 0
    """Failing outside of the hours that count."""

    @property
    def uptime(self) -> float | None:
        """The share of the time about which something is known, 0 to 1."""
        known = self.us["ok"] + self.us["failing"]
        return self.us["ok"] / known if known else None

    def row(self) -> dict[str, Any]:
        """As CSV and JSON have it."""
        seconds = {f"{state}_seconds": us / _SECOND_US for state, us in self.us.items()}
        return {
            "group": self.name,
            "environments": len(self.environments),
            "uptime": self.uptime,
            **seconds,
            "failing_outside_seconds": self.outside_us / _SECOND_US,
        }


@dataclass
class Sla:
    """The whole report."""

    month: str
    by: str
    zone: str
    begins: datetime
    ends: datetime
    counted_seconds: float
    groups: list[Group]
    left_out: list[str]


def month_of(text: str, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """When a month (`2025-03`) begins and ends on the clocks of a zone. Raises ValueError."""
    first = date.fromisoformat(f"{text}-01")
    following = (first + 32 * DAY).replace(day=1)
    return datetime.combine(first, time(), zone), datetime.combine(following, time(), zone)


def measure(
    connection: duckdb.DuckDBPyConnection, month: str, by: str, hours: Hours, holidays: list[Holiday]
) -> Sla:
    """Add up a month. Raises StateError if the event clock has not come to it, duckdb.Error."""
    begins, ends = month_of(month, hours.zone)
    ((clock,),) = connection.execute("SELECT max(event_clock) FROM snapshot_info").fetchall()
    if clock is None or clock <= begins:
        raise StateError(f"{month}: nothing is known of it yet; the event clock is at {clock}")
    reached = min(ends, clock)
    spans = [(_us(first), _us(last)) for first, last in hours.spans(begins, reached, holidays)]
    groups: dict[str, Group] = {}
    query = _PERIODS.format(group=GROUPS[by])
    for name, *key, state, first, last in connection.execute(
        query, {"begins": begins, "ends": reached}
    ).fetchall():
        group = groups.setdefault(name, Group(name))
        group.environments.add(tuple(key))
        shared = _shared(spans, first, last)
        group.us[state] += shared
        if state == "failing":
            group.outside_us += min(last, _us(reached)) - max(first, _us(begins)) - shared
    return Sla(
        month=month,
        by=by,
        zone=hours.zone.key,
        begins=begins,
        ends=reached,
        counted_seconds=sum(last - first for first, last in spans) / _SECOND_US,
        groups=sorted(groups.values(), key=lambda group: (group.uptime is None, group.uptime, group.name)),
        left_out=_left_out(hours, holidays, ends, reached, groups.values()),
    )


def _left_out(
    hours: Hours, holidays: list[Holiday], ends: datetime, reached: datetime, groups: Any
) -> list[str]:
    sums: dict[str, int] = defaultdict(int)
    for group in groups:
        for state, us in group.us.items():
            sums[state] += us
    lines = [f"{_hours(sums['disabled'])} in which monitors were disabled: nothing was expected of them."]
    lines.append(f"{_hours(sums['maintenance'])} of maintenance in which misses and time-outs do not count.")
    lines.append(f"{_hours(sums['unknown'])} before a first run: nothing was known.")
    lines.append(f"{_hours(sums['blind'])} in which check-ins were being lost: what was due then is unknown.")
    if hours.opens is not None or hours.closes is not None:
        lines.append(
            f"All that is not between {hours.opens or '00:00'} and {hours.closes or '24:00'}, {hours.zone.key}."
        )
    if len(hours.days) < 7:
        names = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
        lines.append(
            f"Days of the week: {', '.join(name for day, name in enumerate(names) if day not in hours.days)}."
        )
    for holiday in holidays:
        days = str(holiday.first) if holiday.first == holiday.last else f"{holiday.first} to {holiday.last}"
        lines.append(f"Holiday: {days} {holiday.name}".rstrip() + ".")
    if reached < ends:
        lines.append(
            f"What comes after {reached.astimezone(UTC):%Y-%m-%d %H:%M} UTC: the event clock has not reached it."
        )
    return lines


def as_json(sla: Sla) -> str:
    """One JSON object."""
    whole = {
        "month": sla.month,
        "by": sla.by,
        "zone": sla.zone,
        "begins": sla.begins.astimezone(UTC).isoformat(),
        "ends": sla.ends.astimezone(UTC).isoformat(),
        "counted_seconds": sla.counted_seconds,
        "groups": [group.row() for group in sla.groups],
        "left_out": sla.left_out,
    }
    return json.dumps(whole, indent=2) + "\n"


def as_csv(sla: Sla) -> str:
    """A line a group, as RFC 4180 says; what was left out is in the other formats."""
    out = io.StringIO()
    names = list(Group("").row())
    writer = csv.DictWriter(out, ["month", *names])
    writer.writeheader()
    writer.writerows({"month": sla.month, **group.row()} for group in sla.groups)
    return out.getvalue()


def as_html(sla: Sla) -> str:
    """A page that needs no network and no script; everything that jobs sent is escaped."""
    environment = Environment(
        loader=PackageLoader("state.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters["hours"] = _hours
    return environment.get_template("sla.html").render(sla=sla)


def _shared(spans: list[tuple[int, int]], first: int, last: int) -> int:
    """How much of first to last lies within the spans, which are in order."""
    total = 0
    for begin, end in spans[max(0, bisect_right(spans, (first,)) - 1) :]:
        if begin >= last:
            break
        total += max(0, min(end, last) - max(begin, first))
    return total


def _us(moment: datetime) -> int:
    return round(moment.timestamp() * _SECOND_US)


def _hours(us: int) -> str:
    return f"{us / 3_600_000_000:,.1f} hours"
