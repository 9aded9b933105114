"""What misses and time-outs have in common: a failure that no job reported and that a tick has found."""

from __future__ import annotations

from dataflow.monitors import holding
from dataflow.monitors.check_in import UNKNOWN
from dataflow.monitors.counting import count_failure
from dataflow.monitors.decisions import Decisions
from dataflow.monitors.environment import Environment
from dataflow.monitors.journal import Journal, Verdict
from dataflow.monitors.monitor import Monitor
from dataflow.monitors.run import Run
from dataflow.monitors.silences import uncounted
from dataflow.monitors.times import MINUTE_US, Minute


def note_unreported(
    monitor: Monitor,
    environment: Environment,
    run: Run,
    tick: Minute,
    since_minute: Minute,
    moves: bool,
    decisions: Decisions,
    journal: Journal,
) -> None:
    """A tick found a failure that a check-in since `since_minute` would have prevented.

    It is judged at once, or once the tick is decided, or never, because that check-in may have been lost, or was not to
    be expected in a maintenance. With `moves` the next times are computed from the tick.
    """
    at_us = tick * MINUTE_US
    maintenance = None
    if decisions.maintenances:
        maintenance = uncounted(decisions.maintenances, monitor.subject(environment), since_minute, tick)
    incident_start = decisions.lost_in(since_minute, tick) if maintenance is None else None
    is_judged = maintenance is None and incident_start is None
    is_pending = is_judged and tick >= decisions.pending_from
    if maintenance is not None:
        run.status = UNKNOWN
        silence_id = maintenance.id
        journal.decide(
            monitor, environment, run, Verdict.FAILURE, at_us, counted=False, silence_id=silence_id
        )
    if incident_start is not None:
        journal.loss(incident_start).dropped += 1
        run.status = UNKNOWN
        journal.decide(
            monitor, environment, run, Verdict.FAILURE, at_us, counted=False, lost_in=incident_start
        )
    journal.run(monitor, environment, run)
    if moves:
        following = monitor.schedule.resume(environment.next_minute, tick)
        environment.plan(following, monitor.margin_minutes, tick)
        journal.touch(monitor, environment, at_us)
    if is_pending:
        holding.hold(monitor, environment, run, tick, journal)
    elif is_judged:
        count_failure(monitor, environment, run, at_us, journal)
