"""The lifecycle of check-ins: what a message, a tick or a change of the monitor does to one environment.

The rules are those of SPEC, sections 6 and 7.
Every function takes the monitor, the environment and the journal that notes what happened. The caller fires what is
due before a message (`fire_due`), so that it finds the environment as of its own minute.
"""

from __future__ import annotations

from dataflow.monitors import broken, flapping, holding, identity
from dataflow.monitors.check_in import (
    ERROR,
    IN_PROGRESS,
    MAX_DURATION_MS,
    MINUTE_US,
    MISSED,
    NIL_GUID,
    NO_MINUTE,
    OK,
    TIMEOUT,
    UNKNOWN,
    CheckIn,
    first_tick_after,
)
from dataflow.monitors.decisions import Decisions
from dataflow.monitors.environment import FAR_MINUTE, SPREAD, Environment, Monitor, Run
from dataflow.monitors.errors import ErrorType
from dataflow.monitors.incident import count_failure
from dataflow.monitors.journal import Journal

LATE_MINUTES = 31 * 24 * 60
"""Deadlines that a late report set when they had passed are worked off for so many minutes at most."""
_RESULTS = (OK, ERROR)


def awaited_tick(environment: Environment, check_in: CheckIn) -> int:
    """The last tick that must be decided before this check-in can be applied; NO_MINUTE: none.

    1. Failures would fire before it (see `receive`), and whether they count depends on their ticks.
    2. Something is held that the check-in has to be put in order with.
    3. It asks for a check-in in progress, which a tick may yet turn to unknown. (An end reported by guid does not
       have to wait: it takes effect either way.)
    """
    awaited, clock, runs = NO_MINUTE, check_in.clock_minute, environment.runs
    if (
        environment.held is not None
        or (
            runs and (check_in.guid == NIL_GUID or (check_in.status == IN_PROGRESS and check_in.guid in runs))
        )
        or (environment.earliest_due() <= clock and environment.source in (None, check_in.source))
    ):
        awaited = clock
    start_minute = check_in.start_us // MINUTE_US
    if environment.latest_minute <= start_minute > awaited:
        awaited = start_minute
    return awaited


def receive(
    monitor: Monitor, environment: Environment, check_in: CheckIn, decisions: Decisions, journal: Journal
) -> None:
    """Apply one check-in to its environment.

    1. What was due before it happens before it: all that its partition's clock had reached; and if the environment
       is past its latest time by the check-in's own time, all that was due by then.
    2. It is matched by its guid: new, an update, or an error.

    A partition's clock can stand for the event clock because a monitor's check-ins come from one partition, and so
    in order. Where they do not, another one may still hold an earlier result: only ticks fire there.
    """
    if environment.source != check_in.source:
        environment.source = check_in.source if environment.source is None else SPREAD
    clock_minute = check_in.clock_minute
    if (
        (environment.runs or environment.due_minute <= clock_minute)
        and environment.earliest_due() <= clock_minute
        and environment.source != SPREAD
    ):
        fire_due(monitor, environment, check_in.clock_minute, decisions, journal)
    start_minute = check_in.start_us // MINUTE_US
    if environment.latest_minute <= start_minute:
        fire_late(monitor, environment, start_minute, decisions, journal)

    guid = check_in.guid
    runs = environment.runs
    if guid == NIL_GUID:
        run = max(reversed(runs.values()), key=_by_start) if runs else None  # of two, the one that came last
        guid = identity.positioned_guid(check_in.topic, check_in.partition, check_in.offset)
    else:
        run = runs.get(guid) if runs else None
    if run is not None:
        _update(monitor, environment, run, check_in, journal)
    elif environment.settled and guid in environment.settled:
        _late_result(monitor, environment, environment.settled[guid], check_in, journal)
    elif environment.is_finished(guid):
        if check_in.status != IN_PROGRESS:
            journal.rejected.append((check_in, [{"type": ErrorType.CHECKIN_FINISHED}]))
    elif len(monitor.environments) > 1 and (elsewhere := monitor.elsewhere(guid, environment)):
        error = {"type": ErrorType.CHECKIN_ENVIRONMENT_MISMATCH, "existingEnvironment": elsewhere}
        journal.rejected.append((check_in, [error]))
    else:
        _begin(monitor, environment, guid, check_in, journal)


def _by_start(run: Run) -> int:
    return run.date_added_us


