"""The page, from what was read: HTML that needs no network and no script."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from state.report import words
from state.report.plots import plot_hours, plot_noisiest, plot_slowest
from state.report.record import FAILING, Day, Job

MOST_ROWS = 400
"""Jobs shown of each list; the rest is counted."""


class Bar(NamedTuple):
    """A stretch of a job's day: left edge and width in percent."""

    kind: str
    left: float
    width: float
    title: str


def render_page(day: Day) -> str:
    """The whole page. The same snapshot gives the same bytes; everything that jobs sent is escaped."""
    environment = Environment(
        loader=PackageLoader("state.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"duration": words.duration, "moment": words.moment, "percent": words.percent}
    troubled = sorted((job for job in day.jobs if job.is_troubled), key=_worst_first)
    well = [job for job in day.jobs if not job.is_troubled]
    by_project = groupby(well[:MOST_ROWS], key=lambda job: job.key[0])
    return environment.get_template("page.html").render(
        day=day,
        totals=_totals(day),
        broken=[job for job in troubled if job.status == "error"],
        troubled=troubled[:MOST_ROWS],
        well=[(project, list(jobs)) for project, jobs in by_project],
        left_out=max(len(troubled) - MOST_ROWS, 0) + max(len(well) - MOST_ROWS, 0),
        bars_of=bars_of,
        failing=FAILING,
        hours=plot_hours(day),
        slowest=plot_slowest(day) if day.slowest else None,
        noisiest=plot_noisiest(day) if day.noisiest else None,
    )


def bars_of(job: Job) -> list[Bar]:
    """A job's day in the order to be painted: well or unknown; failing; disabled; single failures."""
    bars = [Bar("ok", 100 * job.known_from, 100 * (1 - job.known_from), "well")]
    if job.known_from > 0:
        bars.append(Bar("unknown", 0, 100 * job.known_from, "nothing known yet"))
    for starts, ends in job.failing:
        bars.append(Bar("failing", 100 * starts, max(100 * (ends - starts), 0.2), "incident"))
    for starts, ends in job.disabled:
        bars.append(Bar("off", 100 * starts, 100 * (ends - starts), "disabled"))
    for moment, status in job.failures:
        bars.append(Bar(status, 100 * moment, 0.35, status))
    return [bar._replace(left=round(bar.left, 2), width=round(bar.width, 2)) for bar in bars if bar.width > 0]


def _worst_first(job: Job) -> tuple[bool, float, int]:
    return job.status != "error", 2 if job.uptime is None else job.uptime, -len(job.failures)


def _totals(day: Day) -> list[tuple[str, str, str]]:
    """What the tiles say: number, meaning, colour."""
    statuses = Counter(job.status for job in day.jobs)
    check_ins = sum(map(sum, day.hours.values()))
    failed = sum(sum(day.hours.get(status, [])) for status in FAILING)
    uptimes = [job.uptime for job in day.jobs if job.uptime is not None]
    mean = sum(uptimes) / len(uptimes) if uptimes else None
    tiles = [
        (f"{statuses['error']:,}", "failing now", "error" if statuses["error"] else "ok"),
        (f"{statuses['ok']:,}", "well", "ok"),
        (f"{statuses['active']:,}", "nothing finished yet", "unknown"),
        (f"{statuses['disabled']:,}", "disabled", "unknown"),
        (f"{sum(job.is_muted for job in day.jobs):,}", "muted", "unknown"),
        (words.percent(mean), "mean uptime", "text"),
        (f"{check_ins:,}", "check-ins", "text"),
        (f"{failed:,}", "of them failed", "error" if failed else "ok"),
    ]
    return [tile for tile in tiles if tile[0] != "0" or tile[1] == "failing now"]
