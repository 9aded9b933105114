"""What a check-in says of a run: that it begins, goes on, or has ended, and what that does to its environment (SPEC,
section 7)."""

from __future__ import annotations

from dataflow.monitors import holding
from dataflow.monitors.check_in import (
    ERROR,
    IN_PROGRESS,
    MAX_DURATION_MS,
    OK,
    TIMEOUT,
    CheckIn,
    first_tick_after,
)
from dataflow.monitors.environment import Environment
from dataflow.monitors.errors import ErrorType
from dataflow.monitors.journal import Journal
from dataflow.monitors.monitor import Monitor
from dataflow.monitors.run import Run
from dataflow.monitors.times import FAR_MINUTE, MINUTE_US, NO_MINUTE, Microseconds, Minute


def begin(
    monitor: Monitor, environment: Environment, guid: bytes, check_in: CheckIn, journal: Journal
) -> None:
    """A new check-in."""
    duration_ms, start_us, status = check_in.duration_ms, check_in.start_us, check_in.status
    added_us = start_us - duration_ms * 1000 if duration_ms else start_us
    if added_us < 0:
        added_us = Microseconds(0)
    first_tick = first_tick_after(check_in, monitor.tuning.clock_delay_us)
    # By position: it is made for nearly every message, and keywords would cost a sixth of a microsecond.
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
    _move(monitor, environment, run, check_in, added_us if status == ERROR else start_us, first_tick, journal)
    if status != IN_PROGRESS:
        _judge(monitor, environment, run, check_in, journal)


def _limit(monitor: Monitor, run: Run, from_minute: Minute, first_tick: Minute) -> None:
    timeout = from_minute + monitor.max_runtime_minutes
    run.timeout_minute = timeout
    run.due_minute = timeout if timeout > first_tick else first_tick


def update(monitor: Monitor, environment: Environment, run: Run, check_in: CheckIn, journal: Journal) -> None:
    """A heartbeat or the result of a check-in in progress."""
    duration_ms = _duration(run, check_in, journal)
    if duration_ms is None:
        return
    first_tick = first_tick_after(check_in, monitor.tuning.clock_delay_us)
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
    if check_in.status == IN_PROGRESS or monitor.ends_move or _end_moves(environment, check_in):
        _move(monitor, environment, run, check_in, check_in.start_us, first_tick, journal)
    if run.status != IN_PROGRESS:
        _judge(monitor, environment, run, check_in, journal)


def late_result(
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
    journal.run(monitor, environment, run)
    if monitor.ends_move or _end_moves(environment, check_in):
        first_tick = first_tick_after(check_in, monitor.tuning.clock_delay_us)
        _move(monitor, environment, run, check_in, check_in.start_us, first_tick, journal)
    if run.status == TIMEOUT:
        holding.report_late(monitor, environment, run, check_in.status, check_in.received_us, journal)
        return
    assert environment.settled is not None
    del environment.settled[run.guid]
    environment.remember(run.guid)
    run.status = check_in.status
    if run.lost_in != NO_MINUTE:
        journal.loss(run.lost_in).in_progress -= 1
    _judge(monitor, environment, run, check_in, journal)


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


def _end_moves(environment: Environment, check_in: CheckIn) -> bool:
    """Whether the message that ends a run of a crontab, whose begin was seen, moves the next times.

    (Of an interval it does: that counts from the last sign of life.) Only if the same message changes what is asked of
    the job: what ended is over, and the run that is due by then must still come.
    """
    return environment.changed_us == check_in.received_us


def _move(
    monitor: Monitor,
    environment: Environment,
    run: Run,
    check_in: CheckIn,
    seen_us: Microseconds,
    first_tick: Minute,
    journal: Journal,
) -> None:
    """Compute the next times from a message, unless a check-in has been seen that began after `seen_us`."""
    last_us = environment.last_checkin_us
    if last_us > seen_us:
        return
    journal.touch(monitor, environment, check_in.received_us)
    if run.date_added_us > last_us:
        environment.last_checkin_us = run.date_added_us
    start_us = check_in.start_us
    if monitor.tuning.early_tolerance_us:
        start_us = _reference(monitor, run, start_us)
    environment.plan(monitor.schedule.after(start_us), monitor.margin_minutes, first_tick)


def _judge(monitor: Monitor, environment: Environment, run: Run, check_in: CheckIn, journal: Journal) -> None:
    """The job has finished a run: see whether the result counts."""
    added_us = run.date_added_us
    if added_us > environment.newest_result_us:
        environment.newest_result_us = added_us
    if run.status == OK:
        if added_us > environment.last_ok_us:
            environment.last_ok_us = added_us
        holding.note_success(monitor, environment, run, check_in.received_us, journal)
    else:
        holding.note_failure(monitor, environment, run, check_in.received_us, journal)


def _reference(monitor: Monitor, run: Run, start_us: Microseconds) -> Microseconds:
    """From where the next time is counted: the message, or the scheduled time that its run began early for.

    It is the run that is early, not the message: a long run's result just before the next time does not stand for it.
    """
    tolerance_us = monitor.tuning.early_tolerance_us
    early_for = monitor.schedule.early_for(run.date_added_us, run.expected_minute, tolerance_us)
    return max(start_us, early_for * MINUTE_US)
