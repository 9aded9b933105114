"""Group commit: what many requests bring is written and synced together, in a thread beside the event loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from cronwax.intake.lines import Entry
from dataflow.process.log import log, warn

MAX_WAITING_BYTES = 64 << 20
"""More than that does not wait for the disk: it is refused at once."""
MAX_GROUP_BYTES = 8 << 20
ANSWER_SECONDS = 0.9
"""No request waits longer for the disk."""
RETRY_SECONDS = 0.25
"""The pause after a write that failed: what comes in it is refused without trying."""
_SWEEP_SECONDS = 0.05


class NotTaken(Exception):  # noqa: N818 - what the client is answered
    """What came is not safe and will be lost unless it is sent again; the text says why."""


class Log(Protocol):
    """What is written to (see `LogWriter`)."""

    def commit(self, groups: Mapping[int, list[bytes]], now_us: int) -> dict[int, int]:
        """All or nothing; raises OSError. Returns where the lines end, by partition."""


@dataclass(slots=True)
class _Waiting:
    entries: list[Entry]
    size: int
    future: asyncio.Future[dict[int, int]]
    deadline: float


@dataclass(slots=True)
class CommitStatistics:
    """What was written since the start, for metrics."""

    groups: int = 0
    lines: int = 0
    bytes: int = 0
    failures: int = 0
    seconds: float = 0.0
    last_failure: str | None = None
    """What the last group failed of; None: it did not fail."""
    longest_seconds: float = field(default=0.0)


class GroupCommit:
    """Takes entries from the event loop; a thread writes whatever has gathered meanwhile, as one group.

    Promises: what `add` has returned from is on the disk, in the order of the calls within a partition. It returns, or
    raises NotTaken, within a second. Entries whose request has given up may be written all the same.
    """

    def __init__(self, log: Log, now_us: Callable[[], int]) -> None:
        self._log = log
        self._now_us = now_us
        self._loop = asyncio.get_running_loop()
        self._queue: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._condition = threading.Condition()
        self._closed = False
        self._failed_at: float | None = None
        self._pending: deque[_Waiting] = deque()
        self.statistics = CommitStatistics()
        self._thread = threading.Thread(target=self._run, name="commit", daemon=True)
        self._thread.start()
        self._sweeper = self._loop.create_task(self._sweep())

    async def add(self, entries: list[Entry]) -> dict[int, int]:
        """Wait until these are on the disk. Returns where their group ends, by partition of it. Raises NotTaken."""
        if not entries:
            return {}
        size = sum(len(entry) for _, entry in entries)
        future: asyncio.Future[dict[int, int]] = self._loop.create_future()
        waiting = _Waiting(entries, size, future, self._loop.time() + ANSWER_SECONDS)
        with self._condition:
            if self._closed:
                raise NotTaken("the intake is stopping")
            if self._waiting_bytes + size > MAX_WAITING_BYTES:
                raise NotTaken("too much is waiting for the disk")
            self._queue.append(waiting)
            self._waiting_bytes += size
            if len(self._queue) == 1:
                self._condition.notify()
        self._pending.append(waiting)
        return await future

    async def close(self) -> None:
        """Write what is there, and end the thread."""
        with self._condition:
            self._closed = True
            self._condition.notify()
        await self._loop.run_in_executor(None, self._thread.join)
        self._sweeper.cancel()

    @property
    def problem(self) -> str | None:
        """Why nothing can be written at present; None if it can, as far as is known."""
        return self.statistics.last_failure

    def is_stuck(self) -> bool:
        """Whether requests have given up on the disk and it still has not answered."""
        with self._condition:
            return bool(self._queue) and self._queue[0].deadline < self._loop.time()

    def _run(self) -> None:
        while True:
            with self._condition:
                while not self._queue and not self._closed:
                    self._condition.wait()
                if not self._queue:
                    return
                group = self._take()
            written = self._write(group)
            self._loop.call_soon_threadsafe(_answer, group, written)

    def _take(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        size = 0
        while self._queue and size < MAX_GROUP_BYTES:
            waiting = self._queue.popleft()
            group.append(waiting)
            size += waiting.size
        self._waiting_bytes -= size
        return group

    def _write(self, group: list[_Waiting]) -> dict[int, int] | str:
        """Write a group; returns where it ends, or why it failed."""
        statistics = self.statistics
        if self._failed_at is not None and time.monotonic() - self._failed_at < RETRY_SECONDS:
            return statistics.last_failure or "the log cannot be written"
        groups: dict[int, list[bytes]] = {}
        for waiting in group:
            for partition, entry in waiting.entries:
                groups.setdefault(partition, []).append(entry)
        began = time.monotonic()
        try:
            ends = self._log.commit(groups, self._now_us())
        except OSError as error:
            self._failed_at = time.monotonic()
            if statistics.last_failure is None:
                warn(
                    "intake_log",
                    text=f"the log cannot be written: {error.strerror}; answering 503 until it can",
                )
            statistics.last_failure = error.strerror or str(error)
            statistics.failures += 1
            return statistics.last_failure
        if statistics.last_failure is not None:
            log("intake_log", text="the log can be written again")
        self._failed_at = statistics.last_failure = None
        seconds = time.monotonic() - began
        statistics.groups += 1
        statistics.lines += sum(map(len, groups.values()))
        statistics.bytes += sum(waiting.size for waiting in group)
        statistics.seconds += seconds
        statistics.longest_seconds = max(statistics.longest_seconds, seconds)
        return ends

    async def _sweep(self) -> None:
        """Answer those that have waited long enough. In the order in which they came, so the first are the oldest."""
        pending = self._pending
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            now = self._loop.time()
            while pending and (pending[0].future.done() or pending[0].deadline <= now):
                waiting = pending.popleft()
                if not waiting.future.done():
                    waiting.future.set_exception(NotTaken("the disk does not answer"))


def _answer(group: list[_Waiting], written: dict[int, int] | str) -> None:
    for waiting in group:
        if not waiting.future.done():
            if isinstance(written, str):
                waiting.future.set_exception(NotTaken(written))
            else:
                waiting.future.set_result(written)
