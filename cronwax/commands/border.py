"""The border between a command and whoever started it: what goes wrong becomes one line and an exit status."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

from cronwax.commands.arguments import complain
from dataflow.process.engine_output import reopen_standard_files, silence_stdout
from dataflow.process.exit import FlowError, end_process

INTERRUPTED = 130
"""The status after Ctrl-C, as shells have it (128 and the signal's number)."""
_OUTPUT_ERRORS = (errno.ENOSPC, errno.EIO, errno.EBADF, errno.EDQUOT)


def guarded(command: Callable[[], int], *, keeps_ctrl_c: bool = False) -> int:
    """Run a command that answers on standard output; its exit status.

    An unexpected exception still comes out as it is: it is a fault of the program, and its place helps to find it.
    """
    if not keeps_ctrl_c and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        # An exception in the middle of anything would come out as a traceback somewhere.
        signal.signal(signal.SIGINT, _interrupted)
    if 1 in reopen_standard_files():
        complain("standard output is closed")
        return 1
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal without UTF-8 shows \xfc for ü
    try:
        status = command()
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        silence_stdout()  # whoever reads has read enough
        return 0
    except OSError as error:
        silence_stdout()
        complain(_os_error(error))
        return 1
    except FlowError as error:
        complain(str(error))
        return error.status
    except KeyboardInterrupt:
        complain("interrupted")
        return INTERRUPTED
    except SystemExit as error:
        return _flushed(error)


def _flushed(error: SystemExit) -> int:
    """The status of a command that ended by itself, such as a parser's `--help`."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        silence_stdout()
    except OSError as problem:
        silence_stdout()
        complain(_os_error(problem))
        return 1
    return error.code if isinstance(error.code, int) else int(error.code is not None)


def _os_error(error: OSError) -> str:
    text = error.strerror or str(error) or type(error).__name__
    if error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {text}"
    return f"standard output: {text}" if error.errno in _OUTPUT_ERRORS else text


def _interrupted(number: int, frame: FrameType | None) -> None:
    end_process("interrupted", INTERRUPTED)
