"""Writes the page about the published snapshot: `cronwax report`; the SLA of a month: `cronwax report sla`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from cronwax.commands import sla
from cronwax.commands.arguments import OneLineParser, are_settings_misspelt, complain, data_dir, path
from state.errors import StateError, reason
from state.program import program

_SLA = "sla"


def parser() -> OneLineParser:
    """The command line."""
    top = OneLineParser(
        prog=f"{program()} report",
        description="Write one HTML page about the published snapshot; report sla: the SLA of a month.",
    )
    top.add_argument("--data-dir", type=path, default=data_dir(), help="the flow's data folder (%(default)s)")
    top.add_argument("--out", type=path, help="the file to write (report.html in the data folder)")
    top.add_argument("--json", action="store_true", help="say what was written as one JSON object")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    month = sla.parser()
    commands.add_parser(_SLA, parents=[month], add_help=False, help=month.description)
    return top


def main(arguments: list[str] | None = None) -> int:
    """Write the page and say where it is; returns the exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    if words[:1] == [_SLA]:
        return sla.main(words[1:])
    options = parser().parse_args(words)
    if options.command is not None:  # what stands before it would be lost
        complain(f"{_SLA} comes first, then its options: report {_SLA} --month {options.month}")
        return 2
    if are_settings_misspelt():
        return 2
    import duckdb

    from state.publish.snapshot import open_snapshot

    out: Path = options.out or options.data_dir / "report.html"
    if (refused := _refused(out)) is not None:
        complain(refused)
        return 2
    try:
        with open_snapshot(options.data_dir) as connection:
            from state.report.page import render_page
            from state.report.record import read_day

            page = render_page(read_day(connection))
        out.write_text(page, encoding="utf-8")
    except (StateError, duckdb.Error) as error:
        complain(reason(error))
        return 1
    except OSError as error:
        complain(f"{out}: cannot write: {reason(error)}")
        return 1
    if options.json:
        print(json.dumps({"file": str(out), "bytes": len(page.encode())}))
    else:
        print(f"{out}: {len(page) / 1024:,.0f} KB, open it in any browser")
    return 0


def _refused(out: Path) -> str | None:
    """Why the page must not be written there: over something else than a page; None if it may."""
    if out.name == "-":
        return "--out: - is not a file; name one, such as report.html"
    try:
        with out.open("rb") as file:
            begin = file.read(200).lstrip().lower()
    except OSError:
        return None  # not there, or writing says what is wrong
    if begin and not begin.startswith((b"<!doctype html", b"<html")):
        return f"{out}: exists already and is not a page; name another file, or delete it"
    return None
