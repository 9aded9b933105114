"""Asks the published snapshot: `cronwax sql`, and the questions by their names."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from cronwax.commands.arguments import OneLineParser, UsageError, complain, data_dir, near, path, whole_number
from state.ask.questions import QUESTIONS
from state.errors import StateError
from state.program import program

if TYPE_CHECKING:
    from datetime import tzinfo

    import duckdb

WHY = "why"
"""The question that is answered in sentences."""
WHY_USAGE = "[PROJECT/]SLUG [--at TIME] [--project ID] [--environment NAME]"
_MOST_DAYS = 36_500
"""How far back a question may look."""


def parser() -> OneLineParser:
    """The command line: SQL, or a question and its options."""
    names = "\n".join(
        f"  {name + ' ' + question.usage:56} {question.help}"
        if len(name + question.usage) < 55
        else f"  {name} {question.usage}\n{'':59}{question.help}"
        for name, question in QUESTIONS.items()
    )
    names += f"\n  {WHY} {WHY_USAGE}\n{'':59}in sentences, why a monitor is in its state"
    top = OneLineParser(
        prog=f"{program()} sql",
        description="Ask the published snapshot. Without a question: a prompt, or SQL from standard input.",
        epilog=f"questions with a name:\n{names}\n\nTIME: 2025-03-03T08:00, 10:30, yesterday 3:00, 2 hours ago, now; "
        "by the clock of the data, in UTC or --zone. In SLUG and WHO, * stands for any letters.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--data-dir", type=path, default=data_dir(), help="the flow's data folder (%(default)s)")
    form = top.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object a line")
    form.add_argument("--csv", action="store_true", help="comma-separated values (RFC 4180)")
    form.add_argument("--record", action="store_true", help="each row as lines of name and value")
    top.add_argument("--watch", action="store_true", help="show the answer again and again, until Ctrl-C")
    top.add_argument(
        "--every", type=whole_number(1, 86_400), default=5, metavar="SECONDS", help="of --watch (%(default)s)"
    )
    top.add_argument("--zone", type=_zone, metavar="NAME", help="show and read times in this time zone (UTC)")
    only = top.add_argument_group("narrowing a question")
    only.add_argument("--project", type=int, metavar="ID", help="only this project")
    only.add_argument("--environment", metavar="NAME", help="only this environment")
    only.add_argument("--owner", metavar="WHO", help="only what is owned by user:... or team:...")
    only.add_argument("--search", metavar="TEXT", help="only what has this in its slug, environment or owner")
    only.add_argument("--from", dest="begin", metavar="TIME", help="only from then on")
    only.add_argument("--to", dest="end", metavar="TIME", help="only before then")
    only.add_argument("--open", action="store_true", help="of incidents: only those not resolved")
    only.add_argument(
        "--days",
        type=whole_number(1, _MOST_DAYS),
        metavar="N",
        help="of uptime and timeline: how far to look back",
    )
    only.add_argument("--at", metavar="TIME", help="of why: as of then")
    top.add_argument("question", nargs="*", help="SQL, or the name of a question and what belongs to it")
    return top


def main(arguments: list[str] | None = None) -> int:
    """Answer the command line, standard input, or a person at the prompt; returns the exit status.

    1: there is no snapshot that can be read. 2: the question is wrong.
    """
    options = parser().parse_intermixed_args(arguments)
    try:
        check(options)
    except UsageError as error:
        complain(str(error))
        return 2
    from cronwax.commands.asking import ask  # slow to import, and not needed for --help

    return ask(options, _converse)


def _converse(connection: duckdb.DuckDBPyConnection, options: argparse.Namespace) -> None:
    if sys.stdin.isatty() and sys.stdout.isatty():
        from cronwax.commands.prompt import Prompt

        Prompt(connection, options, _ask_at_prompt).run()
    else:
        from cronwax.commands.asking import work_off

        work_off(connection, options)


def _ask_at_prompt(
    connection: duckdb.DuckDBPyConnection, words: list[str], shown: argparse.Namespace
) -> None:
    """Answer a question as it is typed at the prompt, options and all, in the form that is set there."""
    from cronwax.commands.asking import answer_all, work_off

    try:
        options = parser().parse_intermixed_args(words)
        check(options)
        if options.watch:
            raise UsageError("--watch belongs to the command line")
        for name in ("json", "csv", "record", "zone"):
            setattr(options, name, getattr(options, name) or getattr(shown, name))
        answer_all(connection, options, work_off)
    except (UsageError, StateError) as error:
        complain(str(error))
    except SystemExit:
        pass  # the parser has said why


def check(options: argparse.Namespace) -> None:
    """Refuse what cannot be meant. Raises UsageError."""
    words: list[str] = options.question
    named = QUESTIONS.get(words[0]) if words else None
    if options.watch and not words:
        raise UsageError("--watch needs a question, such as status")
    if options.at and words[:1] != [WHY]:
        raise UsageError(f"--at belongs to {WHY}")
    if words[:1] == [WHY]:
        others = (options.open, options.days, options.owner, options.search, options.begin, options.end)
        if len(words) != 2 or any(others):
            raise UsageError(f"usage: {program()} {WHY} {WHY_USAGE}")
    elif named is not None:
        fits = named.is_required <= len(words) - 1 <= (named.parameter is not None)
        if (options.open and not named.flag) or (options.days and not named.days) or not fits:
            raise UsageError(f"usage: {program()} {words[0]} {named.usage}".rstrip())
    elif words and not words[0].strip("; \n\t"):
        raise UsageError("there is no question and no SQL in that")
    elif words and (len(words) > 1 or len(words[0].split()) == 1):
        hint = near(words[0], [*QUESTIONS, WHY])
        raise UsageError(
            f"{words[0]}: no such question{hint or ' (' + ', '.join([*QUESTIONS, WHY]) + ')'}; "
            "put SQL into one pair of quotes"
        )
    else:
        narrowing = ("open", "days", "project", "environment", "owner", "search", "begin", "end")
        if any(getattr(options, name) for name in narrowing):
            raise UsageError(
                "--open, --days, --project and the like belong to questions with a name; --help lists them"
            )


def _zone(name: str) -> tzinfo:
    from state.ask.moments import read_zone

    try:
        return read_zone(name)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