def _begin(
    monitor: Monitor, environment: Environment, guid: bytes, check_in: CheckIn, journal: Journal
) -> None:
    """A new check-in."""
    duration_ms, start_us, status = check_in.duration_ms, check_in.start_us, check_in.status
    added_us = start_us - duration_ms * 1000 if duration_ms else start_us
    first_tick = first_tick_after(check_in, monitor.rules.clock_delay_us)
    run = Run(
        guid,
        status,
        added_us,
        start_us,
        environment.next_minute,
        FAR_MINUTE,
        FAR_MINUTE,
        duration_ms,
        check_in.trace_id,
        first_tick,
    )
    if status == IN_PROGRESS:
        _limit(monitor, run, added_us // MINUTE_US, first_tick)
        if environment.runs is None:
            environment.runs = {}
        environment.runs[guid] = run
    else:
        environment.remember(guid)
    monitor.learn(guid)
    journal.run(monitor, environment, run)
    _advance(monitor, environment, run, check_in, first_tick, journal)


def _limit(monitor: Monitor, run: Run, from_minute: int, first_tick: int) -> None:
    timeout = from_minute + monitor.max_runtime_minutes
    run.timeout_minute = timeout
    run.due_minute = timeout if timeout > first_tick else first_tick


def _update(
    monitor: Monitor, environment: Environment, run: Run, check_in: CheckIn, journal: Journal
) -> None:
    """A heartbeat or the result of a check-in in progress."""
    duration_ms = _duration(run, check_in, journal)
    if duration_ms is None:
        return
    first_tick = first_tick_after(check_in, monitor.rules.clock_delay_us)
    run.duration_ms = duration_ms
    run.date_updated_us = check_in.start_us
    if check_in.status == IN_PROGRESS:
        _limit(monitor, run, check_in.start_us // MINUTE_US, first_tick)
    else:
        environment.end(run)
        environment.remember(run.guid)
        run.status = check_in.status
        run.timeout_minute = FAR_MINUTE
    journal.run(monitor, environment, run)
    _advance(monitor, environment, run, check_in, first_tick, journal)


def _late_result(
    monitor: Monitor, environment: Environment, run: Run, check_in: CheckIn, journal: Journal
) -> None:
    """The job reports after its check-in timed out (which stays) or became unknown (which takes the result)."""
    if check_in.status == IN_PROGRESS:
        return
    duration_ms = _duration(run, check_in, journal)
    if duration_ms is None:
        return
    run.duration_ms = duration_ms
    run.date_updated_us = check_in.start_us
    if run.status == UNKNOWN:
        assert environment.settled is not None
        del environment.settled[run.guid]
        environment.remember(run.guid)
        run.status = check_in.status
        if run.lost_in != NO_MINUTE:
            journal.loss(run.lost_in).in_progress -= 1
    else:
        holding.report_late(monitor, environment, run, check_in.status, check_in.received_us, journal)
    journal.run(monitor, environment, run)
    _advance(
        monitor, environment, run, check_in, first_tick_after(check_in, monitor.rules.clock_delay_us), journal
    )


def _duration(run: Run, check_in: CheckIn, journal: Journal) -> int | None:
    """The duration that an update gives, in ms; None after noting the error if it is none."""
    duration_ms = check_in.duration_ms
    if duration_ms is None:
        duration_ms = (abs(check_in.start_us - run.date_added_us) + 500) // 1000
    if duration_ms > MAX_DURATION_MS:
        error = {"type": ErrorType.CHECKIN_INVALID_DURATION, "duration": str(duration_ms)}
        journal.rejected.append((check_in, [error]))
        return None
    return duration_ms


def _advance(
    monitor: Monitor,
    environment: Environment,
    run: Run,
    check_in: CheckIn,
    first_tick: int,
    journal: Journal,
) -> None:
    """What a check-in does to its environment, once it is written down ("Then" in SPEC, section 7)."""
    added_us, start_us, status = run.date_added_us, check_in.start_us, run.status
    if status in _RESULTS and added_us > environment.newest_result_us:
        environment.newest_result_us = added_us
    if status == OK and added_us > environment.last_ok_us:
        environment.last_ok_us = added_us
    if environment.last_checkin_us > (added_us if status == ERROR else start_us):
        return  # a newer one has been seen
    journal.touch(monitor, environment, check_in.received_us)
    if added_us > environment.last_checkin_us:
        environment.last_checkin_us = added_us
    if monitor.rules.early_tolerance_us:
        start_us = _reference(monitor, run, start_us)
    environment.plan(monitor.schedule.after(start_us), monitor.margin_minutes, first_tick)
    if status == OK:
        holding.succeed(monitor, environment, run, check_in.received_us, journal)
    elif status == ERROR:
        holding.fail(monitor, environment, run, check_in.received_us, journal)


def _reference(monitor: Monitor, run: Run, start_us: int) -> int:
    """From where the next time is counted: the message, or the scheduled time that its run began early for.

    It is the run that is early, not the message: a long run's result just before the next time does not stand for it.
    """
    tolerance_us = monitor.rules.early_tolerance_us
    early_for = monitor.schedule.early_for(run.date_added_us, run.expected_minute, tolerance_us)
    return max(start_us, early_for * MINUTE_US)


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
