"""Asks the published snapshot: `python -m state.query` (`./run.sh sql`)."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb

from state.errors import StateError, reason
from state.prompt import read_statements
from state.questions import QUESTIONS, Parameters, Question
from state.rendering import Renderer, render_csv, render_json, render_plain, render_table
from state.snapshot import open_snapshot

_MOST_DAYS = 36_500
"""How far back a question may look."""


def main(arguments: list[str] | None = None) -> int:
    """Answer the command line, standard input, or a person at the prompt; returns the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        question, parameters = _question(options)
        with open_snapshot(options.data_dir) as connection:
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


def _parser() -> argparse.ArgumentParser:
    names = "\n".join(
        f"  {name + ' ' + question.usage:36} {question.help}" for name, question in QUESTIONS.items()
    )
    parser = argparse.ArgumentParser(
        prog="./run.sh sql",
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
    parser.add_argument("question", nargs="*", help="SQL, or the name of a question and what belongs to it")
    return parser


def _days(word: str) -> int:
    if not word.isdecimal() or not 0 < int(word) <= _MOST_DAYS:
        raise argparse.ArgumentTypeError(f"{word} is no whole number from 1 to {_MOST_DAYS}")
    return int(word)


def _question(options: argparse.Namespace) -> tuple[str | None, Parameters]:
    """The query that is asked for, and its parameters; None if none is."""
    words: list[str] = options.question
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
        raise StateError(f"usage: ./run.sh sql {name} {question.usage}".rstrip())
    return question.fill(words[0] if words else None, options.open, options.days)


def _renderer(options: argparse.Namespace) -> Renderer:
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
    for query, parameters in read_statements():
        try:
            _answer(connection, query, parameters, render)
        except duckdb.Error as error:
            if not sys.stdin.isatty():
                raise
            print(f"cronwax: {reason(error)}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
