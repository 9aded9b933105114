"""A part of `cronwax serve`: a process, its log lines with its name before them, and its restarts."""

from __future__ import annotations

import asyncio
import ctypes
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cronwax.serve.backoff import LONGEST_SECONDS, Backoff

STOP_SECONDS = 30.0
"""How long a part may drain before it is killed."""
CONFIGURATION_STATUS = 2
"""A part that ends with it at its first start cannot start at all: that is not tried again."""
MAX_LINE_BYTES = 1 << 20
Say = Callable[[str, str], None]
"""Prints a line of a part: its name, the line."""


@dataclass(frozen=True, slots=True)
class Part:
    """What a part runs."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    is_vital: bool = True
    """The others are of no use without it. One that is not vital is started again for ever."""


class PartFailed(Exception):  # noqa: N818 - an event
    """A part cannot be kept running; the text says so in one line."""


class Supervised:
    """Keeps one part running until `stop`."""

    def __init__(self, part: Part, say: Say) -> None:
        self._part = part
        self._say = say
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()
        self._backoff = Backoff()
        self._last_line = ""

    async def run(self) -> None:
        """Until it is stopped. Raises PartFailed when it keeps dying."""
        is_first = True
        while not self._stopping.is_set():
            started = time.monotonic()
            status = await self._run_once()
            if self._stopping.is_set():
                return
            if is_first and status == CONFIGURATION_STATUS:
                raise PartFailed(f"{self._part.name} cannot start: {self._reason()}")
            pause = self._backoff.died(started, time.monotonic())
            how = f"died of {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
            if pause is None and not self._part.is_vital:
                pause = LONGEST_SECONDS
            if pause is None:
                raise PartFailed(f"{self._part.name} keeps dying ({how}): {self._reason()}")
            self._say("serve", f"{self._part.name} {how}; it is started again in {pause:g} s")
            is_first = False
            await self._wait(pause)

    async def stop(self) -> None:
        """Let it drain, and kill it if it does not end."""
        self._stopping.set()
        process = self._process
        if process is None or process.returncode is not None:
            return
        _signal(process, signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            self._say("serve", f"{self._part.name} does not end; it is killed")
            _signal(process, signal.SIGKILL)
            await process.wait()

    async def _run_once(self) -> int:
        # A session of its own: Ctrl-C reaches the supervisor alone, which stops the parts in their order.
        process = self._process = await asyncio.create_subprocess_exec(
            *self._part.command,
            env=dict(self._part.environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent,
            limit=MAX_LINE_BYTES,
        )
        if self._stopping.is_set():
            _signal(process, signal.SIGTERM)
        assert process.stdout is not None
        await self._read(process.stdout)
        return await process.wait()

    async def _read(self, stream: asyncio.StreamReader) -> None:
        while True:
            try:
                line = await stream.readline()
            except ValueError:  # a line beyond all measure
                continue
            if not line:
                return
            text = line.decode(errors="replace").rstrip()
            if text:
                self._last_line = text
                self._say(self._part.name, text)

    async def _wait(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

    def _reason(self) -> str:
        return self._last_line.removeprefix("cronwax: ") or "it said nothing"


_PR_SET_PDEATHSIG = 1
"""Of Linux's prctl(2)."""
_prctl = getattr(ctypes.CDLL(None), "prctl", None)


def _die_with_parent() -> None:
    """In a new part: be killed when `serve` dies, even by kill -9. A part that is left over would hold folder and port
    against the next start. Elsewhere than on Linux nothing happens."""
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except ProcessLookupError:
        return


def print_line(name: str, line: str) -> None:
    """A line of a part on stderr."""
    print(f"{name:<7}| {line}", file=sys.stderr, flush=True)
