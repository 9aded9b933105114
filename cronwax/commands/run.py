"""Runs the flow: `cronwax run`, the same as `python -m bytewax.run dataflow:flow`."""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

from cronwax.commands.arguments import OneLineParser, complain
from state.program import program


def parser() -> OneLineParser:
    """The command line: the engine's options, which its environment variables stand for, too."""
    top = OneLineParser(
        prog=f"{program()} run",
        description="Run the flow with the CRONWAX_ settings of the environment. The options are the engine's "
        "(Bytewax's); each can be set by a variable.",
    )
    recovery = top.add_argument_group("recovery")
    recovery.add_argument(
        "-r", "--recovery-directory", metavar="DIR", help="the store [BYTEWAX_RECOVERY_DIRECTORY]"
    )
    recovery.add_argument(
        "-s",
        "--snapshot-interval",
        type=_seconds,
        metavar="SECONDS",
        help="epochs, such as 10 or 0.5 [BYTEWAX_SNAPSHOT_INTERVAL]",
    )
    recovery.add_argument(
        "-b",
        "--backup-interval",
        type=int,
        metavar="SECONDS",
        help="how long old snapshots stay [BYTEWAX_RECOVERY_BACKUP_INTERVAL]",
    )
    scale = top.add_argument_group("scaling")
    scale.add_argument(
        "-w",
        "--workers-per-process",
        type=int,
        metavar="N",
        help="threads of this process [BYTEWAX_WORKERS_PER_PROCESS]",
    )
    scale.add_argument(
        "-i", "--process-id", type=int, metavar="N", help="this process's number [BYTEWAX_PROCESS_ID]"
    )
    scale.add_argument(
        "-a", "--addresses", metavar="HOST:PORT;...", help="those of all processes [BYTEWAX_ADDRESSES]"
    )
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run the flow until it ends; returns the exit status."""
    words = [_at_home(word) for word in (sys.argv[1:] if arguments is None else arguments)]
    top = parser()
    options = top.parse_args(words)
    has_store = options.recovery_directory is not None or os.environ.get("BYTEWAX_RECOVERY_DIRECTORY")
    for name, (short, variable, meaning) in _WITH_A_STORE.items():
        if has_store and getattr(options, name) is None and not os.environ.get(variable):
            top.error(f"a recovery store (-r) needs {short} SECONDS: {meaning}")
    run_flow(words)
    return 0


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < _LONGEST_EPOCH_SECONDS:
        raise ValueError(text)
    return seconds


_seconds.__name__ = "number of seconds"  # what argparse calls it in its message
_LONGEST_EPOCH_SECONDS = 1e6


_WITH_A_STORE = {
    "snapshot_interval": ("-s", "BYTEWAX_SNAPSHOT_INTERVAL", "how long an epoch is, 10 for example"),
    "backup_interval": (
        "-b",
        "BYTEWAX_RECOVERY_BACKUP_INTERVAL",
        "how long older epochs are kept in the store, 60 for example",
    ),
}
"""What the engine wants beside a recovery store; its own answer is a link to its web site."""


def _at_home(word: str) -> str:
    """A word with its path from the home folder, where the shell has left the `~`."""
    option, separator, value = word.partition("=")
    if option.startswith("--") and value.startswith("~"):
        return option + separator + os.path.expanduser(value)
    return os.path.expanduser(word)


def run_flow(arguments: list[str]) -> None:
    """Run the flow in this process, with the engine's arguments, until its end.

    The engine imports what it is given by its path, so that no folder of the caller's can take the package's place.
    """
    if sys.stderr.isatty():
        complain("starting")  # what follows takes a second or two of imports
    package = Path(__file__).resolve().parents[2] / "dataflow" / "__init__.py"
    sys.argv = ["bytewax.run", f"{package}:flow", *arguments]
    # The engine can have epochs of half a second, but its command reads numbers by `int`.
    runpy.run_module("bytewax.run", {"int": _number}, run_name="__main__", alter_sys=True)


def _number(text: str | float) -> float:
    """A number as the engine's command shall read it: whole where it can be."""
    number = float(text)
    return int(number) if number.is_integer() else number
