"""Ending: errors that end the flow, and the one place where a process is ended at once."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable
from functools import wraps
from typing import NoReturn, ParamSpec, TypeVar

from dataflow.process.log import log

Given = ParamSpec("Given")
Returned = TypeVar("Returned")

_ending = threading.Lock()
"""Taken by the first thread that ends the process, and never given back."""


class FlowError(Exception):
    """The flow cannot go on; the text says what is wrong and where, in one line.

    Nothing is lost by it: the state is what the last epoch left, as after any crash.
    """

    status = 1
    """The process's exit status. 1: a restart may help, such as for a full disk or a broker that is away."""


class LastingError(FlowError):
    """The flow cannot go on, and a restart does not help until a person has changed something."""

    status = 2


class StartError(LastingError):
    """The flow cannot start as it is set."""


def end_process(message: str, status: int) -> NoReturn:
    """End this process at once: one line on stderr, and a log line `stop` with the reason.

    For what happens while the engine runs: an exception would come out as its panic and a traceback from every worker.
    Of several threads that call it, the first ends the process.
    """
    _ending.acquire()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    with contextlib.suppress(OSError, ValueError, AttributeError):
        print(f"cronwax: {message}", file=sys.stderr, flush=True)
    with contextlib.suppress(OSError, ValueError):
        log("stop", reason=message, status=status)
    os._exit(status)


def at_border(call: Callable[Given, Returned]) -> Callable[Given, Returned]:
    """The call as the engine, or a thread of ours, may make it: a FlowError ends the process with its line, and so
    does what the machine refuses and nobody has named better: a folder that is gone, a disk that fails."""

    @wraps(call)
    def guarded(*args: Given.args, **kwargs: Given.kwargs) -> Returned:
        try:
            return call(*args, **kwargs)
        except FlowError as error:
            end_process(str(error), error.status)
        except OSError as error:
            where = "" if error.filename is None else f"{error.filename}: "
            end_process(f"{where}{error.strerror or error}", FlowError.status)

    return guarded
