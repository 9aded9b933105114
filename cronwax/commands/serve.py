"""Takes check-ins over HTTP and judges them: `cronwax serve`."""

from __future__ import annotations

from cronwax.commands.arguments import OneLineParser, complain
from cronwax.commands.intake import add_listening
from state.program import program


def parser() -> OneLineParser:
    """The command line."""
    top = OneLineParser(
        prog=f"{program()} serve",
        description="Take check-ins over HTTP, judge them, and notify people: the intake, the flow and, where there is "
        "a routes file (CRONWAX_NOTIFY_PATH), the notifier, kept running together until SIGTERM or Ctrl-C. Needs no "
        "broker; with CRONWAX_SOURCE=kafka they use the broker that is set.",
    )
    add_listening(top)
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run everything; returns the exit status."""
    options = parser().parse_args(arguments)
    from cronwax.serve.supervisor import ServeError, serve
    from dataflow.settings import SettingsError

    try:
        serve(options.host, options.port, options.root_path)
    except SettingsError as error:
        complain(str(error))
        return 2
    except ServeError as error:
        complain(str(error))
        return 1
    return 0
