"""The lifecycle of check-ins: what a message does to one environment (SPEC, section 7).

Every function takes the monitor, the environment and the journal that notes what happened. What was due before a
message fires before it (`monitors.deadline_rules`), so that it finds the environment as of its own minute.
"""

from __future__ import annotations

from dataflow.monitors import holding, identity
from dataflow.monitors.check_in import (
    ERROR,
    IN_PROGRESS,
    MAX_DURATION_MS,
    MINUTE_US,
    NIL_GUID,
    NO_MINUTE,
    OK,
    UNKNOWN,
    CheckIn,
    first_tick_after,
)
from dataflow.monitors.deadline_rules import fire_due, fire_late
from dataflow.monitors.decisions import Decisions
from dataflow.monitors.environment import FAR_MINUTE, SPREAD, Environment, Monitor, Run
from dataflow.monitors.errors import ErrorType
from dataflow.monitors.journal import Journal

_RESULTS = (OK, ERROR)


def awaited_tick(monitor: Monitor, environment: Environment | None, check_in: CheckIn) -> int:
    """The last tick that must be decided before this check-in can be applied; NO_MINUTE: none.

    1. Failures would fire before it (see `receive`), and whether they count depends on their ticks.
    2. Something is held that the check-in has to be put in order with.
    3. It asks for a check-in in progress, which a tick may yet turn to unknown. (An end reported by guid does not
       have to wait: it takes effect either way.)
    4. Another environment knows its guid, and may forget it over what is due there.

    `environment` is None if the check-in is the first one there.
    """
    awaited, clock = NO_MINUTE, check_in.clock_minute
    if monitor.others is not None or (environment is None and monitor.first is not None):
        other = monitor.elsewhere(check_in.guid, environment)
        if other is not None and other.earliest_due() <= clock:
            awaited = clock
    if environment is None:
        return awaited
    runs = environment.runs
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
        environment.may_fire_before(clock_minute + 1)
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
    elif monitor.others is not None and (
        elsewhere := _elsewhere(monitor, environment, guid, check_in, decisions, journal)
    ):
        error = {"type": ErrorType.CHECKIN_ENVIRONMENT_MISMATCH, "existingEnvironment": elsewhere}
        journal.rejected.append((check_in, [error]))
    else:
        _begin(monitor, environment, guid, check_in, journal)


def _elsewhere(
    monitor: Monitor,
    environment: Environment,
    guid: bytes,
    check_in: CheckIn,
    decisions: Decisions,
    journal: Journal,
) -> str | None:
    """The name of another environment that knows the guid; None if none does.

    What was due there fires first: many misses may have made it forget the guid.
    """
    reached = min(check_in.clock_minute, decisions.known_until)
    while (other := monitor.elsewhere(guid, environment)) is not None:
        if other.source != check_in.source or other.earliest_due() > reached:
            return other.name
        fire_due(monitor, other, reached, decisions, journal)
    return None


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
