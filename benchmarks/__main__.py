"""Run benchmarks by name; without names, all of them."""

from __future__ import annotations

import argparse
import importlib
import sys

from benchmarks.contender import Failed
from benchmarks.report import publish
from state.program import program

NAMES = (
    "replay",
    "steps",
    "clock",
    "scale",
    "restart",
    "sampling",
    "kafka",
    "latency",
    "readers",
    "history",
    "views",
    "intake",
    "silence",
    "snapshots",
    "columns",
    "storm",
    "hour",
)
ONLY_BY_NAME = ("fuzz",)
"""What measures little, and takes long."""


def main(arguments: list[str]) -> int:
    """Run what was asked for, one after the other; 1 if one of them failed."""
    parser = argparse.ArgumentParser(prog=f"{program()} bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES + ONLY_BY_NAME)}")
    parser.add_argument(
        "--runs",
        type=int,
        default=3,
        help="each figure is the median of this many runs; fuzz takes another seed for each",
    )
    parser.add_argument(
        "--size", type=int, help="messages or monitors; else what each benchmark is meant for"
    )
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in NAMES + ONLY_BY_NAME]:
        parser.error(f"there is no benchmark {unknown[0]}; there are {', '.join(NAMES + ONLY_BY_NAME)}")
    if options.runs < 1 or (options.size is not None and options.size < 1):
        parser.error("--runs and --size must be above 0")
    failed = False
    for name in options.names or NAMES:
        benchmark = importlib.import_module(f"benchmarks.{name}")
        try:
            publish(benchmark.run(options.size or benchmark.SIZE, options.runs))
        except Failed as problem:
            print(f"{name} failed: {problem}", file=sys.stderr)
            failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
