"""Ending with one clear line instead of a traceback."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

_engine_runs = False


class StartError(SystemExit):
    """The flow cannot start; the text says what is wrong and where, in one line. Exit status 2."""

    def __init__(self, message: str) -> None:
        if _engine_runs:
            _end(message, 2)
        print(f"cronwax: {message}", file=sys.stderr, flush=True)
        super().__init__(2)


def hand_over_to_engine() -> None:
    """From now on an exception would come out as the engine's panic: a StartError ends the process itself."""
    global _engine_runs
    _engine_runs = True


def fail(message: str) -> NoReturn:
    """End this process at once with one line and status 1.

    For what happens while the flow runs and only a person can mend (a full disk, a broker that stays away). An
    exception would come out as the engine's panic and a traceback from every worker. Nothing is lost: state is what
    the last epoch left, as after any crash.
    """
    _end(message, 1)


def _end(message: str, status: int) -> NoReturn:
    sys.stdout.flush()
    print(f"cronwax: {message}", file=sys.stderr, flush=True)
    os._exit(status)
