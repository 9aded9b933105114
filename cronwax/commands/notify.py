"""Tells people what the flow sends: `cronwax notify`, and beside it `check`, `test` and `log`."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from cronwax.commands.arguments import OneLineParser, complain, whole_number
from state.program import program

STATES = ("waiting", "sent", "dead")


def parser() -> OneLineParser:
    """The command line: without a command, notify until SIGTERM."""
    top = OneLineParser(
        prog=f"{program()} notify",
        description="Send what the flow says to people, by the routes in CRONWAX_NOTIFY_PATH, else in notify.toml in "
        "the data folder (docs/notify.md), until SIGTERM or Ctrl-C. It reads the occurrences topic with "
        "CRONWAX_SOURCE=kafka, else occurrences.jsonl in the data folder. serve runs it by itself.",
    )
    top.add_argument(
        "--since",
        metavar="TIME",
        help="at a first start: also tell of what happened since this time, as 2026-11-25T18:00 in UTC, or of nothing "
        "that is past: now; else of what is still open, and no more",
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    check = commands.add_parser(
        "check",
        help="whether the routes file is right, and who is notified",
        description="Check the routes file, and show who is notified of what about a monitor. Exit status 0: it is "
        "right; 2: it is not.",
    )
    check.add_argument(
        "--monitor",
        action="append",
        default=[],
        type=_monitor,
        metavar="PROJECT/SLUG",
        help="who is notified about this one; may be repeated",
    )
    check.add_argument("--environment", default="production", metavar="NAME", help="(%(default)s)")
    check.add_argument("--owner", metavar="OWNER", help="default: the monitor's, from the published snapshot")
    test = commands.add_parser(
        "test",
        help="send a test to one target",
        description="Send one test message to a target, once, and say what came of it. Exit status 0: it was taken; 1: "
        "it was not; 2: there is no such target.",
    )
    test.add_argument("target", help="its name in the routes file")
    log = commands.add_parser(
        "log",
        help="what was sent, waits, or is dead: each attempt",
        description="Show notifications and the attempts to send them, the newest last, from the ledger.",
    )
    log.add_argument("--state", choices=STATES, help="only those in this state")
    log.add_argument("--target", help="only those for this target")
    log.add_argument("--incident", metavar="ID", help="only those about this incident (or its fingerprint)")
    log.add_argument(
        "--limit",
        type=whole_number(1, 1_000_000),
        default=50,
        metavar="N",
        help="at most so many (%(default)s)",
    )
    log.add_argument("--json", action="store_true", help="one JSON object a line")
    return top


def _monitor(word: str) -> tuple[int, str]:
    project, separator, slug = word.partition("/")
    if not (separator and slug and project.isascii() and project.isdecimal() and len(project) <= 18):
        raise argparse.ArgumentTypeError(f"{word!r} is not PROJECT/SLUG, such as 1/nightly")
    return int(project), slug


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    options = parser().parse_args(arguments)
    from cronwax.commands import notifying  # slow to import, and not needed for --help
    from cronwax.notify.ledger import LedgerError
    from cronwax.notify.routes_file import RoutesError
    from cronwax.notify.service import NotifyError
    from dataflow.settings import SettingsError

    commands: dict[str | None, Callable[[argparse.Namespace], int]] = {
        None: notifying.notify,
        "check": notifying.check,
        "test": notifying.test,
        "log": notifying.log,
    }
    try:
        return commands[options.command](options)
    except (RoutesError, SettingsError) as error:
        complain(str(error))
        return 2
    except (NotifyError, LedgerError) as error:
        complain(str(error))
        return error.status
