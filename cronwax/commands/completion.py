"""Completion for shells: `eval "$(cronwax completion bash)"`."""

from __future__ import annotations

import argparse
import os
from importlib import import_module

from cronwax.commands.arguments import OneLineParser
from cronwax.commands.table import COMMANDS, question_names
from state.program import program

_SHELLS = ("bash", "zsh", "fish")


def parser() -> OneLineParser:
    """The command line."""
    top = OneLineParser(
        prog=f"{program()} completion",
        description='Print completion for a shell. bash and zsh: eval "$(cronwax completion bash)"; fish: '
        "cronwax completion fish | source.",
    )
    top.add_argument("shell", choices=_SHELLS, help="whose syntax to print")
    return top


def main(arguments: list[str] | None = None) -> int:
    """Print the script; returns the exit status."""
    from argcomplete.shell_integration import shellcode

    options = parser().parse_args(arguments)
    names = ["cronwax"] if program() == "cronwax" else ["cronwax", program()]
    print(shellcode(names, shell=options.shell))
    return 0


def complete() -> int:
    """Answer the shell, which calls the program itself with the line so far in the environment; does not return."""
    import argcomplete

    typed = os.environ.get("COMP_LINE", "").split()
    chosen = typed[1] if len(typed) > 1 else ""
    top = argparse.ArgumentParser(prog=program())
    commands = top.add_subparsers()
    for name in (*COMMANDS, "help", "version"):
        parents = (
            [import_module(COMMANDS[name].module).parser()] if name == chosen and name in COMMANDS else []
        )
        commands.add_parser(name, parents=parents, add_help=False)
    for name in question_names():
        commands.add_parser(name, parents=[], add_help=False)
    argcomplete.autocomplete(top)
    return 0
