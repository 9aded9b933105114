"""Flapping: an environment that goes back and forth sends one message about that, then one when it is calm.

Changes are counted in whole minutes: one counts for `flapping_window_minutes` from its own minute on.
"""

from __future__ import annotations

from dataflow.monitors.alarms import AlarmPolicy, Counted
from dataflow.monitors.environment import Environment
from dataflow.monitors.journal import Journal, RecoveryNotice, failure_notice
from dataflow.monitors.monitor import Monitor
from dataflow.monitors.records import Flapping
from dataflow.monitors.times import FAR_MINUTE, MINUTE_US, Microseconds, Minute


class FlappingDetection(AlarmPolicy):
    """Holds messages back while an environment changes between ok and error too often."""

    name = "flapping"

    def before(self, monitor: Monitor, environment: Environment, minute: Minute, journal: Journal) -> None:
        """See AlarmPolicy: it may be calm by then, before whatever happens to it."""
        if self.due_minute(environment) <= minute:
            _calm(monitor, environment, journal)

    def on_change(self, monitor: Monitor, environment: Environment, counted: Counted) -> None:
        """See AlarmPolicy: count the change. Sets `changes` if it is the one that makes the environment flap."""
        limit = monitor.tuning.flapping_changes
        if not limit:
            return
        flapping = environment.flapping
        if flapping is None:
            flapping = environment.flapping = Flapping([])
        window = monitor.tuning.flapping_window_minutes
        minute = counted.at_us // MINUTE_US
        if flapping.changes:
            minute = max(minute, flapping.changes[-1])
        flapping.changes = [each for each in flapping.changes if each > minute - window] + [minute]
        count = len(flapping.changes)
        if count <= limit:
            return
        if not flapping.is_flapping:
            counted.changes = count
        # It is calm when the first of more than the allowed number no longer counts.
        flapping.calm_minute = flapping.changes[-limit - 1] + window

    def holds_failure(self, environment: Environment, counted: Counted) -> bool:
        """See AlarmPolicy. The one with which flapping begins is sent, and says so."""
        flapping = environment.flapping
        if flapping is None or not flapping.is_flapping:
            return False
        if counted.changes:
            flapping.notified = environment.incident
        run = counted.run
        flapping.failing_guid, flapping.failing_trace_id = run.guid, run.trace_id
        flapping.kinds = counted.kinds
        return not counted.changes

    def holds_recovery(self, environment: Environment, counted: Counted) -> bool:
        """See AlarmPolicy. It is owed for an incident that somebody was notified of."""
        flapping, incident = environment.flapping, counted.incident
        if flapping is None or not flapping.is_flapping or incident is None:
            return False
        if counted.changes:
            flapping.notified = incident
        if flapping.notified is not None and flapping.notified.id == incident.id:
            flapping.resolving_guid = counted.run.guid
        return True

    def due_minute(self, environment: Environment) -> Minute:
        """See AlarmPolicy: when it is calm."""
        return environment.flapping.calm_minute if environment.flapping is not None else FAR_MINUTE

    def fire(self, monitor: Monitor, environment: Environment, minute: Minute, journal: Journal) -> None:
        """See AlarmPolicy."""
        _calm(monitor, environment, journal)

    def on_reset(
        self, monitor: Monitor, environment: Environment, at_us: Microseconds, journal: Journal
    ) -> None:
        """See AlarmPolicy: what is owed of an incident that is over is sent now."""
        flapping = environment.flapping
        if flapping is not None:
            _send_owed(monitor, environment, flapping, at_us, journal)
            environment.flapping = None

    def watch_again(self, environment: Environment, at_us: Microseconds, first_tick: Minute) -> None:
        """See AlarmPolicy: what became calm meanwhile is said at the next tick."""
        flapping = environment.flapping
        if flapping is not None and flapping.is_flapping:
            flapping.calm_minute = max(flapping.calm_minute, first_tick)


def _calm(monitor: Monitor, environment: Environment, journal: Journal) -> None:
    """Say what is true now.

    1. The incident that somebody was notified of and that is over: its resolve.
    2. The incident that is open: an occurrence about its newest failure (not where it is muted).
    """
    flapping = environment.flapping
    assert flapping is not None
    minute = flapping.calm_minute
    at_us = minute * MINUTE_US
    _send_owed(monitor, environment, flapping, at_us, journal)
    if environment.incident is not None and not monitor.is_silenced(environment):
        assert flapping.failing_guid is not None  # it was opened while the environment flapped
        journal.notices.append(
            failure_notice(
                monitor,
                environment,
                environment.incident,
                guid=flapping.failing_guid,
                trace_id=flapping.failing_trace_id,
                kinds=flapping.kinds,
                at_us=at_us,
            )
        )
    since = minute - monitor.tuning.flapping_window_minutes
    changes = [each for each in flapping.changes if each > since]
    environment.flapping = Flapping(changes) if changes else None
    journal.touch(monitor, environment, at_us)


def _send_owed(
    monitor: Monitor, environment: Environment, flapping: Flapping, at_us: Microseconds, journal: Journal
) -> None:
    """The incident that somebody was notified of and that is over: its resolve."""
    if flapping.notified is not None and flapping.resolving_guid is not None:
        journal.notices.append(
            RecoveryNotice(
                project_id=monitor.project_id,
                slug=monitor.slug,
                environment=environment.name,
                incident=flapping.notified,
                guid=flapping.resolving_guid,
                at_us=at_us,
            )
        )
