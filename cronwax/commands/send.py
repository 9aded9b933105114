"""Writes check-ins and controls to the flow's topics: `cronwax send`."""

from __future__ import annotations

from cronwax.commands.options import parser


def main(arguments: list[str] | None = None) -> int:
    """Send what the command line asks for; returns the exit status."""
    options = parser().parse_args(arguments)
    from cronwax.commands.sending import send  # slow to import, and not needed for --help

    return send(options)
