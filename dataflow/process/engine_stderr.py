"""When the engine breaks off: what a person can put right comes out as one line, everything else as it is."""

from __future__ import annotations

import os
import re
import select
import sys
from types import TracebackType

from bytewax.recovery import InconsistentPartitionsError, MissingPartitionsError, NoPartitionsError

from dataflow.process.engine_output import EngineOutput
from dataflow.process.exit import FlowError, end_process
from dataflow.process.stopping import broke_off

_STORE_ERRORS = (InconsistentPartitionsError, MissingPartitionsError, NoPartitionsError)
_MEANINGS = (
    (re.compile(r'SqliteFailure\(.*Some\("(.*?)"\)'), "the recovery store cannot be used: {}"),
    (re.compile(r"failed to initialize networking: (.*)"), "the addresses of the cluster (-a): {}"),
    (
        re.compile(r"(?:Send|Recv) thread panic|timely communication error"),
        "another process of the cluster has ended, so this one ends too; start all of them again",
    ),
)
"""What the engine says, and what that means to whoever runs it."""
_PANIC = re.compile(rb"^thread '.*' panicked at ", re.MULTILINE)
_HOLD_SECONDS = 5.0
"""A panic that no exception has followed by then is shown as it is: the process hangs."""


def explain(error: BaseException) -> str | None:
    """What broke the flow off, in one line; None if it is a fault of the program."""
    text = " ".join(str(error).split())
    if isinstance(error, FlowError):
        return text
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, _STORE_ERRORS):
        return f"the recovery store cannot be used: {text}"
    for pattern, meaning in _MEANINGS:
        if found := pattern.search(text):
            return meaning.format(*found.groups())
    return None


def report_in_one_line() -> None:
    """From now on an exception that ends the process comes out as one line where `explain` knows one.

    To be called once, in a process of the flow's own: it takes over the process's stderr.
    """
    stderr = _EngineStderr()
    stderr.take_over()

    def report(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        meaning = explain(error)
        if meaning is not None:
            stderr.drop_panic()
        stderr.release()
        if meaning is not None:
            end_process(meaning, error.status if isinstance(error, FlowError) else 1)
        broke_off(f"{kind.__name__}: {error}")
        sys.__excepthook__(kind, error, traceback)

    sys.excepthook = report


class _EngineStderr(EngineOutput):
    """Takes stderr, where the engine writes panics before they become exceptions.

    Passes on what comes, line by line, but holds back from a panic on until `release`.
    """

    def __init__(self) -> None:
        super().__init__(2, sys.stderr, errors="backslashreplace")
        sys.stderr = self.stream
        self._drops_panic = False

    def run(self) -> None:
        """Until `release`."""
        text, panic = b"", None
        while True:
            ready, _, _ = select.select([self._reader], [], [], _HOLD_SECONDS if panic else None)
            chunk = os.read(self._reader, 1 << 16) if ready else b""
            text += chunk
            panic = _PANIC.search(text)
            end = panic.start() if panic else text.rfind(b"\n") + 1
            if not chunk and not self._drops_panic:
                end, panic = len(text), None
            self.pass_on(text[:end])
            text = text[end:]
            if ready and not chunk:
                return

    def drop_panic(self) -> None:
        """What is held back is of no use to anybody."""
        self._drops_panic = True
