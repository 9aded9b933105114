"""Answers as a person or a program reads them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any, TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

Rows = Iterable[Sequence[Any]]
Renderer = Callable[[list[str], Rows, TextIO], None]

_MAX_SHOWN = 1_000
"""Rows that a person may still want to scroll through."""


def render_table(columns: list[str], rows: Rows, out: TextIO) -> None:
    """For a terminal: a table with colours, of the first 1,000 rows."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    rows = iter(rows)
    for row in islice(rows, _MAX_SHOWN):
        table.add_row(*(_cell(value) for value in row))
    console = Console(file=out, highlight=False)
    console.print(table)
    more = " shown, there are more: pipe the answer somewhere to have them all" if next(rows, None) else ""
    console.print(f"{table.row_count:,} row{'' if table.row_count == 1 else 's'}{more}", style="dim")


def render_plain(columns: list[str], rows: Rows, out: TextIO) -> None:
    """For a pipe: a line of names, then a line a row, separated by tabs; NULL is empty."""
    for row in (columns, *rows):
        out.write("\t".join(_one_line(text(value)) for value in row) + "\n")


def render_csv(columns: list[str], rows: Rows, out: TextIO) -> None:
    """Comma-separated values, names first; NULL is empty."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([text(value) for value in row] for row in rows)


def render_json(columns: list[str], rows: Rows, out: TextIO) -> None:
    """One JSON object a line."""
    for row in rows:
        out.write(json.dumps(dict(zip(columns, map(_jsonable, row), strict=True)), ensure_ascii=False) + "\n")


def text(value: Any) -> str:
    """One value as text: times as ISO 8601 in UTC, spans as hours:minutes:seconds, NULL empty, lists and structs as
    JSON."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    plain = _jsonable(value)
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)


def _jsonable(value: Any) -> Any:
    """A value of DuckDB as JSON has it; what JSON does not have becomes text."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, datetime):
        return _iso(value)
    if isinstance(value, timedelta):
        return _span(value)
    if isinstance(value, dict):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Decimal):
        return float(value)
    return str(value)


def _iso(moment: datetime) -> str:
    if moment.tzinfo is None:
        return moment.isoformat()
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _span(value: timedelta) -> str:
    """Hours, however many, minutes and seconds."""
    if value < timedelta():
        return f"-{_span(-value)}"
    hours, rest = divmod(value, timedelta(hours=1))
    return f"{hours}{str(rest)[1:]}"


def _one_line(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


_STYLES = {"ok": "green", "error": "bold red", "missed": "red", "timeout": "red", "disabled": "dim"}


def _cell(value: Any) -> Text:
    content = text(value)
    if isinstance(value, datetime):
        content = content.replace("T", " ")  # a narrow column can break there
    return Text(content, style=_STYLES.get(content, ""))
