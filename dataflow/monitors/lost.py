"""Runs of which nobody knows how they ended: check-ins were lost, or nobody watched (SPEC, section 8)."""

from __future__ import annotations

from dataflow.monitors.check_in import UNKNOWN
from dataflow.monitors.environment import Environment
from dataflow.monitors.journal import Journal
from dataflow.monitors.monitor import Monitor
from dataflow.monitors.run import Run
from dataflow.monitors.times import FAR_MINUTE, MINUTE_US, Microseconds, Minute


def lose_running(
    monitor: Monitor, environment: Environment, tick: Minute, incident_start: Minute, journal: Journal
) -> None:
    """Check-ins are being lost at this tick, perhaps the ends of those in progress: they are unknown. An end that
    comes all the same is taken."""
    for run in list(environment.runs.values()) if environment.runs else ():
        if run.first_tick <= tick:
            journal.loss(incident_start).in_progress += 1
            run.lost_in = incident_start
            lose(monitor, environment, run, tick * MINUTE_US, journal)


def lose(monitor: Monitor, environment: Environment, run: Run, at_us: Microseconds, journal: Journal) -> None:
    """A check-in in progress becomes unknown."""
    environment.end(run)
    run.status = UNKNOWN
    run.timeout_minute = run.due_minute = FAR_MINUTE
    run.date_updated_us = at_us
    environment.settle(run)
    journal.run(monitor, environment, run)
