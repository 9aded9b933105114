"""Stopping in order: on SIGTERM, SIGINT and SIGHUP sources end, the flow drains, snapshots, publishes and exits 0.

Before there is anything to drain, a signal ends the process at once. Signals are looked at by a thread: the main thread
may be in a call of the engine's, or of a client's, that no signal interrupts.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from dataflow.process.exit import end_process

BUILD_SECONDS = 4.0
"""How long a stop waits for sources and sinks that are still being opened."""
INTERRUPTED = 130
"""The exit status when Ctrl-C comes before the flow has begun, as shells have it."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

_requested = threading.Event()
_began = threading.Event()
_epoch_ended = threading.Event()
_reason: str | None = None
_built = threading.Condition()
_builds = 0
"""Sources and sinks that are being opened now."""
_watching = False
_restart_reason: str | None = None


def stopping() -> bool:
    """Whether this process was asked to stop; sources then end."""
    return _requested.is_set()


def stop_reason() -> str | None:
    """Why the flow is to stop, such as the signal's name; None: it is not."""
    return _reason


def broke_off(reason: str) -> None:
    """Remember what ended the flow, for the log line about the end."""
    global _reason
    _reason = reason


def flow_began() -> None:
    """From now on a stop is one in order: the flow drains."""
    _began.set()


def epoch_ended() -> None:
    """An epoch has ended: every source and sink of this process is open, and can be written."""
    _epoch_ended.set()


def has_ended_epoch() -> bool:
    """Whether an epoch of this run has ended here."""
    return _epoch_ended.is_set()


@contextmanager
def building() -> Iterator[None]:
    """Around the opening of a source or a sink, which may take long."""
    global _builds
    with _built:
        _builds += 1
    try:
        yield
    finally:
        with _built:
            _builds -= 1
            _built.notify_all()


def stop_to_restart(reason: str) -> None:
    """Stop in order, so that the supervisor starts the flow again; `reason` is one line about what has changed."""
    global _restart_reason, _reason
    _restart_reason = _reason = reason
    _requested.set()


def restart_reason() -> str | None:
    """Why the flow stopped by itself, to be started again; None if it did not."""
    return _restart_reason


def watch_signals() -> None:
    """Take SIGTERM, SIGINT and SIGHUP as a request to stop, from now on; to be called once, from the main thread.

    The engine itself would die at once, without a last snapshot; process 1 of a container would not hear SIGTERM at
    all. A SIGHUP that whoever started the process ignores (nohup) stays ignored.
    """
    global _watching
    if _watching or threading.current_thread() is not threading.main_thread():
        return
    _watching = True
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in _SIGNALS:
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _noticed)
    threading.Thread(target=_look, args=(reader,), name="signals", daemon=True).start()


def _noticed(number: int, frame: FrameType | None) -> None:
    """Python writes the signal's number into the pipe by itself; without a handler it would do nothing."""


def _look(reader: int) -> None:
    while numbers := os.read(reader, 1):
        if numbers[0] in _SIGNALS:
            _stop(signal.Signals(numbers[0]))


def _stop(number: signal.Signals) -> None:
    global _reason
    _reason = _reason or number.name
    _requested.set()
    if _began.is_set():
        with _built:
            if _built.wait_for(lambda: not _builds, BUILD_SECONDS):
                return
    status = INTERRUPTED if number is signal.SIGINT else 0
    end_process(f"stopped by {number.name} before the flow began", status)
