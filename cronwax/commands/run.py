"""Runs the flow: `cronwax run`, the same as `python -m bytewax.run dataflow:flow`."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from cronwax.commands.arguments import OneLineParser
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
        "-s", "--snapshot-interval", type=int, metavar="SECONDS", help="epochs [BYTEWAX_SNAPSHOT_INTERVAL]"
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
    words = sys.argv[1:] if arguments is None else arguments
    parser().parse_args(words)
    run_flow(words)
    return 0


def run_flow(arguments: list[str]) -> None:
    """Run the flow in this process, with the engine's arguments, until its end.

    The engine imports what it is told by its path, so that no folder of the caller's can take the package's place.
    """
    package = Path(__file__).resolve().parents[2] / "dataflow" / "__init__.py"
    sys.argv = ["bytewax.run", f"{package}:flow", *arguments]
    runpy.run_module("bytewax.run", run_name="__main__", alter_sys=True)
