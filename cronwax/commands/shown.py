"""What is shown on a terminal otherwise than as it comes: in a pager, or again and again."""

from __future__ import annotations

import io
import os
import signal
import sys
import time
from collections.abc import Callable

from cronwax.commands.arguments import complain
from state.errors import StateError

_CLEAR = "\x1b[H\x1b[2J\x1b[3J"
"""To the upper left corner, and nothing left on the screen."""


class Shown(io.TextIOBase):
    """Takes what is shown, and stands for the terminal."""

    def __init__(self, out: io.StringIO, terminal: object) -> None:
        self._out = out
        self._terminal = terminal

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The terminal's."""
        return str(getattr(self._terminal, "encoding", "utf-8"))

    def isatty(self) -> bool:
        """It is one."""
        return True

    def fileno(self) -> int:
        """The terminal's."""
        return 1

    def write(self, text: str) -> int:
        """Keep it."""
        return self._out.write(text)


def watch(show: Callable[[], None], seconds: int) -> int:
    """Show an answer again and again until Ctrl-C, which is the usual end: status 0.

    On a terminal it stands where the last one stood, as much of it as the terminal is high; elsewhere one comes after
    the other. Raises what `show` raises the first time; later a snapshot that cannot be read is said and waited for.
    """
    is_first = True
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        while True:
            try:
                if sys.stdout.isatty():
                    _show_in_place(show)
                else:
                    show()
                    sys.stdout.flush()
            except StateError as error:
                if is_first:
                    raise
                complain(str(error))
            is_first = False
            time.sleep(seconds)
    except KeyboardInterrupt:
        return 0


def _show_in_place(show: Callable[[], None]) -> None:
    out, real = io.StringIO(), sys.stdout
    sys.stdout = Shown(out, real)
    try:
        show()
    finally:
        sys.stdout = real
    lines = out.getvalue().splitlines()
    room = os.get_terminal_size(real.fileno()).lines - 1
    if len(lines) > room:
        lines = [*lines[: room - 1], f"... and {len(lines) - room + 1} lines more"]
    real.write(_CLEAR + "\n".join(lines) + "\n")
    real.flush()
