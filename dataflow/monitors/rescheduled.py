"""The next times are computed from now on: what is asked of the job has changed, or the monitor is enabled again
(SPEC, section 8)."""

from __future__ import annotations

from dataflow.monitors.counting import alarms_watch_again
from dataflow.monitors.environment import Environment
from dataflow.monitors.journal import Journal
from dataflow.monitors.lost import lose
from dataflow.monitors.monitor import Monitor
from dataflow.monitors.times import MINUTE_US, NO_MINUTE, Microseconds, Minute


def reschedule(
    monitor: Monitor, environment: Environment, at_us: Microseconds, first_tick: Minute, journal: Journal
) -> None:
    """Expect the next check-in as counted from now: somebody changed what is asked of the job."""
    if environment.next_minute == NO_MINUTE:
        return  # no check-in has ever counted here
    environment.plan(monitor.schedule.after(at_us), monitor.margin_minutes, first_tick)
    journal.touch(monitor, environment, at_us)


def watch_again(
    monitor: Monitor, environment: Environment, at_us: Microseconds, first_tick: Minute, journal: Journal
) -> None:
    """The monitor is enabled again. Nothing is owed for the time before: next times are counted from now, and what
    should have ended meanwhile is unknown."""
    for run in list(environment.runs.values()) if environment.runs else ():
        if run.timeout_minute * MINUTE_US <= at_us:
            lose(monitor, environment, run, at_us, journal)
    alarms_watch_again(environment, at_us, first_tick)
    reschedule(monitor, environment, at_us, first_tick, journal)
