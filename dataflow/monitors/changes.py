"""What happens to a monitor beside its check-ins: what upsert has decided, on its way to the running state."""

from __future__ import annotations

import msgspec

from dataflow.monitors.check_in import CheckIn, Control
from dataflow.monitors.config import MonitorConfig
from dataflow.monitors.silences import NOT_KNOWN, Silence
from dataflow.monitors.times import NO_MINUTE, NO_TIME, Microseconds, Minute


class MonitorChanged(msgspec.Struct, array_like=True, tag=2, gc=False):
    """A monitor was created or changed; sent before the check-in that did it."""

    project_id: int
    slug: str
    name: str
    is_disabled: bool
    is_muted: bool
    config: MonitorConfig
    at_us: Microseconds
    clock_minute: Minute
    reschedule: bool
    """Compute the next times of all environments afresh, from `at_us`."""
    source: int | None = None
    """The partition that the change came from (see `source_of`), whose clock `clock_minute` is."""
    reached_minute: Minute = NO_MINUTE
    """Up to here no partition holds anything back (see `Control.reached_minute`)."""
    environment: str | None = None
    """Of a change by a check-in, the check-in's environment and time."""
    start_us: Microseconds = NO_TIME
    organization_id: int = NOT_KNOWN
    owner: str | None = None


class EnvironmentMuted(msgspec.Struct, array_like=True, tag=3, gc=False):
    """An environment was muted or unmuted."""

    project_id: int
    slug: str
    environment: str
    is_muted: bool
    at_us: Microseconds
    clock_minute: Minute
    source: int | None = None
    """As in MonitorChanged."""
    reached_minute: Minute = NO_MINUTE


class MonitorDeleted(msgspec.Struct, array_like=True, tag=4, gc=False):
    """A monitor, or one environment of it, was deleted."""

    project_id: int
    slug: str
    environment: str | None
    at_us: Microseconds
    clock_minute: Minute
    source: int | None = None
    """As in MonitorChanged."""
    reached_minute: Minute = NO_MINUTE


class EnvironmentReset(msgspec.Struct, array_like=True, tag=6, gc=False):
    """An environment starts over: nothing is open, and nothing leads up to an incident."""

    project_id: int
    slug: str
    environment: str | None
    """None: all of the monitor's."""
    at_us: Microseconds
    clock_minute: Minute
    source: int | None = None
    """As in MonitorChanged."""
    reached_minute: Minute = NO_MINUTE


class IncidentAcknowledged(msgspec.Struct, array_like=True, tag=7, gc=False):
    """Somebody has acknowledged the open incident of an environment, or takes that back."""

    project_id: int
    slug: str
    environment: str
    at_us: Microseconds
    clock_minute: Minute
    source: int | None
    """As in MonitorChanged."""
    reached_minute: Minute
    control: Control
    """Whether there is such an incident is only known where it comes to."""


class MaintenanceSet(msgspec.Struct, array_like=True, tag=8):
    """A maintenance in which misses do not count was announced, or ended early; for all monitors of a key group."""

    silence: Silence
    at_us: Microseconds


Change = MonitorChanged | EnvironmentMuted | MonitorDeleted | EnvironmentReset | IncidentAcknowledged
"""What happens to a monitor beside its check-ins."""
MonitorItem = CheckIn | Change
"""All that can come to a monitor's running state."""
GroupItem = MonitorItem | MaintenanceSet
"""All that can come to a key group of monitors."""
