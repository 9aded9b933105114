"""What misses and time-outs have in common: a failure that no job reported and that a tick has found."""

from __future__ import annotations

from dataflow.monitors import holding
from dataflow.monitors.check_in import UNKNOWN
from dataflow.monitors.counting import count_failure
from dataflow.monitors.decisions import Decisions
from dataflow.monitors.environment import Environment
from dataflow.monitors.journal import Journal
from dataflow.monitors.monitor import Monitor
from dataflow.monitors.run import Run
from dataflow.monitors.times import MINUTE_US, Minute


def note_unreported(
    monitor: Monitor,
    environment: Environment,
    run: Run,
    tick: Minute,
    since_minute: Minute,
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
