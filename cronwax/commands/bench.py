"""Runs the benchmarks of a checkout: `cronwax bench`."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from cronwax.commands.arguments import OneLineParser, complain
from state.program import program


def parser() -> OneLineParser:
    """The command line; names are the benchmarks'."""
    top = OneLineParser(
        prog=f"{program()} bench", description="Run benchmarks by name; without names, all of them."
    )
    top.add_argument("names", nargs="*", metavar="NAME", help="such as replay, scale or latency")
    top.add_argument("--runs", type=int, help="each figure is the median of this many runs")
    top.add_argument("--size", type=int, help="messages or monitors; else what each benchmark is meant for")
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run them; returns the exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    parser().parse_args(words)
    root = Path(__file__).resolve().parents[2]
    if not (root / "benchmarks").is_dir() or find_spec("benchmarks") is None:
        complain("bench needs a checkout of Cronwax: an installed package has no benchmarks")
        return 2
    status: int = import_module("benchmarks.__main__").main(words)
    return status
