"""Check-ins, and what travels with them between the steps.

Times are integers: `..._us` microseconds since the epoch, `..._minute` whole minutes since the epoch, durations
milliseconds. Guids are their 16 bytes. (datetime and uuid objects cost more than the rules themselves.)
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any
from zlib import crc32

import msgspec

from dataflow.monitors.silences import Silence
from dataflow.monitors.times import MINUTE_US as MINUTE_US
from dataflow.monitors.times import NO_MINUTE as NO_MINUTE
from dataflow.monitors.times import Microseconds, Minute

NIL_GUID = bytes(16)
"""The nil UUID: "the latest check-in still in progress"."""
MAX_DURATION_MS = 2**53
"""The longest duration that is stored, in ms. (Sentry ends at 24.8 days, though a run may take 28.)"""
DEFAULT_ENVIRONMENT = "production"


class CheckInStatus(IntEnum):
    """What became of one run."""

    IN_PROGRESS = 0
    """Started, not finished."""
    OK = 1
    """The job reported success."""
    ERROR = 2
    """The job reported failure."""
    MISSED = 3
    """Nothing came by the latest time."""
    TIMEOUT = 4
    """Started, and not finished within max_runtime."""
    UNKNOWN = 5
    """Was in progress, or due, while nobody watched, check-ins were being lost, or maintenance let misses not count."""


IN_PROGRESS, OK, ERROR, MISSED, TIMEOUT, UNKNOWN = (int(status) for status in CheckInStatus)
STATUS_NAMES = tuple(status.name.lower() for status in CheckInStatus)
"""The statuses as tables and messages spell them, by number."""
REPORTED = {"in_progress": 0, "ok": 1, "error": 2}
"""The statuses that a job may report."""


class Seat(IntEnum):
    """What the gate decided about the monitor's seat."""

    HELD = 0
    """The monitor is known and nothing changes; or unknown, and not to be created."""
    CREATE = 1
    """Create the monitor; it took a seat."""
    CREATE_DISABLED = 2
    """Create the monitor disabled: no seat was left."""
    ENABLE = 3
    """The monitor was without a seat, and has taken one now."""


class CheckIn(msgspec.Struct, array_like=True, tag=0, gc=False):
    """One check-in as it came, decoded."""

    organization_id: int
    project_id: int
    slug: str
    environment: str
    guid: bytes
    status: int
    duration_ms: int | None
    trace_id: bytes | None
    config: bytes | None
    """`monitor_config` as JSON text."""
    sdk: str | None
    start_us: Microseconds
    """When it was received, never later than `received_us`."""
    received_us: Microseconds
    """The broker's timestamp."""
    clock_minute: Minute
    """The clock of its partition before this message; NO_MINUTE if it had none."""
    topic: str
    partition: int
    offset: int
    source: int
    """Tells partitions apart (see `source_of`)."""
    payload: bytes
    """The payload as it came; with `is_line` the line that holds it (see `wire.check_ins.payload_of`)."""
    problem: bytes | None = None
    """Why the payload is not valid: one error as JSON; None if it is."""
    seat: int = 0
    """A `Seat`; set by the gate."""
    is_line: bool = False
    """Hardly any payload is looked at again: where it came in a line, it is not copied out of it."""


class Control(msgspec.Struct, array_like=True, tag=1, gc=False):
    """One control (SPEC, section 8), validated. What its type does not name is None."""

    kind: str
    """Its `type` on the wire."""
    organization_id: int
    received_us: Microseconds
    clock_minute: Minute
    topic: str
    partition: int
    offset: int
    payload: bytes
    project_id: int | None = None
    slug: str | None = None
    environment: str | None = None
    status: str | None = None
    flag: bool | None = None
    """`muted` or `enabled`."""
    seats: int | None = None
    name: str | None = None
    config: bytes | None = None
    """`monitor_config` as JSON text."""
    rule: bytes | None = None
    """A sampling rule as JSON text."""
    reached_minute: Minute = NO_MINUTE
    """The event clock before this control, as far as the gate knew it: other partitions may be behind its own."""
    silence: Silence | None = None
    """What is announced; behind the gate, of one that is ended early, what is left of it."""
    silence_id: str | None = None
    """Which one is to end early."""
    incident_id: str | None = None
    """Which incident is acknowledged; None: the one that is open."""
    who: str | None = None
    note: str | None = None

    @property
    def is_about_silence(self) -> bool:
        """Whether it announces a silence, or ends one."""
        return self.silence is not None or self.silence_id is not None


Errors = list[dict[str, Any]]
"""Processing errors: objects with `type` and details."""


def source_of(topic: str, partition: int) -> int:
    """A number that distinguishes a partition from others, the same in every run."""
    return crc32(f"{topic}/{partition}".encode("utf-8", "surrogatepass"))


def minute_of(time_us: int) -> Minute:
    """The whole minute that a time in µs lies in."""
    return Microseconds(time_us) // MINUTE_US


def first_tick_after(item: CheckIn | Control, clock_delay_us: int) -> Minute:
    """The first tick (minute) that can come after this message was applied.

    The message itself is applied before the tick that it causes (SPEC, section 6); if that minute had been reached
    before it came, the next tick is that of the following minute.
    """
    reached, following = (item.received_us - clock_delay_us) // MINUTE_US, item.clock_minute + 1
    return reached if reached > following else following
