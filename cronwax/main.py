"""The command `cronwax`: finds the command that was typed, and imports no more than that one needs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from cronwax.commands.arguments import complain, near
from cronwax.commands.border import guarded
from cronwax.commands.table import COMMANDS, Command, question_names
from dataflow.process.engine_output import reopen_standard_files
from dataflow.process.local_zone import ignore_local_zone
from dataflow.process.stopping import watch_signals
from state.program import program

USAGE = Path(__file__).with_name("usage.txt")
"""The list of commands; run.sh shows it, too, before anything is installed."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit status.

    0: done. 1: it failed, and may succeed when it is tried again. 2: a wrong command line, or a condition that no
    restart changes. 130: interrupted (Ctrl-C).
    """
    ignore_local_zone()
    words = sys.argv[1:] if arguments is None else arguments
    if "_ARGCOMPLETE" in os.environ:
        from cronwax.commands.completion import complete

        return complete()
    name = words[0] if words else "help"
    if name in ("help", "-h", "--help"):
        return guarded(_show_usage)
    if name in ("version", "--version", "-V"):
        return guarded(_show_version)
    if (command := COMMANDS.get(name)) is not None:
        return _run(command, words[1:])
    if name in question_names():
        return _run(COMMANDS["sql"], words)
    hint = near(name, [*COMMANDS, *question_names(), "help", "version"])
    complain(f"there is no command '{name}'{hint}; {program()} help lists them")
    return 2


def _run(command: Command, arguments: list[str]) -> int:
    def run() -> int:
        function: Callable[[list[str]], int] = import_module(command.module).main
        return function(arguments)

    if command.is_flow:
        reopen_standard_files()
        watch_signals()
        return run()
    return guarded(run, keeps_ctrl_c=command.keeps_ctrl_c)


def _show_usage() -> int:
    print(f"usage: {program()} COMMAND [ARGUMENTS]\n")
    print(USAGE.read_text(encoding="utf-8").replace("cronwax completion", f"{program()} completion"), end="")
    print(
        f"\n{program()} COMMAND --help shows the options. Relative paths start where you are; data is in ./data\n"
        "unless --data-dir or CRONWAX_DATA_DIR says otherwise."
    )
    return 0


def _show_version() -> int:
    from dataflow.operations.version import own_version

    print(f"cronwax {own_version()}")
    return 0
