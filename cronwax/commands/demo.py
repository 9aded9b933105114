"""Runs the flow on the demo: `cronwax demo`."""

from __future__ import annotations

import os

from cronwax.commands.arguments import OneLineParser
from cronwax.commands.border import guarded
from cronwax.commands.run import run_flow
from dataflow.process.stopping import stop_reason
from state.program import program


def parser() -> OneLineParser:
    """The command line."""
    return OneLineParser(
        prog=f"{program()} demo",
        description="Run the flow on the demo: a simulated day of check-ins, the same each time. With CRONWAX_SOURCE "
        "set, the flow reads that source instead.",
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the flow, and say what to do next; returns the exit status."""
    parser().parse_args(arguments)
    run_flow([])
    # Whoever set another source has met Cronwax before.
    return guarded(_show_next) if os.environ.get("CRONWAX_SOURCE", "demo") in ("", "demo") else 0


def _show_next() -> int:
    if (reason := stop_reason()) is not None:
        print(f"stopped early ({reason}): what was read until then is published; {program()} demo reads all")
        return 0
    print(f"then: {program()} sql for a prompt, {program()} help for everything else")
    return 0
