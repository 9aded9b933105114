"""Misses: nothing came by the latest time (SPEC, section 7)."""

from __future__ import annotations

from dataflow.monitors import identity
from dataflow.monitors.check_in import MISSED
from dataflow.monitors.decisions import Decisions
from dataflow.monitors.environment import Environment
from dataflow.monitors.journal import Journal
from dataflow.monitors.monitor import Monitor
from dataflow.monitors.run import Run
from dataflow.monitors.times import MINUTE_US, Minute
from dataflow.monitors.unreported import note_unreported


def miss(
    monitor: Monitor, environment: Environment, tick: Minute, decisions: Decisions, journal: Journal
) -> None:
    """A tick finds that nothing came by the latest time: a check-in of its own says so."""
    expected = environment.next_minute
    guid = identity.missed_guid(monitor.project_id, monitor.slug, environment.name, expected)
    if environment.is_finished(guid):
        # It was missed before, then a report from before it set the next time back. One failing run counts once.
        environment.plan(monitor.schedule.after(expected * MINUTE_US), monitor.margin_minutes, tick)
        journal.touch(monitor, environment, tick * MINUTE_US)
        return
    run = Run(
        guid=guid,
        status=MISSED,
        date_added_us=expected * MINUTE_US,
        date_updated_us=tick * MINUTE_US,
        expected_minute=expected,
    )
    environment.remember_missed(guid)
    monitor.learn(guid)
    note_unreported(monitor, environment, run, tick, expected, True, decisions, journal)
