"""Asks the published snapshot: `cronwax sql`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cronwax.commands.arguments import OneLineParser
from state.ask.questions import QUESTIONS, Parameters, Question
from state.errors import StateError, reason
from state.program import program

if TYPE_CHECKING:  # slow to import, and not needed for --help
    import duckdb

    from state.ask.rendering import Renderer

WHY = "why"
"""The question that is answered in sentences."""
WHY_USAGE = "[PROJECT/]SLUG [--at TIME] [--project ID] [--environment NAME]"
_MOST_DAYS = 36_500
"""How far back a question may look."""


def main(arguments: list[str] | None = None) -> int:
    """Answer the command line, standard input, or a person at the prompt; returns the exit status."""
    top = parser()
    options = top.parse_args(arguments)
    import duckdb

    from state.publish.snapshot import open_snapshot

    try:
        question, parameters = _question(options)
        with open_snapshot(options.data_dir) as connection:
            if options.question[:1] == [WHY]:
                _explain(connection, options)
                return 0
            if question is not None:
                _answer(connection, question, parameters, _renderer(options))
                return 0
            _converse(connection, _renderer(options))
            return 0
    except (StateError, duckdb.Error) as error:
        print(f"cronwax: {reason(error)}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Whoever reads has read enough; nothing must be written when the interpreter closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def parser() -> OneLineParser:
    """The command line: SQL, or a question and its options."""
    names = "\n".join(
        f"  {name + ' ' + question.usage:36} {question.help}" for name, question in QUESTIONS.items()
    )
    names += f"\n  {WHY} {WHY_USAGE}\n{'':39}in sentences, why a monitor is in its state"
    parser = OneLineParser(
        prog=f"{program()} sql",
        description="Ask the published snapshot. Without a question: a prompt, or SQL from standard input.",
        epilog=f"questions with a name:\n{names}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    default = Path(os.environ.get("CRONWAX_DATA_DIR") or "data")
    parser.add_argument("--data-dir", type=Path, default=default, help="the flow's data folder (%(default)s)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object a line")
    form.add_argument("--csv", action="store_true", help="comma-separated values")
    parser.add_argument("--open", action="store_true", help="of incidents: only those not resolved")
    parser.add_argument(
        "--days", type=_days, metavar="N", help="of uptime and timeline: how far to look back"
    )
    parser.add_argument("--at", type=_moment, metavar="TIME", help="of why: as of then, ISO 8601 (UTC)")
    parser.add_argument("--project", type=int, metavar="ID", help="of why: only this project's monitor")
    parser.add_argument("--environment", metavar="NAME", help="of why: only this environment")
    parser.add_argument("question", nargs="*", help="SQL, or the name of a question and what belongs to it")
    return parser


def _moment(word: str) -> datetime:
    try:
        moment = datetime.fromisoformat(word)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{word} is no time like 2025-03-03T08:00") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _days(word: str) -> int:
    if not word.isdecimal() or not 0 < int(word) <= _MOST_DAYS:
        raise argparse.ArgumentTypeError(f"{word} is no whole number from 1 to {_MOST_DAYS}")
    return int(word)


def _question(options: argparse.Namespace) -> tuple[str | None, Parameters]:
    """The query that is asked for, and its parameters; None if none is."""
    words: list[str] = options.question
    if words[:1] == [WHY]:
        return None, {}
    if options.at or options.project is not None or options.environment:
        raise StateError(f"--at, --project and --environment belong to {WHY}")
    named = QUESTIONS.get(words[0]) if words else None
    if named is not None:
        return named.query, _parameters(named, options)
    if options.open or options.days:
        raise StateError("--open and --days belong to questions with a name; --help lists them")
    if not words:
        return None, {}
    if len(words) > 1 or len(words[0].split()) == 1:
        raise StateError(
            f"{words[0]}: no such question ({', '.join(QUESTIONS)}); put SQL into one pair of quotes"
        )
    return words[0], {}


def _parameters(question: Question, options: argparse.Namespace) -> Parameters:
    name, *words = options.question
    fits = question.is_required <= len(words) <= (question.parameter is not None)
    unknown = (options.open and not question.flag) or (options.days and not question.days)
    if unknown or not fits:
        raise StateError(f"usage: {program()} sql {name} {question.usage}".rstrip())
    return question.fill(words[0] if words else None, options.open, options.days)


def _explain(connection: duckdb.DuckDBPyConnection, options: argparse.Namespace) -> None:
    words = options.question[1:]
    if len(words) != 1 or options.open or options.days:
        raise StateError(f"usage: {program()} sql {WHY} {WHY_USAGE}")
    project, _, slug = words[0].rpartition("/")
    if project and not project.isdecimal():
        raise StateError(f"{words[0]}: must be SLUG or PROJECT/SLUG, the project a number")
    project_id = int(project) if project else options.project
    from state.ask.why import COLUMNS, as_text, why

    answer = why(connection, slug, project_id, options.environment, options.at)
    if options.json or options.csv:
        _renderer(options)(COLUMNS, answer, sys.stdout)
    else:
        for line in as_text(answer):
            print(line)


def _renderer(options: argparse.Namespace) -> Renderer:
    from state.ask.rendering import render_csv, render_json, render_plain, render_table

    if options.json:
        return render_json
    if options.csv:
        return render_csv
    return render_table if sys.stdout.isatty() else render_plain


def _answer(
    connection: duckdb.DuckDBPyConnection, query: str, parameters: Parameters, render: Renderer
) -> None:
    for statement in connection.extract_statements(query):
        result = connection.execute(statement, parameters or None)
        if result.description:
            render([column[0] for column in result.description], _rows(result), sys.stdout)


def _rows(result: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    while batch := result.fetchmany(10_000):
        yield from batch


def _converse(connection: duckdb.DuckDBPyConnection, render: Renderer) -> None:
    """Work off statements; at a prompt a wrong one is told and forgotten, from a pipe it ends the work."""
    import duckdb

    from state.ask.prompt import read_statements

    for query, parameters in read_statements():
        try:
            _answer(connection, query, parameters, render)
        except duckdb.Error as error:
            if not sys.stdin.isatty():
                raise
            print(f"cronwax: {reason(error)}", file=sys.stderr)
