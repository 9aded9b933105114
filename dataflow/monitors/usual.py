"""The usual check-in, in one go: nearly every message begins a run, or ends one well, of an environment in which
nothing is open, owed or held.

What it does is what `monitors.receive` would do, and nothing else: whatever is not plainly usual is left to that. Both
are compared over random streams (tests/flow/test_usual.py).
"""

from __future__ import annotations

from dataflow.monitors.check_in import IN_PROGRESS, MAX_DURATION_MS, NIL_GUID, OK, CheckIn, first_tick_after
from dataflow.monitors.counting import SEES_EVERY_SUCCESS
from dataflow.monitors.environment import Environment, EnvironmentStatus, fingerprint
from dataflow.monitors.journal import Journal
from dataflow.monitors.monitor import Monitor
from dataflow.monitors.run import Run
from dataflow.monitors.times import FAR_MINUTE, MINUTE_US, Microseconds, Minute

_OK = int(EnvironmentStatus.OK)


def take_usual(monitor: Monitor, environment: Environment, item: CheckIn, journal: Journal) -> Minute | None:
    """Apply a check-in to its environment if it is a usual one: the first tick at which something fires there then
    (as `due.earliest_due` would find). None: it was not."""
    start_us = item.start_us
    if (
        item.status > OK
        or environment.due_minute <= item.clock_minute
        or environment.latest_minute <= start_us // MINUTE_US
        or environment.source != item.source
        or environment.incident is not None
        or environment.failures is not None
        or environment.held is not None
        or environment.settled is not None
        or environment.flapping is not None
        or environment.records is not None
        or monitor.others is not None
        or item.guid == NIL_GUID
        or monitor.tuning.early_tolerance_us
        or SEES_EVERY_SUCCESS
    ):
        return None
    if item.sdk is not None:
        environment.sdk = item.sdk
    runs = environment.runs
    if runs is None:
        return _begin(monitor, environment, item, start_us, journal)
    if item.status == IN_PROGRESS or len(runs) > 1:
        return None
    run = runs.get(item.guid)
    if run is None or run.due_minute <= item.clock_minute or environment.failed_us > run.date_added_us:
        return None
    return _end(monitor, environment, run, item, start_us, journal)


def _begin(
    monitor: Monitor, environment: Environment, item: CheckIn, start_us: Microseconds, journal: Journal
) -> Minute | None:
    """A new run; one that is over already, if its message says so. See `results.begin`."""
    guid, duration_ms, status = item.guid, item.duration_ms, item.status
    added_us = start_us - duration_ms * 1000 if duration_ms else start_us
    known = fingerprint(guid)
    if added_us < 0 or environment.failed_us > added_us or environment.has_print(known):
        return None
    first_tick = first_tick_after(item, monitor.tuning.clock_delay_us)
    timeout = due = FAR_MINUTE
    if status == IN_PROGRESS:
        timeout = due = added_us // MINUTE_US + monitor.max_runtime_minutes
        if due < first_tick:
            due = first_tick
    run = Run(
        guid,
        status,
        added_us,
        start_us,
        environment.next_minute,
        timeout,
        due,
        duration_ms,
        item.trace_id,
        first_tick,
    )
    if monitor.guids is not None:
        monitor.learn(guid)
    journal.run(monitor, environment, run)
    if environment.last_checkin_us <= start_us:
        _move(monitor, environment, added_us, item, first_tick, journal)
    if status == IN_PROGRESS:
        environment.runs = {guid: run}
    else:
        environment.remember_print(known)
        _succeed(monitor, environment, added_us, item.received_us, journal)
    missed = environment.due_minute
    return due if due < missed else missed


def _end(
    monitor: Monitor,
    environment: Environment,
    run: Run,
    item: CheckIn,
    start_us: Microseconds,
    journal: Journal,
) -> Minute | None:
    """The only run in progress ends well. See `results.update`."""
    duration_ms, added_us = item.duration_ms, run.date_added_us
    if duration_ms is None:
        duration_ms = (abs(start_us - added_us) + 500) // 1000
    if duration_ms > MAX_DURATION_MS or environment.changed_us == item.received_us:
        return None
    run.duration_ms = duration_ms
    run.date_updated_us = start_us
    run.status = OK
    run.timeout_minute = FAR_MINUTE
    environment.runs = None
    environment.remember_print(fingerprint(run.guid))
    journal.run(monitor, environment, run)
    if monitor.ends_move and environment.last_checkin_us <= start_us:
        first_tick = first_tick_after(item, monitor.tuning.clock_delay_us)
        _move(monitor, environment, added_us, item, first_tick, journal)
    _succeed(monitor, environment, added_us, item.received_us, journal)
    return environment.due_minute


def _move(
    monitor: Monitor,
    environment: Environment,
    added_us: Microseconds,
    item: CheckIn,
    first_tick: Minute,
    journal: Journal,
) -> None:
    """The next times, as of this message. See `results._move`."""
    journal.touch(monitor, environment, item.received_us)
    if added_us > environment.last_checkin_us:
        environment.last_checkin_us = added_us
    environment.plan(monitor.schedule.after(item.start_us), monitor.margin_minutes, first_tick)


def _succeed(
    monitor: Monitor,
    environment: Environment,
    added_us: Microseconds,
    at_us: Microseconds,
    journal: Journal,
) -> None:
    """A success that counts, and of which no alarm keeps a record. See `results._judge`, `counting.count_success`."""
    if added_us > environment.newest_result_us:
        environment.newest_result_us = added_us
    if added_us > environment.last_ok_us:
        environment.last_ok_us = added_us
    if added_us > environment.succeeded_us:
        environment.succeeded_us = added_us
    if environment.status != _OK:
        environment.status = _OK
        journal.touch(monitor, environment, at_us)
