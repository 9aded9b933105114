"""Pauses: pieces of work on a worker's thread, during which no message passes there; by cause, and as they add up."""

from __future__ import annotations

import gc
import threading
import time
from collections import deque
from contextlib import suppress
from typing import Any

from dataflow.operations.metrics import PAUSE_SECONDS
from dataflow.process.log import log

LEAST_SECONDS = 0.01
"""What is shorter is not counted: it is nearly every call."""
LOGGED_SECONDS = 0.25
EPOCH_END = "epoch end"
COLLECTOR = "garbage collector"


def paused(cause: str, seconds: float) -> None:
    """A piece of work took so long. A long one is logged, too."""
    if seconds >= LEAST_SECONDS:
        PAUSE_SECONDS.labels(cause).observe(seconds)
        if seconds >= LOGGED_SECONDS:
            log("pause", cause=cause, seconds=round(seconds, 3))


class _EpochEnd(threading.local):
    """The snapshots of a worker's steps: the engine takes them one after the other."""

    first: float | None = None
    last = 0.0


_epoch_end = _EpochEnd()
_collections: deque[float] = deque()
"""How long those of the garbage collector took that are not counted yet: it may begin within a call that holds a lock
of the metrics'."""


def snapshot_taken(began: float, ended: float) -> None:
    """A snapshot of one key group, by `time.perf_counter`."""
    if _epoch_end.first is None:
        _epoch_end.first = began
    _epoch_end.last = ended


def goes_on() -> None:
    """A step of the worker takes items: whatever snapshots it took have been taken."""
    if _epoch_end.first is not None:
        paused(EPOCH_END, _epoch_end.last - _epoch_end.first)
        _epoch_end.first = None
    if _collections:
        with suppress(IndexError):  # other workers take from it, too
            while True:
                paused(COLLECTOR, _collections.popleft())


def watch_collector() -> None:
    """Note how long the garbage collector takes, from now on. (It holds all threads up.)"""
    began = 0.0

    def called(phase: str, _: dict[str, Any]) -> None:
        nonlocal began
        if phase == "start":
            began = time.perf_counter()
        else:
            _collections.append(time.perf_counter() - began)

    gc.callbacks.append(called)
