"""What is due for an environment, and firing it in order: misses, time-outs, then what alarms do by themselves (SPEC,
section 6)."""

from __future__ import annotations

from dataflow.monitors.counting import alarm_minute, fire_alarm
from dataflow.monitors.decisions import Decisions
from dataflow.monitors.environment import Environment
from dataflow.monitors.journal import Journal
from dataflow.monitors.missed import miss
from dataflow.monitors.monitor import Monitor
from dataflow.monitors.run import start_order
from dataflow.monitors.timed_out import time_out
from dataflow.monitors.times import Minute

LATE_MINUTES = 31 * 24 * 60
"""Deadlines that had passed when a late report set them are worked off for at most this many minutes."""


def earliest_due(environment: Environment) -> Minute:
    """The first tick at which something of this environment fires; FAR_MINUTE: none."""
    due = environment.due_minute
    if environment.runs:
        for run in environment.runs.values():
            if run.due_minute < due:
                due = run.due_minute
    if environment.incident is None and environment.flapping is None and environment.records is None:
        return due
    return min(due, alarm_minute(environment))


def may_fire_before(environment: Environment, minute: Minute) -> bool:
    """Whether `earliest_due` may be before that minute: a fast answer, and False is certain."""
    return (
        environment.due_minute < minute
        or environment.runs is not None
        or environment.incident is not None
        or environment.flapping is not None
        or environment.records is not None
    )


def fire_due(
    monitor: Monitor, environment: Environment, tick: Minute, decisions: Decisions, journal: Journal
) -> None:
    """Fire all deadlines that ticks up to this minute reach, each as of its own tick.

    1. Misses. 2. Time-outs. 3. What finds the environment as the others left it: alarms.
    """
    while (minute := earliest_due(environment)) <= tick:
        _fire(monitor, environment, minute, decisions, journal)


def catch_up(
    monitor: Monitor, environment: Environment, tick: Minute, decisions: Decisions, journal: Journal
) -> bool:
    """As `fire_due`, before an item is applied, but no more than the journal takes in one call; whether all is done."""
    while (minute := earliest_due(environment)) <= tick:
        if not journal.take_room():
            return False
        _fire(monitor, environment, minute, decisions, journal)
    return True


def _fire(
    monitor: Monitor, environment: Environment, minute: Minute, decisions: Decisions, journal: Journal
) -> None:
    if environment.due_minute == minute:
        miss(monitor, environment, minute, decisions, journal)
    elif due := [run for run in (environment.runs or {}).values() if run.due_minute == minute]:
        time_out(monitor, environment, min(due, key=start_order), minute, decisions, journal)
    else:
        fire_alarm(monitor, environment, minute, journal)


def fire_late(
    monitor: Monitor, environment: Environment, until_minute: Minute, decisions: Decisions, journal: Journal
) -> bool:
    """Fire all deadlines up to the minute of a check-in that is later than the latest time, but no more than the
    journal takes in one call; whether all is done.

    Unlike ticks, it goes by the deadlines themselves: a backlog that is delivered within one minute of broker time
    meets the misses that lie between its check-ins.
    """
    while True:
        minute = _owed(environment.latest_minute, environment.due_minute)
        first = None
        for run in environment.runs.values() if environment.runs else ():
            timeout = _owed(run.timeout_minute, run.due_minute)
            if timeout < minute or (
                first is not None and timeout == minute and start_order(run) < start_order(first)
            ):
                minute, first = timeout, run
        waiting = alarm_minute(environment)
        if min(minute, waiting) > until_minute:
            return True
        if not journal.take_room():
            return False
        if waiting < minute:
            fire_alarm(monitor, environment, waiting, journal)
        elif first is None:
            miss(monitor, environment, minute, decisions, journal)
        else:
            time_out(monitor, environment, first, minute, decisions, journal)


def _owed(deadline: Minute, due_minute: Minute) -> Minute:
    """As of which minute a deadline fires, though it had passed when it was set: one that a report from 1970 set
    would otherwise owe every minute since."""
    return max(deadline, due_minute - LATE_MINUTES)
