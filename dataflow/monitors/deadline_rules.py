"""What time, or a change of its monitor, does to one environment: misses, time-outs, the end of a wait (SPEC,
sections 6 to 8).

Every function takes the monitor, the environment and the journal that notes what happened.
"""

from __future__ import annotations

from dataflow.monitors import broken, flapping, holding, identity
from dataflow.monitors.check_in import MINUTE_US, MISSED, NO_MINUTE, TIMEOUT, UNKNOWN
from dataflow.monitors.decisions import Decisions
from dataflow.monitors.environment import FAR_MINUTE, Environment, Monitor, Run
from dataflow.monitors.incident import count_failure
from dataflow.monitors.journal import Journal

LATE_MINUTES = 31 * 24 * 60
"""Deadlines that a late report set when they had passed are worked off for so many minutes at most."""


def fire_due(
    monitor: Monitor, environment: Environment, tick: int, decisions: Decisions, journal: Journal
) -> None:
    """Fire all deadlines that ticks up to this minute reach, each as of its own tick.

    1. Misses. 2. Time-outs. 3. What ends a wait and finds the environment as the others left it: that it no longer
    flaps, that it is broken.
    """
    while (minute := environment.earliest_due()) <= tick:
        if environment.due_minute == minute:
            _miss(monitor, environment, minute, decisions, journal)
        elif due := [run for run in (environment.runs or {}).values() if run.due_minute == minute]:
            _time_out(monitor, environment, min(due, key=_in_order), minute, decisions, journal)
        else:
            _end_wait(monitor, environment, minute, journal)


def _end_wait(monitor: Monitor, environment: Environment, minute: int, journal: Journal) -> None:
    if environment.flapping is not None and environment.flapping.calm_minute == minute:
        flapping.calm_if_due(monitor, environment, minute, journal)
    else:
        assert environment.incident is not None
        broken.fire(monitor, environment, environment.incident, minute, journal)


def fire_late(
    monitor: Monitor, environment: Environment, until_minute: int, decisions: Decisions, journal: Journal
) -> None:
    """Fire all deadlines up to the minute of a check-in that is later than the latest time.

    Unlike ticks, it goes by the deadlines themselves: a backlog that is delivered within one minute of broker time
    meets the misses that lie between its check-ins.
    """
    while True:
        minute = _owed(environment.latest_minute, environment.due_minute)
        first = None
        for run in environment.runs.values() if environment.runs else ():
            timeout = _owed(run.timeout_minute, run.due_minute)
            if timeout < minute or (
                first is not None and timeout == minute and _in_order(run) < _in_order(first)
            ):
                minute, first = timeout, run
        waiting = environment.wait_minute()
        if min(minute, waiting) > until_minute:
            return
        if waiting < minute:
            _end_wait(monitor, environment, waiting, journal)
        elif first is None:
            _miss(monitor, environment, minute, decisions, journal)
        else:
            _time_out(monitor, environment, first, minute, decisions, journal)


def _owed(deadline: int, due_minute: int) -> int:
    """As of which minute a deadline fires, though it was set when it had passed: one that a report from 1970 set
    would otherwise owe every minute since."""
    return max(deadline, due_minute - LATE_MINUTES)


def _in_order(run: Run) -> tuple[int, bytes]:
    return run.date_added_us, run.guid


def _miss(
    monitor: Monitor, environment: Environment, tick: int, decisions: Decisions, journal: Journal
) -> None:
    """Nothing came by the latest time."""
    expected = environment.next_minute
    guid = identity.missed_guid(monitor.project_id, monitor.slug, environment.name, expected)
    if environment.is_finished(guid):
        # It was missed before, then a report from before it set the next time back. One failing run counts once.
        environment.plan(monitor.schedule.after(expected * MINUTE_US), monitor.margin_minutes, tick)
        journal.touch(monitor, environment, tick * MINUTE_US)
        return
    run = Run(
        guid,
        MISSED,
        expected * MINUTE_US,
        tick * MINUTE_US,
        expected,
        FAR_MINUTE,
        FAR_MINUTE,
        None,
        None,
    )
    environment.remember(run.guid)
    monitor.learn(run.guid)
    _fail_at(monitor, environment, run, tick, expected, True, decisions, journal)


