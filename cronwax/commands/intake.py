"""Takes check-ins over HTTP: `cronwax intake`."""

from __future__ import annotations

import argparse

from cronwax.commands.arguments import OneLineParser, complain
from state.program import program


def parser() -> OneLineParser:
    """The command line."""
    top = OneLineParser(
        prog=f"{program()} intake",
        description="Take check-ins over HTTP until SIGTERM or Ctrl-C, into the log in the data folder "
        "(CRONWAX_SOURCE=intake follows it) or, with CRONWAX_SOURCE=kafka, on to Kafka.",
    )
    add_listening(top)
    return top


def add_listening(top: argparse.ArgumentParser) -> None:
    """The options that say where to listen."""
    top.add_argument("--host", help="where to listen [CRONWAX_INTAKE_HOST, 127.0.0.1]")
    top.add_argument("--port", type=int, help="at which port [CRONWAX_INTAKE_PORT, 8000]")
    top.add_argument(
        "--root-path",
        metavar="PATH",
        help="a prefix that a proxy leaves in the path [CRONWAX_INTAKE_ROOT_PATH]",
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the intake; returns the exit status."""
    options = parser().parse_args(arguments)
    # Here, as importing the server takes half a second, which --help need not wait for.
    from cronwax.intake.server import IntakeError, run
    from cronwax.intake.settings import IntakeSettings
    from dataflow.settings import Settings, SettingsError

    try:
        own = IntakeSettings.load(
            intake_host=options.host, intake_port=options.port, intake_root_path=options.root_path
        )
        run(Settings.load(), own)
    except (IntakeError, SettingsError) as error:
        complain(str(error))
        return 2
    return 0
