"""When the engine breaks off: what a person can mend comes out as one line, everything else as it is."""

from __future__ import annotations

import atexit
import os
import re
import select
import sys
import threading
from types import TracebackType

from bytewax.recovery import InconsistentPartitionsError, MissingPartitionsError, NoPartitionsError

from dataflow.process.exit import fail

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
"""A panic that no exception has followed for so long is shown as it is: the process hangs."""


def explain(error: BaseException) -> str | None:
    """What broke the flow off, in one line; None if it is nothing that a person could mend."""
    text = " ".join(str(error).split())
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
    stderr.start()
    atexit.register(stderr.release)

    def report(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        meaning = explain(error)
        stderr.release(drop_panic=meaning is not None)
        if meaning is not None:
            fail(meaning)
        sys.__excepthook__(kind, error, traceback)

    sys.excepthook = report


class _EngineStderr(threading.Thread):
    """Stands behind file descriptor 2, where the engine writes panics before they become exceptions.

    Hands on what comes, line by line, but holds back from a panic on until `release`. Python's own stderr goes
    straight to where it went before.
    """

    def __init__(self) -> None:
        super().__init__(name="engine-stderr", daemon=True)
        sys.stderr.flush()
        self._drops_panic = False
        self._real = os.dup(2)
        self._reader, writer = os.pipe()
        os.dup2(writer, 2)
        os.close(writer)
        sys.stderr = open(self._real, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115

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
            os.write(self._real, text[:end])
            text = text[end:]
            if ready and not chunk:
                return

    def release(self, drop_panic: bool = False) -> None:
        """Give file descriptor 2 back, and show what was held, or drop it."""
        self._drops_panic = drop_panic
        os.dup2(self._real, 2)
        self.join()
