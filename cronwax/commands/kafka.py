"""Runs a Kafka broker for development: `cronwax kafka`."""

from __future__ import annotations

from cronwax.commands.arguments import OneLineParser
from state.program import program


def parser() -> OneLineParser:
    """The command line."""
    top = OneLineParser(
        prog=f"{program()} kafka",
        description="Run a Kafka broker on this machine until Ctrl-C, with a deployment's topics. Its data is gone "
        "afterwards. Needs java, and mvn for the first time.",
    )
    top.add_argument("--port", type=int, default=9092, help="of the broker (%(default)s)")
    top.add_argument(
        "--topic",
        action="append",
        metavar="NAME:PARTITIONS",
        help="instead of the usual ones; can be repeated",
    )
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run a broker; returns the exit status."""
    options = parser().parse_args(arguments)
    from cronwax.devtools.kafka_broker import TOPICS, run

    return run(options.port, options.topic or list(TOPICS))
