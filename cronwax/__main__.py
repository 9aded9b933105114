"""`python -m cronwax`, and the console script."""

from __future__ import annotations

import signal
import sys


def run() -> int:
    """Run the command line; returns the exit status."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Until a command says otherwise, Ctrl-C ends the process, as it would any other: no traceback of an import.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from cronwax.main import main

    return main()


if __name__ == "__main__":
    sys.exit(run())
