"""`python -m cronwax`, and the console script."""

from __future__ import annotations

# Part of the interpreter: `signal` imports more, and Ctrl-C meanwhile would be a traceback. It has no types.
import _signal as signal  # type: ignore[import-not-found]
import sys


def run() -> int:
    """Run the command line; returns the exit status."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        _end_by_ctrl_c()
    from cronwax.main import main

    return main()


def _end_by_ctrl_c() -> None:
    """Until a command says otherwise, Ctrl-C ends the process, as it would any other: no traceback of an import.

    One that comes in the middle of the change waits until it is made: Python would drop it.
    """
    try:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    except KeyboardInterrupt:  # it came before
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        signal.raise_signal(signal.SIGINT)


if __name__ == "__main__":
    sys.exit(run())
