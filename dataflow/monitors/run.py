"""Check-ins whose result may still change, as an environment keeps them."""

from __future__ import annotations

import msgspec

from dataflow.monitors.times import FAR_MINUTE, NO_MINUTE, NO_TIME, Microseconds, Minute


class Run(msgspec.Struct, array_like=True, gc=False):
    """A check-in that may still change: in progress, timed out, or unknown."""

    guid: bytes
    status: int
    date_added_us: Microseconds
    date_updated_us: Microseconds
    expected_minute: Minute
    timeout_minute: Minute = FAR_MINUTE
    due_minute: Minute = FAR_MINUTE
    """The first tick at which the time-out may fire: that of timeout_minute, or the first after it was set."""
    duration_ms: int | None = None
    trace_id: bytes | None = None
    first_tick: Minute = NO_MINUTE
    """The first tick that finds it in progress."""
    lost_in: Minute = NO_MINUTE
    """The first minute of the system incident that made it unknown; NO_MINUTE: none did."""
    ended_well: bool = False
    """It timed out, and then the job reported that it was ok after all."""


class Held(msgspec.Struct, array_like=True, gc=False):
    """A failure that no job reported and whose tick is pending, or a success that came after one
    (`monitors.holding`)."""

    run: Run
    at_us: Microseconds
    """When it was noticed."""
    tick: Minute = NO_MINUTE
    """Of a failure, the tick at which it was noticed; NO_MINUTE: it is a success."""
    last_ok_us: Microseconds = NO_TIME
    """Of a failure, the environment's newest success at that time."""
    counts: bool = True
    """False, in snapshots of releases before 0.1.0: it does not count, whatever it is settled as."""
    late_ok: bool = False
    """The run, a time-out, was reported to be ok after all."""


def start_order(run: Run) -> tuple[Microseconds, bytes]:
    """By when runs began; of two at the same time by guid, so that every replay gives the same order."""
    return run.date_added_us, run.guid
