"""Makes recovery stores, and packs them: `cronwax recovery`."""

from __future__ import annotations

import json
from pathlib import Path

from cronwax.commands.arguments import OneLineParser, complain, path
from state.program import program


def parser() -> OneLineParser:
    """The command line."""
    top = OneLineParser(
        prog=f"{program()} recovery",
        description="Make a recovery store. Without PARTS: pack an existing one while its flow is stopped.",
    )
    top.add_argument("store", metavar="DIR", type=path, help="the folder of the store")
    top.add_argument(
        "parts", metavar="PARTS", type=int, nargs="?", help="how many parts; fixed for the store's life"
    )
    top.add_argument("--json", action="store_true", help="say what was done as one JSON object")
    return top


def main(arguments: list[str] | None = None) -> int:
    """Make a store, or pack one that is there; returns the exit status."""
    options = parser().parse_args(arguments)
    from dataflow.process.exit import StartError
    from dataflow.process.recovery_store import StoreError, make, pack

    store: Path = options.store
    try:
        if options.parts is None:
            before, after = pack(store)
            done = {"store": str(store), "bytes_before": before, "bytes": after}
            said = f"cronwax: {store}: {before / 1e6:,.0f} MB, packed {after / 1e6:,.0f} MB"
        else:
            make(store, options.parts)
            done = {"store": str(store), "parts": options.parts}
            said = f"cronwax: {store}: made, {options.parts} part{'s' if options.parts > 1 else ''}"
        print(json.dumps(done) if options.json else said)
    except (StoreError, StartError) as error:
        complain(str(error))
        return 2
    return 0
