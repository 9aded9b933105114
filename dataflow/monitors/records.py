"""What an environment keeps for each kind of alarm (`monitors.alarms`)."""

from __future__ import annotations

import msgspec

from dataflow.monitors.times import FAR_MINUTE, NO_MINUTE, NO_TIME, Microseconds, Minute


class Incident(msgspec.Struct, array_like=True, gc=False):
    """An open incident, and for how long it has been broken (`monitors.broken`)."""

    id: str
    fingerprint: str
    starting_guid: bytes
    starting_us: Microseconds
    failing: int = 0
    """Its newest check-ins in a row that fail, as far as `monitors.broken` counts."""
    watched_minute: Minute = NO_MINUTE
    """From when on it counts as open for that; NO_MINUTE, in older snapshots: from its start."""
    broken_minute: Minute = NO_MINUTE
    """When it was found to be of a broken monitor; NO_MINUTE: it was not."""
    muted_minute: Minute = NO_MINUTE
    """When the environment was muted for that; NO_MINUTE: it was not."""
    holds_mute: bool = False
    """The environment is muted by that, and by nobody else."""
    due_minute: Minute = FAR_MINUTE
    """The tick at which the next of these is due; FAR_MINUTE: none is."""
    acknowledged_us: Microseconds = NO_TIME
    """When somebody acknowledged it last; NO_TIME: nobody has, or it was taken back."""


class Failure(msgspec.Struct, array_like=True, gc=False):
    """One failing check-in of the row that leads up to an incident (`monitors.thresholds`)."""

    guid: bytes
    date_added_us: Microseconds
    status: int
    noticed_us: Microseconds = NO_TIME
    """When its message was received, or the tick that found it; NO_TIME, in older snapshots: not known."""


class Flapping(msgspec.Struct, array_like=True, gc=False):
    """How often an environment changed recently, and what waits while it flaps (`monitors.flapping`)."""

    changes: list[Minute]
    """The minutes of its latest changes between ok and error, oldest first."""
    calm_minute: Minute = FAR_MINUTE
    """The first minute at which it no longer flaps; FAR_MINUTE: it does not flap."""
    notified: Incident | None = None
    """The incident of the occurrence that said so."""
    resolving_guid: bytes | None = None
    """The check-in that resolved that one since."""
    failing_guid: bytes | None = None
    """The newest check-in that counted as a failure; its trace, and the statuses that an occurrence would name."""
    failing_trace_id: bytes | None = None
    kinds: tuple[int, ...] = ()

    @property
    def is_flapping(self) -> bool:
        """Whether messages wait."""
        return self.calm_minute != FAR_MINUTE
