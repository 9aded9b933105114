"""What the engine writes to the process's own stdout and stderr, taken over and put into words."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
from abc import abstractmethod
from typing import TextIO


class EngineOutput(threading.Thread):
    """Stands in place of file descriptor 1 or 2, into which the engine writes without Python's knowledge.

    Python's own stream goes straight to where it went before.
    """

    def __init__(self, descriptor: int, stream: TextIO, errors: str | None = None) -> None:
        super().__init__(name=f"engine-output-{descriptor}", daemon=True)
        with contextlib.suppress(OSError):
            stream.flush()
        self._descriptor = descriptor
        self._encoding = stream.encoding
        self._real = os.dup(descriptor)
        self._reader, writer = os.pipe()
        os.dup2(writer, descriptor)
        os.close(writer)
        self.stream = open(  # noqa: SIM115 - for as long as the process runs
            self._real, "w", buffering=1, encoding=stream.encoding, errors=errors, closefd=False
        )
        """For Python's own output."""

    def take_over(self) -> None:
        """Begin, until the process ends."""
        self.start()
        atexit.register(self.release)

    @abstractmethod
    def run(self) -> None:
        """Read what the engine writes, until `release`."""

    def pass_on(self, text: bytes) -> None:
        """Write to where the descriptor went before. What cannot be written is dropped: nowhere to report it."""
        with contextlib.suppress(OSError):
            os.write(self._real, text)

    def release(self) -> None:
        """Give the file descriptor back, and wait until all is passed on."""
        with contextlib.suppress(OSError, ValueError):
            self.stream.flush()
        os.dup2(self._real, self._descriptor)
        self.join()


def reopen_standard_files() -> list[int]:
    """Put /dev/null in the place of standard files that are closed; which of 0, 1 and 2 were.

    Else the next file that is opened, a database say, gets a number that people print to.
    """
    lost = []
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            lost.append(number)
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "r" if number == 0 else "w", closefd=False))  # noqa: SIM115
    return lost


def silence_stdout() -> None:
    """Nobody takes more output: nothing must be written when the interpreter closes the stream."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
    if hasattr(sys.stdout, "fileno") and (number := sys.stdout.fileno()) != 1:
        os.dup2(1, number)
