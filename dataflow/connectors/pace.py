"""Keeps readers together by event time, so that little waits where the gate puts controls and check-ins in order."""

from __future__ import annotations

import os
import struct
import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from dataflow.monitors.event_order import FOREVER
from dataflow.monitors.times import NO_TIME
from dataflow.process.log import warn

AHEAD_US = 60_000_000
"""How far a reader may be ahead of the slowest one in event time, beside one batch."""
FILE = "readers"
"""In the data folder: where the processes of a cluster tell each other how far they have read."""
PAUSE = timedelta(milliseconds=2)
"""How long a reader that is ahead waits before it asks again."""
LOOK_SECONDS = 0.005
"""The pause between two looks into that file."""
_ENTRY = struct.Struct("<qq")
"""Of one partition: its slot and its newest time, each one more than it is, so that zeros say nothing."""


class Pace:
    """How far each partition of the flow has been read, in event time; shared by all readers of a process.

    What it says is advice: readers go by it to keep together, and to know what somebody waits for. The order itself
    depends on what travels with the batches alone.

    The processes of a cluster tell each other through a file in the data folder, which all of them share.
    """

    def __init__(
        self, names: Sequence[str], control_names: Sequence[str] = (), shared: Path | None = None
    ) -> None:
        """Origins are as in `Inputs`. `shared`: the data folder, if other processes read partitions, too."""
        self._main = len(names)
        count = len(names) + len(control_names)
        self._slots = [int(NO_TIME)] * count
        """The time that each reader has come to; NO_TIME: it has not begun; FOREVER: it has nothing to read now."""
        self._newest_us = [int(NO_TIME)] * count
        self._is_own = [False] * count
        self._shared = shared
        self._file = -1
        self._looked = 0.0
        self._lock = threading.Lock()

    def begin(self, origin: int, newest_us: int = NO_TIME) -> None:
        """A partition is read in this process. `newest_us`: the newest time that it brought before a restart; nobody
        is held up by that."""
        index = self._index(origin)
        with self._lock:
            self._is_own[index] = True
            if self._shared is not None and self._file < 0:
                self._open(self._shared / FILE)
        self._slots[index], self._newest_us[index] = int(NO_TIME), newest_us
        self._tell(index)

    def read(self, origin: int, newest_us: int, rests: bool = False) -> None:
        """A partition has been read to here. `rests`: to its end, for now; it holds nobody up."""
        index = self._index(origin)
        newest_us = max(newest_us, self._newest_us[index])
        slot = int(FOREVER) if rests else newest_us
        if slot != self._slots[index] or newest_us != self._newest_us[index]:
            self._slots[index], self._newest_us[index] = slot, newest_us
            self._tell(index)

    def end(self, origin: int) -> None:
        """A partition is read no more."""
        self.read(origin, NO_TIME, rests=True)

    def may_read(self, origin: int) -> bool:
        """Whether a partition is not too far ahead of the others."""
        own_us = self._newest_us[self._index(origin)]
        if own_us <= AHEAD_US:
            return True
        self._look()
        return own_us - AHEAD_US <= min((each for each in self._slots if each != NO_TIME), default=FOREVER)

    def newest_beside(self, origin: int) -> int:
        """The newest time that came from a partition for which this one may be waited for: controls wait for all, and
        check-ins for controls."""
        self._look()
        if origin >= 0:
            return max(self._newest_us[self._main :], default=int(NO_TIME))
        own = self._index(origin)
        others = (each for index, each in enumerate(self._newest_us) if index != own)
        return max(others, default=int(NO_TIME))

    def _index(self, origin: int) -> int:
        return origin if origin >= 0 else self._main - 1 - origin

    def _open(self, path: Path) -> None:
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            self._give_up(error)

    def _tell(self, index: int) -> None:
        if self._file < 0:
            return
        entry = _ENTRY.pack(self._slots[index] + 1, self._newest_us[index] + 1)
        try:
            os.pwrite(self._file, entry, index * _ENTRY.size)
        except OSError as error:
            self._give_up(error)

    def _look(self) -> None:
        """Take over what other processes have told."""
        now = time.monotonic()
        if self._file < 0 or now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        try:
            content = os.pread(self._file, len(self._slots) * _ENTRY.size, 0)
        except OSError as error:
            self._give_up(error)
            return
        whole = len(content) // _ENTRY.size * _ENTRY.size
        for index, (slot, newest) in enumerate(_ENTRY.iter_unpack(content[:whole])):
            if not self._is_own[index]:
                self._slots[index], self._newest_us[index] = slot - 1, newest - 1

    def _give_up(self, error: OSError) -> None:
        self._file, self._shared = -1, None
        warn("pace", text=f"{FILE}: {error.strerror}: readers of other processes are not waited for")