def _time_out(
    monitor: Monitor, environment: Environment, run: Run, tick: int, decisions: Decisions, journal: Journal
) -> None:
    """A check-in is in progress for longer than max_runtime; it counts unless the job has been seen since."""
    heard_minute = run.date_updated_us // MINUTE_US
    environment.end(run)
    run.status = TIMEOUT
    run.timeout_minute = run.due_minute = FAR_MINUTE
    run.date_updated_us = tick * MINUTE_US
    environment.settle(run)
    seen_us = max(environment.newest_result_us, environment.last_checkin_us)
    counts = seen_us <= run.date_added_us
    _fail_at(monitor, environment, run, tick, heard_minute, counts, decisions, journal)


def _fail_at(
    monitor: Monitor,
    environment: Environment,
    run: Run,
    tick: int,
    since_minute: int,
    counts: bool,
    decisions: Decisions,
    journal: Journal,
) -> None:
    """A tick found a failure that a check-in since `since_minute` would have prevented.

    It counts at once, or once the tick is decided, or never, because that check-in may have been lost.
    """
    at_us = tick * MINUTE_US
    incident_start = decisions.lost_in(since_minute, tick)
    if incident_start is not None:
        journal.loss(incident_start).dropped += 1
        run.status = UNKNOWN
    elif tick >= decisions.pending_from:
        holding.hold(environment, run, tick, counts)
    journal.run(monitor, environment, run)
    if not counts:
        return
    following = monitor.schedule.resume(environment.next_minute, tick)
    environment.plan(following, monitor.margin_minutes, tick)
    if run.status != UNKNOWN and tick < decisions.pending_from:
        count_failure(monitor, environment, run, at_us, journal)
    journal.touch(monitor, environment, at_us)


def reschedule(
    monitor: Monitor, environment: Environment, at_us: int, first_tick: int, journal: Journal
) -> None:
    """Expect the next check-in as counted from now: somebody changed what is asked of the job."""
    if environment.next_minute == NO_MINUTE:
        return  # no check-in has ever counted here
    environment.plan(monitor.schedule.after(at_us), monitor.margin_minutes, first_tick)
    journal.touch(monitor, environment, at_us)


def watch_again(
    monitor: Monitor, environment: Environment, at_us: int, first_tick: int, journal: Journal
) -> None:
    """The monitor is enabled again. Nothing is owed for the time before (SPEC, section 8): next times are counted
    from now, and what should have ended meanwhile is unknown."""
    for run in list(environment.runs.values()) if environment.runs else ():
        if run.timeout_minute * MINUTE_US <= at_us:
            _lose(monitor, environment, run, at_us, journal)
    flapping.watch_again(environment, first_tick)
    broken.watch_again(environment, at_us)
    reschedule(monitor, environment, at_us, first_tick, journal)


def lose_running(
    monitor: Monitor, environment: Environment, tick: int, incident_start: int, journal: Journal
) -> None:
    """Check-ins are being lost at this tick, perhaps the ends of those in progress: they are unknown. An end that
    comes all the same is taken."""
    for run in list(environment.runs.values()) if environment.runs else ():
        if run.first_tick <= tick:
            journal.loss(incident_start).in_progress += 1
            run.lost_in = incident_start
            _lose(monitor, environment, run, tick * MINUTE_US, journal)


def _lose(monitor: Monitor, environment: Environment, run: Run, at_us: int, journal: Journal) -> None:
    environment.end(run)
    run.status = UNKNOWN
    run.timeout_minute = run.due_minute = FAR_MINUTE
    run.date_updated_us = at_us
    environment.settle(run)
    journal.run(monitor, environment, run)
