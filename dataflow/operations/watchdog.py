"""Says by itself when the flow is blind, and when it sees again."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from dataflow.operations.metrics import STALLED
from dataflow.operations.vitals import SECOND_US, Sign
from dataflow.process.log import log, warn
from dataflow.process.wall_clock import wall_clock_us
from dataflow.wire.stalls import Stall

CHECK_SECONDS = 1.0
FOLDER = "stalled"
"""The folder below the data folder that holds what is stalled."""

Send = Callable[[Stall, Callable[[], None]], None]
"""Sends a message about a stall; calls back once it is delivered."""


class SignsOfLife(Protocol):
    """What the watchdog looks at."""

    @property
    def started_us(self) -> int:
        """When this process began to watch, in µs since the epoch."""

    def signs(self, now_us: int) -> Iterable[Sign]:
        """How everything that can stall is doing."""


class Watchdog:
    """Compares signs of life with a limit.

    1. Something further behind than the limit is stalled: that is logged, shown as a metric and sent as a message.
    2. It has recovered when it is less than half the limit behind, not whenever it crosses the limit.
    3. A process that has just begun may take as long as the limit to catch up.
    4. What is stalled is noted in the data folder until the message about its end is delivered: if the process
       ends before, the next one sends it.
    """

    def __init__(self, vitals: SignsOfLife, limit_seconds: float, folder: Path, send: Send) -> None:
        self._vitals = vitals
        self._limit_seconds = limit_seconds
        self._limit_us = int(limit_seconds * SECOND_US)
        self._folder = folder
        self._send = send
        self._stalled: dict[str, int] = {}
        self._inherited: dict[str, int | None] = {}

    def check(self, now_us: int) -> None:
        """Look at everything."""
        has_begun = now_us - self._vitals.started_us >= self._limit_us
        for sign in self._vitals.signs(now_us):
            if sign.subject not in self._inherited:
                self._inherited[sign.subject] = self._recall(sign.subject)
                STALLED.labels(sign.subject).set(0)
            if sign.subject in self._stalled:
                if sign.age_us <= self._limit_us // 2 and sign.is_certain:
                    self._recovered(sign, self._stalled.pop(sign.subject), now_us)
            elif sign.age_us > self._limit_us:
                if has_begun:
                    self._begins(sign, now_us)
            elif (since_us := self._inherited[sign.subject]) is not None and sign.is_certain:
                self._recovered(sign, since_us, now_us)

    def _begins(self, sign: Sign, now_us: int) -> None:
        since_us = self._inherited[sign.subject]
        if since_us is None:
            since_us = sign.since_us
            self._remember(sign.subject, since_us)
        self._stalled[sign.subject] = since_us
        STALLED.labels(sign.subject).set(1)
        stall = Stall(sign.kind, sign.subject, since_us, now_us, self._limit_seconds, is_over=False)
        warn(
            "stalled",
            subject=sign.subject,
            behind_seconds=sign.age_us / SECOND_US,
            text=stall.text,
        )
        self._send(stall, _nothing)

    def _recovered(self, sign: Sign, since_us: int, now_us: int) -> None:
        self._inherited[sign.subject] = None
        STALLED.labels(sign.subject).set(0)
        stall = Stall(sign.kind, sign.subject, since_us, now_us, self._limit_seconds, is_over=True)
        log("recovered", subject=sign.subject, text=stall.text)
        self._send(stall, lambda: self._forget(sign.subject, since_us))

    def _file(self, subject: str) -> Path:
        return self._folder / f"{quote(subject, safe='')}.json"

    def _recall(self, subject: str) -> int | None:
        """Since when an earlier process found it stalled; None if it did not, or nobody knows."""
        try:
            since_us = json.loads(self._file(subject).read_bytes())["since_us"]
        except (OSError, ValueError, LookupError, TypeError):
            return None
        return since_us if isinstance(since_us, int) else None

    def _remember(self, subject: str, since_us: int) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file(subject).write_text(json.dumps({"since_us": since_us}))
        except OSError as error:  # the disk may be what is stalled
            warn("not_remembered", subject=subject, reason=error.strerror)

    def _forget(self, subject: str, since_us: int) -> None:
        if self._recall(subject) == since_us:  # else it has stalled again since
            self._file(subject).unlink(missing_ok=True)


class WatchdogThread(threading.Thread):
    """Lets the watchdog look once a second, and its messages go out."""

    def __init__(self, watchdog: Watchdog, poll: Callable[[], None]) -> None:
        super().__init__(name="watchdog", daemon=True)
        self._watchdog = watchdog
        self._poll = poll
        self._ended = threading.Event()

    def run(self) -> None:
        """Until `end`."""
        while not self._ended.wait(CHECK_SECONDS):
            self._watchdog.check(wall_clock_us())
            self._poll()

    def end(self) -> None:
        """Stop looking."""
        self._ended.set()
        self.join(CHECK_SECONDS)


def _nothing() -> None:
    """A stall stays remembered when its message is delivered."""
