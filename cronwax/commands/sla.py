"""Writes the SLA of a month: `cronwax report sla`."""

from __future__ import annotations

import argparse
import sys
from datetime import time
from pathlib import Path
from zoneinfo import ZoneInfo

from cronwax.commands.arguments import OneLineParser, are_settings_misspelt, complain, data_dir, path
from state.errors import StateError, reason
from state.program import program
from state.zones import load_zone

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FORMATS = ("html", "csv", "json")


def parser() -> OneLineParser:
    """The command line."""
    top = OneLineParser(
        prog=f"{program()} report sla", description="Write how much of a month each group was well."
    )
    top.add_argument("--month", required=True, help="the month, such as 2025-03")
    group = top.add_mutually_exclusive_group()
    group.add_argument(
        "--owner", action="store_const", const="owner", dest="by", help="one line an owner, as of then"
    )
    group.add_argument(
        "--project", action="store_const", const="project", dest="by", help="one line a project"
    )
    top.add_argument(
        "--hours", type=_hours, default=(None, None), help="only these hours of the day: 09:00-17:00"
    )
    top.add_argument(
        "--days", type=_days, default=frozenset(range(7)), help="only these days: mon-fri, or mon,wed"
    )
    top.add_argument(
        "--zone", type=_zone, default=load_zone("UTC"), help="the time zone of month, hours and days (UTC)"
    )
    top.add_argument(
        "--holidays", type=path, help="days that do not count: an .ics file, or a day or range a line"
    )
    top.add_argument("--format", choices=_FORMATS, default="html", help="html, csv or json (html)")
    top.add_argument("--data-dir", type=path, default=data_dir(), help="the flow's data folder (%(default)s)")
    top.add_argument("--out", type=path, help="the file to write (the standard output)")
    return top


def main(arguments: list[str] | None = None) -> int:
    """Write the report; returns the exit status."""
    options = parser().parse_args(arguments)
    if are_settings_misspelt():
        return 2
    import duckdb

    from state.publish.snapshot import open_snapshot
    from state.report import sla
    from state.report.calendar import DAY, Hours, read_holidays

    hours = Hours(options.zone, options.days, *options.hours)
    try:
        begins, ends = sla.month_of(options.month, options.zone)
    except ValueError:
        complain(f"--month: {options.month} is not a month such as 2025-03")
        return 2
    try:
        holidays = []
        if options.holidays is not None:
            holidays = read_holidays(options.holidays, begins.date(), ends.date() - DAY)
        with open_snapshot(options.data_dir) as connection:
            measured = sla.measure(connection, options.month, options.by or "monitor", hours, holidays)
        text = {"html": sla.as_html, "csv": sla.as_csv, "json": sla.as_json}[options.format](measured)
    except (StateError, duckdb.Error) as error:
        complain(reason(error))
        return 1
    return _written(text, options.out)


def _written(text: str, out: Path | None) -> int:
    if out is None:
        sys.stdout.write(text)
        return 0
    try:
        out.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        complain(f"{out}: cannot write: {reason(error)}")
        return 1
    print(f"{out}: {len(text.encode()):,} bytes")
    return 0


def _hours(text: str) -> tuple[time, time | None]:
    begin, _, end = text.partition("-")
    try:
        opens = time.fromisoformat(begin)
        closes = None if end == "24:00" else time.fromisoformat(end)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not a span of hours such as 09:00-17:00") from None
    if closes is not None and closes <= opens:
        raise argparse.ArgumentTypeError(f"{text} ends before it begins")
    return opens, closes


def _days(text: str) -> frozenset[int]:
    days: set[int] = set()
    for part in text.lower().split(","):
        first, _, last = part.partition("-")
        if first not in _DAYS or (last or first) not in _DAYS:
            raise argparse.ArgumentTypeError(f"{text} is not a list of days such as mon-fri or sat,sun")
        days.update(range(_DAYS.index(first), _DAYS.index(last or first) + 1))
    return frozenset(days)


def _zone(text: str) -> ZoneInfo:
    try:
        return load_zone(text)
    except KeyError:
        raise argparse.ArgumentTypeError(f"{text} is not an IANA time zone such as Europe/Vienna") from None
