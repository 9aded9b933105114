"""Time-outs: a check-in has been in progress for longer than max_runtime (SPEC, section 7)."""

from __future__ import annotations

from dataflow.monitors.check_in import TIMEOUT
from dataflow.monitors.decisions import Decisions
from dataflow.monitors.environment import Environment
from dataflow.monitors.journal import Journal
from dataflow.monitors.monitor import Monitor
from dataflow.monitors.run import Run
from dataflow.monitors.times import FAR_MINUTE, MINUTE_US, Minute
from dataflow.monitors.unreported import note_unreported


def time_out(
    monitor: Monitor, environment: Environment, run: Run, tick: Minute, decisions: Decisions, journal: Journal
) -> None:
    """A tick finds a check-in overdue.

    Whether it counts goes by when runs began (`monitors.counting`). The next times are computed from the tick unless
    the job has been seen since: then they are those of a later run.
    """
    # Not by what the job says of its start alone: no end of it was lost before its beginning was received.
    heard_minute = max(run.date_updated_us // MINUTE_US, run.first_tick - 1)
    environment.end(run)
    run.status = TIMEOUT
    run.timeout_minute = run.due_minute = FAR_MINUTE
    run.date_updated_us = tick * MINUTE_US
    environment.settle(run)
    seen_us = max(environment.newest_result_us, environment.last_checkin_us)
    is_newest = seen_us <= run.date_added_us
    note_unreported(monitor, environment, run, tick, heard_minute, is_newest, decisions, journal)
