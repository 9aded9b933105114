"""Stopping in order: on SIGTERM and SIGINT sources end, the flow drains, snapshots, publishes and exits 0."""

from __future__ import annotations

import signal
import threading
from types import FrameType

_requested = threading.Event()


def stopping() -> bool:
    """Whether this process was asked to stop; sources then end."""
    return _requested.is_set()


def watch_signals() -> None:
    """Take SIGTERM and SIGINT as a request to stop. The engine itself would die at once, without a last snapshot."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _request)


def _request(number: int, frame: FrameType | None) -> None:
    _requested.set()
