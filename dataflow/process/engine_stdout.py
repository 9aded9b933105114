"""While the processes of a cluster wait for each other: one line about each that is missing."""

from __future__ import annotations

import atexit
import os
import re
import sys
import threading
from collections.abc import Sequence

from dataflow.process.log import warn

_RETRYING = re.compile(rb"worker \d+:\terror connecting to worker (\d+): (.*); retrying")
"""What the engine says on stdout, every second, of another process that is not there yet."""


def report_missing(addresses: Sequence[str]) -> None:
    """From now on one log line (stderr) names each process that is waited for, instead of one a second on stdout.

    To be called once, in a process of the flow's own: it takes over the process's file descriptor 1.
    """
    stdout = _EngineStdout(addresses)
    stdout.start()
    atexit.register(stdout.release)


class _EngineStdout(threading.Thread):
    """Stands behind file descriptor 1 and hands on what comes, line by line, but for what the engine repeats.

    Python's own stdout goes straight to where it went before.
    """

    def __init__(self, addresses: Sequence[str]) -> None:
        super().__init__(name="engine-stdout", daemon=True)
        self._addresses = addresses
        self._told: set[int] = set()
        sys.stdout.flush()
        self._real = os.dup(1)
        self._reader, writer = os.pipe()
        os.dup2(writer, 1)
        os.close(writer)
        sys.stdout = open(self._real, "w", buffering=1, closefd=False)  # noqa: SIM115

    def run(self) -> None:
        """Until `release`."""
        with open(self._reader, "rb") as lines:
            for line in lines:
                if (found := _RETRYING.match(line)) is None:
                    os.write(self._real, line)
                else:
                    self._tell(int(found[1]), found[2].decode(errors="replace"))

    def _tell(self, process: int, reason: str) -> None:
        if process not in self._told:
            self._told.add(process)
            address = self._addresses[process]
            warn("peers", process=process, text=f"waiting for process {process} at {address}: {reason}")

    def release(self) -> None:
        """Give file descriptor 1 back."""
        sys.stdout.flush()
        os.dup2(self._real, 1)
        self.join()
