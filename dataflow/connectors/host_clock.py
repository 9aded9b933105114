"""Is the host's clock ahead of the broker's? The clock of an idle partition follows the host's only if it is not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from dataflow.operations.metrics import HOST_CLOCK_AHEAD
from dataflow.process.log import log, warn
from dataflow.process.wall_clock import wall_clock_us

PROOF_US = 10_000_000
"""How long a process waits at its start for a fresh message that shows the broker's time, before it follows its own."""
NOTE_US = 60_000_000
"""The shortest time between two log lines about it."""


class Moment(NamedTuple):
    """A moment by two clocks of this host, both in µs."""

    wall_us: int
    """The wall clock, which somebody may set."""
    elapsed_us: int
    """Since the host was started, sleep included: nobody sets it."""


def elapsed_us() -> int:
    """Microseconds since the host was started; goes on while the host sleeps, where the system can say that."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime_ns(clock) // 1_000


class HostClock:
    """The host's clock, held against fresh broker timestamps. Shared by all partitions of a process.

    A message that was appended after a question to the broker, and received since, carries the broker's time of some
    moment in between. So the host is ahead by at least `asked - timestamp` and by at most `received - timestamp`. Only
    timestamps that the broker itself has set (LogAppendTime) prove that: a producer's clock may be anywhere.

    From such a proof on, the time that passes is known from the clock that nobody sets. So it is also noticed when
    somebody sets the wall clock forward, and a host that slept is not mistaken for that.

    Kafka has no request for the broker's time, and a test message must not be left behind; so an idle cluster proves
    nothing, and the host's clock is believed there.
    """

    def __init__(
        self,
        allowance_us: int,
        now_us: Callable[[], int] = wall_clock_us,
        elapsed_us: Callable[[], int] = elapsed_us,
    ) -> None:
        """`allowance_us`: a difference up to this counts as none."""
        self._allowance_us = allowance_us
        self._now_us = now_us
        self._elapsed_us = elapsed_us
        self._started_us = elapsed_us()
        self._anchor: Moment | None = None
        """A moment whose wall clock is the broker's."""
        self._noted_us: int | None = None
        self._lock = threading.Lock()

    def now(self) -> Moment:
        """This moment."""
        return Moment(self._now_us(), self._elapsed_us())

    def compare(self, asked: Moment, received: Moment, broker_us: int) -> None:
        """Take the broker's timestamp of a message that was appended after `asked`, and received at `received`."""
        least, most = asked.wall_us - broker_us, received.wall_us - broker_us
        if least > most:
            return  # the wall clock was set back in between
        ahead = 0
        if least > self._allowance_us:
            ahead = least
        elif most < -self._allowance_us:
            ahead = most
        with self._lock:
            self._anchor = Moment(received.wall_us - ahead, received.elapsed_us)
        self._note(ahead, received.elapsed_us)

    def broker_us(self, moment: Moment) -> int | None:
        """The broker's time at a moment, as far as it is known, and never later than the host's.

        None at the start, until there was time for a proof. A host that is late is followed all the same: that makes
        misses late. What would make false ones is a time that the broker has not reached.
        """
        with self._lock:
            anchor = self._anchor
        if anchor is None:
            return moment.wall_us if moment.elapsed_us - self._started_us >= PROOF_US else None
        steady_us = anchor.wall_us + moment.elapsed_us - anchor.elapsed_us
        ahead_us = moment.wall_us - steady_us
        if ahead_us <= self._allowance_us:
            return moment.wall_us
        self._note(ahead_us, moment.elapsed_us)
        return steady_us

    def _note(self, ahead_us: int, at_us: int) -> None:
        HOST_CLOCK_AHEAD.set(ahead_us / 1e6)
        with self._lock:
            if ahead_us == 0:
                if self._noted_us is not None:
                    log("host_clock", text="this host's clock agrees with the broker's again")
                self._noted_us = None
            elif self._noted_us is None or at_us - self._noted_us >= NOTE_US:
                self._noted_us = at_us
                where = "ahead of" if ahead_us > 0 else "behind"
                warn(
                    "host_clock",
                    ahead_seconds=ahead_us / 1e6,
                    text=f"this host's clock is {abs(ahead_us) / 1e6:.0f} s {where} the broker's: correct it (NTP). "
                    "Idle partitions follow the earlier of the two until then",
                )
