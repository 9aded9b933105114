"""docs/reference/commands.md: every command with its options, and the questions with a name."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module

from cronwax.commands.sql import WHY_USAGE
from cronwax.commands.table import COMMANDS
from cronwax.reference.markdown import MADE_BY, table
from state.ask.questions import QUESTIONS

_HEAD = f"""\
# Commands

{MADE_BY}

`./run.sh COMMAND` in a checkout and `cronwax COMMAND` where the wheel is installed are the same. Exit status: 0, done;
1, it failed and may succeed when it is tried again; 2, a wrong command line or a condition that no restart changes;
130, interrupted with Ctrl-C. Some commands give 1 and 2 a closer meaning, and their text says so."""


def commands_page() -> str:
    """The whole page; the environment of whoever makes it changes nothing."""
    with _usual_environment():
        parts = [_HEAD, *(_command(name) for name in COMMANDS), _questions()]
    return "\n\n".join(parts) + "\n"


@contextmanager
def _usual_environment() -> Iterator[None]:
    """Help texts name the program, the data folder and as many columns as there are: make these always the same."""
    own = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("CRONWAX_")}
    own["COLUMNS"] = columns = os.environ.get("COLUMNS", "")
    os.environ["COLUMNS"] = "10000"
    try:
        yield
    finally:
        os.environ.update(own)
        if not columns:
            del os.environ["COLUMNS"]


def _command(name: str) -> str:
    return _section(import_module(COMMANDS[name].module).parser(), level=2)


def _section(parser: argparse.ArgumentParser, level: int) -> str:
    """A parser's usage, text and options; those of its subcommands below it."""
    usage = " ".join(parser.format_usage().removeprefix("usage:").split())
    parts = [f"{'#' * level} {parser.prog.removeprefix('cronwax ')}", f"```\n{usage}\n```"]
    if parser.description:
        parts.append(_sentence(parser.description))
    subcommands = _subcommands(parser)
    if rows := [_row(parser, each) for each in parser._actions if _is_shown(each, subcommands)]:
        parts.append(table(("argument", "meaning"), rows))
    for each in _unique(subcommands):
        parts.append(_section(each, level + 1))
    return "\n\n".join(parts)


def _unique(
    subcommands: argparse._SubParsersAction[argparse.ArgumentParser] | None,
) -> list[argparse.ArgumentParser]:
    """The subcommands, each by its first name only."""
    return list(dict.fromkeys(subcommands.choices.values())) if subcommands else []


def _is_shown(action: argparse.Action, subcommands: argparse.Action | None) -> bool:
    return action is not subcommands and not isinstance(action, argparse._HelpAction)


def _subcommands(
    parser: argparse.ArgumentParser,
) -> argparse._SubParsersAction[argparse.ArgumentParser] | None:
    found = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
    if not found:
        return None
    for choice in found[0]._choices_actions:  # the line that the list of subcommands gives each
        each = found[0].choices[choice.dest]
        each.description = each.description or choice.help
    return found[0]


def _row(parser: argparse.ArgumentParser, action: argparse.Action) -> tuple[str, str]:
    names = ", ".join(action.option_strings) or _name(action)
    value = f" {_name(action)}" if action.option_strings and action.nargs != 0 else ""
    return f"`{names}{value}`", _sentence(parser._get_formatter()._expand_help(action) if action.help else "")


def _name(action: argparse.Action) -> str:
    if action.choices is not None:
        return "{" + ",".join(str(each) for each in action.choices) + "}"
    metavar = action.metavar or (action.dest.upper() if action.option_strings else action.dest)
    return metavar if isinstance(metavar, str) else " ".join(metavar)


def _questions() -> str:
    rows: list[Sequence[str]] = [
        (f"`{name} {each.usage}`".replace(" `", "`"), _sentence(each.help))
        for name, each in QUESTIONS.items()
    ]
    rows.append((f"`why {WHY_USAGE}`", "In sentences, why a monitor is in its state."))
    head = "`cronwax QUESTION` is short for `cronwax sql QUESTION`; options are those of `sql`."
    return f"## Questions with a name\n\n{head}\n\n{table(('question', 'answer'), rows)}"


def _sentence(text: str) -> str:
    """Help begins small and ends without a full stop on a terminal; a page has sentences."""
    text = " ".join(text.split())
    if ":" not in text.partition(" ")[0]:  # such as user:...
        text = text[:1].upper() + text[1:]
    return text if not text or text.endswith((".", "`")) else f"{text}."
