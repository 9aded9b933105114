"""Shows what the flow sends, as it comes: `cronwax tail`."""

from __future__ import annotations

from cronwax.commands.arguments import OneLineParser
from state.program import program


def parser() -> OneLineParser:
    """The command line."""
    top = OneLineParser(
        prog=f"{program()} tail", description="Show the messages that the flow sends to Kafka, until Ctrl-C."
    )
    top.add_argument(
        "--from-start", action="store_true", help="begin with the oldest messages, not with new ones"
    )
    top.add_argument(
        "--json", action="store_true", help="the messages unchanged, each with its place, one a line"
    )
    top.add_argument(
        "--dead-letters", action="store_true", help="show the dead letters (what could not be read) instead"
    )
    top.add_argument("--no-follow", action="store_true", help="end after the newest message")
    return top


def main(arguments: list[str] | None = None) -> int:
    """Show messages until Ctrl-C (status 0) or until nobody reads; returns the exit status."""
    options = parser().parse_args(arguments)
    from cronwax.commands.following import follow  # slow to import, and not needed for --help

    return follow(options)
