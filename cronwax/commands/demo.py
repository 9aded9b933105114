"""Runs the flow on the demo: `cronwax demo`."""

from __future__ import annotations

import os

from cronwax.commands.arguments import OneLineParser, data_dir, path
from cronwax.commands.border import guarded
from cronwax.commands.run import run_flow
from dataflow.process.stopping import stop_reason
from state.program import data_dir_option, program

TROUBLES = "troubles"
"""The story of ten troubles, and its folder below the data folder: the day is not mixed with it."""


def parser() -> OneLineParser:
    """The command line."""
    top = OneLineParser(
        prog=f"{program()} demo",
        description="Run the flow on the demo: a simulated day of check-ins, or two weeks of ten jobs in trouble "
        "(docs/troubles.md), the same each time. With CRONWAX_SOURCE set, the flow reads that source instead.",
    )
    top.add_argument("story", nargs="?", choices=("day", TROUBLES), default="day", help="(%(default)s)")
    top.add_argument(
        "--data-dir", type=path, help=f"where to (the data folder; of {TROUBLES}, {TROUBLES} below it)"
    )
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run the flow, and say what to do next; returns the exit status."""
    options = parser().parse_args(arguments)
    if options.story == TROUBLES:
        os.environ["CRONWAX_DEMO_STORY"] = TROUBLES
        os.environ["CRONWAX_DATA_DIR"] = str(options.data_dir or data_dir() / TROUBLES)
    elif options.data_dir is not None:
        os.environ["CRONWAX_DATA_DIR"] = str(options.data_dir)
    run_flow([])
    # Whoever set another source has met Cronwax before.
    return guarded(_show_next) if os.environ.get("CRONWAX_SOURCE", "demo") in ("", "demo") else 0


def _show_next() -> int:
    if (reason := stop_reason()) is not None:
        again = f"{program()} demo{' troubles' if os.environ.get('CRONWAX_DEMO_STORY') == TROUBLES else ''}"
        print(f"stopped early ({reason}): what was read until then is published; {again} reads all")
        return 0
    option = data_dir_option(data_dir())
    print(f"then: {program()} sql{option} for a prompt, {program()} help for everything else")
    return 0
