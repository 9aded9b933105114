"""A control resets an environment: it is as if nothing had failed (SPEC, section 8)."""

from __future__ import annotations

from dataflow.monitors.counting import reset_alarms
from dataflow.monitors.environment import Environment, EnvironmentStatus
from dataflow.monitors.journal import Journal
from dataflow.monitors.monitor import Monitor
from dataflow.monitors.rescheduled import reschedule
from dataflow.monitors.times import Microseconds, Minute


def reset(
    monitor: Monitor, environment: Environment, at_us: Microseconds, first_tick: Minute, journal: Journal
) -> None:
    """Make an environment `active`, resolve its open incident, and count its next times from now.

    What is held never counts. Check-ins in progress go on, and may still fail.
    """
    environment.held = None
    reset_alarms(monitor, environment, at_us, journal)
    environment.status = EnvironmentStatus.ACTIVE
    journal.touch(monitor, environment, at_us)
    reschedule(monitor, environment, at_us, first_tick, journal)
