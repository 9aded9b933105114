"""A check-in comes to its environment: what it has to wait for, what is due before it, and which check-in it is (SPEC,
section 7).

Every function takes the monitor, the environment and the journal that notes what happened. What was due before a
message fires before it (`monitors.due`), so that it finds the environment as of its own minute.
"""

from __future__ import annotations

from enum import IntEnum

from dataflow.monitors import identity
from dataflow.monitors.check_in import IN_PROGRESS, NIL_GUID, CheckIn
from dataflow.monitors.decisions import Decisions
from dataflow.monitors.due import catch_up, earliest_due, fire_late, may_fire_before
from dataflow.monitors.environment import SPREAD, Environment
from dataflow.monitors.errors import ErrorType
from dataflow.monitors.journal import Journal
from dataflow.monitors.monitor import Monitor
from dataflow.monitors.results import begin, late_result, update
from dataflow.monitors.run import Run
from dataflow.monitors.times import MINUTE_US, NO_MINUTE, Microseconds, Minute


class Left(IntEnum):
    """How far an item has come for which more was due than one call takes: the rest comes before it, then itself."""

    DUE = 0
    """What the clock had reached is still to be fired."""
    LATE = 1
    """That is done; what is still to be fired goes by the deadlines themselves."""
    ELSEWHERE = 2
    """Another environment that knows the guid has to fire what is due there."""


def awaited_tick(monitor: Monitor, environment: Environment | None, check_in: CheckIn) -> Minute:
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
        if other is not None and earliest_due(other) <= clock:
            awaited = clock
    if environment is None:
        return awaited
    runs = environment.runs
    if (
        environment.held is not None
        or (
            runs and (check_in.guid == NIL_GUID or (check_in.status == IN_PROGRESS and check_in.guid in runs))
        )
        or (earliest_due(environment) <= clock and environment.source in (None, check_in.source))
    ):
        awaited = clock
    start_minute = check_in.start_us // MINUTE_US
    if environment.latest_minute <= start_minute > awaited:
        awaited = start_minute
    return awaited


def receive(
    monitor: Monitor,
    environment: Environment,
    check_in: CheckIn,
    decisions: Decisions,
    journal: Journal,
    began: Left = Left.DUE,
) -> Left | None:
    """Apply one check-in to its environment; None if that is done.

    If more was due before it than the journal has room for, only that much of it has been done; it goes on with what
    was returned as `began`, and nothing else may happen to the environment meanwhile.

    1. What was due before it happens before it: all that its partition's clock had reached; and if the environment
       is past its latest time by the check-in's own time, all that was due by then.
    2. It is matched by its guid: new, an update, or an error.

    A partition's clock can stand for the event clock because a monitor's check-ins come from one partition, and so
    in order. Where they do not, another one may still hold an earlier result: only ticks fire there.
    """
    if check_in.sdk is not None:
        environment.sdk = check_in.sdk
    if environment.source != check_in.source:
        environment.source = check_in.source if environment.source is None else SPREAD
    clock_minute = check_in.clock_minute
    if (
        may_fire_before(environment, clock_minute + 1)
        and earliest_due(environment) <= clock_minute
        and environment.source != SPREAD
        and began is Left.DUE
        and not catch_up(monitor, environment, clock_minute, decisions, journal)
    ):
        return Left.DUE
    start_minute = check_in.start_us // MINUTE_US
    if (
        (environment.latest_minute <= start_minute or began)
        and began is not Left.ELSEWHERE
        and not fire_late(monitor, environment, start_minute, decisions, journal)
    ):
        return Left.LATE

    guid = check_in.guid
    runs = environment.runs
    if guid == NIL_GUID:
        run = max(reversed(runs.values()), key=_by_start) if runs else None  # of two, the one that came last
        guid = identity.positioned_guid(check_in.topic, check_in.partition, check_in.offset)
    else:
        run = runs.get(guid) if runs else None
    if run is not None:
        update(monitor, environment, run, check_in, journal)
    elif environment.settled and guid in environment.settled:
        late_result(monitor, environment, environment.settled[guid], check_in, journal)
    elif environment.is_finished(guid):
        if check_in.status != IN_PROGRESS:
            journal.rejected.append((check_in, [{"type": ErrorType.CHECKIN_FINISHED}]))
    elif monitor.others is not None and (
        elsewhere := _elsewhere(monitor, environment, guid, check_in, decisions, journal)
    ):
        if isinstance(elsewhere, Left):
            return elsewhere
        error = {"type": ErrorType.CHECKIN_ENVIRONMENT_MISMATCH, "existingEnvironment": elsewhere}
        journal.rejected.append((check_in, [error]))
    else:
        begin(monitor, environment, guid, check_in, journal)
    return None


def _elsewhere(
    monitor: Monitor,
    environment: Environment,
    guid: bytes,
    check_in: CheckIn,
    decisions: Decisions,
    journal: Journal,
) -> str | Left | None:
    """The name of another environment that knows the guid; None if none does.

    What was due there fires first: many misses may have made it forget the guid.
    """
    reached = min(check_in.clock_minute, decisions.known_until)
    while (other := monitor.elsewhere(guid, environment)) is not None:
        if other.source != check_in.source or earliest_due(other) > reached:
            return other.name
        if not catch_up(monitor, other, reached, decisions, journal):
            return Left.ELSEWHERE
    return None


def _by_start(run: Run) -> Microseconds:
    return run.date_added_us
