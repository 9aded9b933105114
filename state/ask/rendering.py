"""Answers as a person or a program reads them."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from functools import partial
from itertools import islice
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

from state.ask.terminal import clean, print_records, print_table, wrapped

Rows = Iterable[Sequence[Any]]
Renderer = Callable[[list[str], Rows, TextIO], None]

MAX_SHOWN = 1_000
"""Rows that a person may still want to scroll through."""


def render_table(
    columns: list[str],
    rows: Rows,
    out: TextIO,
    zone: tzinfo = UTC,
    optional: Sequence[str] = (),
    as_records: bool = False,
    heading: Sequence[str] = (),
) -> None:
    """For a terminal: the first 1,000 rows as a table that fits, or as records.

    Columns of `heading` stand over the rows that have them in common, instead of in each.
    """
    rows = iter(rows)
    values = list(islice(rows, MAX_SHOWN))
    cells = _cells(len(columns), values, zone)
    names = [clean(name) for name in columns]
    console = Console(file=out, highlight=False)
    left_out = []
    if as_records:
        print_records(console, names, cells)
    else:
        headings = _taken_out(names, cells, heading)
        left_out = print_table(console, names, cells, optional, headings)
    notes = [f"{len(values):,} row{'' if len(values) == 1 else 's'}"]
    if next(rows, None) is not None:
        notes = [f"{len(values):,} rows shown, there are more: pipe the answer somewhere to have them all"]
    if any(isinstance(value, datetime) for row in values for value in row):
        notes.append(f"times in {zone_name(zone)}")
    if left_out:
        notes.append(f"no room for {', '.join(left_out)} (--record shows all)")
    console.print(Text(wrapped("; ".join(notes), console.width), "dim"), soft_wrap=True)


def render_plain(columns: list[str], rows: Rows, out: TextIO, zone: tzinfo = UTC) -> None:
    """For a pipe: a line of names, then a line a row, separated by tabs; NULL is empty."""
    for row in (columns, *rows):
        out.write("\t".join(_one_line(text(value, zone)) for value in row) + "\n")


def render_csv(columns: list[str], rows: Rows, out: TextIO, zone: tzinfo = UTC) -> None:
    """Comma-separated values (RFC 4180), names first; NULL is empty."""
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([text(value, zone) for value in row] for row in rows)


def render_json(columns: list[str], rows: Rows, out: TextIO, zone: tzinfo = UTC) -> None:
    """One JSON object a line. What JSON has no number for (NaN, Infinity) is null."""
    names = _unique(columns)
    is_ascii = not (out.encoding or "utf-8").lower().replace("-", "").startswith("utf")
    dump = partial(json.dumps, ensure_ascii=is_ascii, allow_nan=False)
    for row in rows:
        out.write(dump(dict(zip(names, (_jsonable(value, zone) for value in row), strict=True))) + "\n")


def text(value: Any, zone: tzinfo = UTC) -> str:
    """One value as text: times as ISO 8601 in the zone, spans as hours:minutes:seconds, NULL empty, lists and structs
    as JSON."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    plain = _jsonable(value, zone)
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)


def zone_name(zone: tzinfo) -> str:
    """What a zone is called."""
    return getattr(zone, "key", None) or str(zone)


def _unique(columns: list[str]) -> list[str]:
    """Names of which none comes twice, as an object cannot hold it twice."""
    names: list[str] = []
    for name in columns:
        new, number = name, 1
        while new in names:
            new, number = f"{name}_{number}", number + 1
        names.append(new)
    return names


def _jsonable(value: Any, zone: tzinfo) -> Any:
    """A value of DuckDB as JSON has it; what JSON does not have becomes text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, datetime):
        return _iso(value, zone)
    if isinstance(value, timedelta):
        return _span(value)
    if isinstance(value, dict):
        return {str(key): _jsonable(item, zone) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(item, zone) for item in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Decimal):
        return float(value)
    return str(value)


def _iso(moment: datetime, zone: tzinfo) -> str:
    if moment.tzinfo is None:
        return moment.isoformat()
    return moment.astimezone(zone).isoformat().replace("+00:00", "Z")


def _span(value: timedelta) -> str:
    """Hours, however many, minutes and seconds."""
    if value < timedelta():
        return f"-{_span(-value)}"
    hours, rest = divmod(value, timedelta(hours=1))
    return f"{hours}{str(rest)[1:]}"


def _one_line(value: str) -> str:
    """A value in which no tab and no line ends, and nothing that would act on a terminal behind the pipe."""
    return clean(value.replace("\\", "\\\\"))


def _cells(count: int, rows: Sequence[Sequence[Any]], zone: tzinfo) -> list[list[str]]:
    """The values as a terminal shows them, times in the shortest form that a column of them allows."""
    forms = [_time_form([row[at] for row in rows]) for at in range(count)]
    return [[_cell(value, form, zone) for value, form in zip(row, forms, strict=True)] for row in rows]


def _taken_out(names: list[str], cells: list[list[str]], heading: Sequence[str]) -> list[str]:
    """Take the columns of a heading out of names and cells; the heading of each row, empty where it has none."""
    places = [names.index(name) for name in heading if name in names]
    headings = [", ".join(f"{names[at]} {row[at]}" for at in places if row[at]) for row in cells]
    for at in sorted(places, reverse=True):
        del names[at]
        for row in cells:
            del row[at]
    return headings


def _time_form(values: Sequence[Any]) -> str:
    times = [value for value in values if isinstance(value, datetime)]
    return "%Y-%m-%d %H:%M:%S" if any(time.second or time.microsecond for time in times) else "%Y-%m-%d %H:%M"


def _cell(value: Any, time_form: str, zone: tzinfo) -> str:
    if isinstance(value, datetime):
        moment = value if value.tzinfo is None else value.astimezone(zone)
        return moment.strftime(time_form)
    if isinstance(value, timedelta):
        return _span(timedelta(seconds=round(value.total_seconds())))
    return clean(text(value, zone))
