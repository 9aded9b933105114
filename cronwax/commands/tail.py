"""Shows what the flow sends, as it comes: `cronwax tail`."""

from __future__ import annotations

from cronwax.commands.arguments import OneLineParser
from state.program import program


def parser() -> OneLineParser:
    """The command line."""
    top = OneLineParser(
        prog=f"{program()} tail", description="Show the messages that the flow sends to Kafka, until Ctrl-C."
    )
    top.add_argument("--from-start", action="store_true", help="also those that are there already")
    top.add_argument("--json", action="store_true", help="the messages as they are, and where, a line each")
    top.add_argument(
        "--dead-letters", action="store_true", help="what could not be read, from its topic, instead"
    )
    top.add_argument("--no-follow", action="store_true", help="end after what is there now")
    return top


def main(arguments: list[str] | None = None) -> int:
    """Show messages until Ctrl-C (status 0) or until nobody reads; returns the exit status."""
    options = parser().parse_args(arguments)
    from cronwax.commands.following import follow  # slow to import, and not needed for --help

    return follow(options)
