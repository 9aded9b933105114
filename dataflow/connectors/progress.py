"""How far a bounded source has come: a bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

from rich.filesize import decimal

from dataflow.monitors.check_in import NO_MINUTE

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

_BAR_INTERVAL_S = 0.2
_LOG_INTERVAL_S = 5.0


class Progress:
    """Counts what the partitions of one process have read and shows it on stderr; nothing else depends on it.

    The workers of a process share one, so every call takes a lock; between two looks of the reader's a call
    costs a glance at the clock.
    """

    def __init__(
        self, total: int | None, unit: str, stream: TextIO, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._total = total
        self._unit = unit
        self._stream = stream
        self._now = now
        self._bar = _new_bar(stream) if stream.isatty() else None
        self._interval_s = _LOG_INTERVAL_S if self._bar is None else _BAR_INTERVAL_S
        self._lock = threading.Lock()
        self._amounts: dict[str, int] = {}
        self._sizes: dict[str, int] = {}
        self._clocks: dict[str, int] = {}
        self._reading: set[str] = set()
        self._messages = 0
        self._began = self._shown = self._now()

    @classmethod
    def create(cls, total: int | None, unit: str) -> Progress:
        """On this process's stderr. `total` in `unit`s ("bytes", "messages"); None: the sum of what
        starts."""
        return cls(total, unit, sys.stderr)

    def start(self, part: str, size: int, position: int) -> None:
        """A partition of this size begins, or resumes, at this position."""
        with self._lock:
            if not self._sizes:
                self._began = self._shown = self._now()
                if self._bar is not None:
                    self._bar.add_task("", total=None, text="")
                    self._bar.start()
            self._sizes[part] = size
            self._amounts[part] = position
            self._clocks[part] = NO_MINUTE
            self._reading.add(part)

    def advance(self, part: str, position: int, messages: int, clock_minute: int) -> None:
        """A partition has come to this position and clock, with this many more messages."""
        with self._lock:
            self._amounts[part] = position
            self._clocks[part] = clock_minute
            self._messages += messages
            now = self._now()
            if now - self._shown >= self._interval_s:
                self._show(now)

    def finish(self, part: str) -> None:
        """A partition has ended or stops; behind the last one, show where all of them stand."""
        with self._lock:
            if part not in self._reading:
                return
            self._reading.remove(part)
            if self._clocks[part] == NO_MINUTE:
                del self._clocks[part]
            if self._reading:
                return
            self._show(self._now())
            if self._bar is not None:
                self._bar.stop()

    def _show(self, now: float) -> None:
        self._shown = now
        done = sum(self._amounts.values())
        total = sum(self._sizes.values()) if self._total is None else self._total
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=done, total=total, text=self._rate(now))
            self._bar.refresh()
            return
        share = f"{done / total:.0%} of {self._spelled(total)}" if total else self._spelled(done)
        print(f"cronwax: {share}, {self._rate(now)}", file=self._stream, flush=True)

    def _spelled(self, amount: int) -> str:
        return decimal(amount) if self._unit == "bytes" else f"{amount:,} {self._unit}"

    def _rate(self, now: float) -> str:
        rate = self._messages / max(now - self._began, 0.001)
        slowest = min(self._clocks.values(), default=NO_MINUTE)
        text = f"{self._messages:,} read, {rate:,.0f} a second"
        if slowest == NO_MINUTE:
            return text
        return f"{text}, at {datetime.fromtimestamp(slowest * 60, UTC):%Y-%m-%d %H:%M} UTC"


def _new_bar(stream: TextIO) -> Bar:
    from dataflow.connectors.progress_bar import (
        new_bar,
    )  # rich takes a tenth of a start, and only a terminal needs it

    return new_bar(stream)
