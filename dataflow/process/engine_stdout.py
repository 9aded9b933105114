"""While the processes of a cluster wait for each other: one line about each that is missing."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence

from dataflow.process.engine_output import EngineOutput
from dataflow.process.log import warn

_RETRYING = re.compile(rb"worker \d+:\terror connecting to worker (\d+): (.*); retrying")
"""What the engine says on stdout, every second, of another process that is not there yet."""


def report_missing(addresses: Sequence[str]) -> None:
    """From now on one log line (stderr) names each process that is waited for, instead of one a second on stdout.

    To be called once, in a process of the flow's own: it takes over the process's file descriptor 1.
    """
    _EngineStdout(addresses).take_over()


class _EngineStdout(EngineOutput):
    """Takes stdout and passes on what comes, line by line, except what the engine repeats."""

    def __init__(self, addresses: Sequence[str]) -> None:
        super().__init__(1, sys.stdout, errors="backslashreplace")
        sys.stdout = self.stream
        self._addresses = addresses
        self._named: set[int] = set()

    def run(self) -> None:
        """Until `release`."""
        with open(self._reader, "rb") as lines:
            for line in lines:
                if (found := _RETRYING.match(line)) is None:
                    self.pass_on(line)
                else:
                    self._announce(int(found[1]), found[2].decode(errors="replace"))

    def _announce(self, process: int, reason: str) -> None:
        if process not in self._named:
            self._named.add(process)
            address = self._addresses[process]
            warn("peers", process=process, text=f"waiting for process {process} at {address}: {reason}")
