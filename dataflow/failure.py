"""Ending with one clear line instead of a traceback."""

from __future__ import annotations

import os
import sys
from typing import NoReturn


class StartError(SystemExit):
    """The flow cannot start; the text says what is wrong and where, in one line. Exit status 2."""

    def __init__(self, message: str) -> None:
        print(f"cronwax: {message}", file=sys.stderr, flush=True)
        super().__init__(2)


def fail(message: str) -> NoReturn:
    """End this process at once with one line and status 1.

    For what happens while the flow runs and only a person can mend (a full disk, a broker that stays away). An
    exception would come out as the engine's panic and a traceback from every worker. Nothing is lost: state is what
    the last epoch left, as after any crash.
    """
    sys.stdout.flush()
    print(f"cronwax: {message}", file=sys.stderr, flush=True)
    os._exit(1)
