"""Broken monitors: an incident that stays open for weeks is recorded, and in the end muted, so that it stops being
noise.

Times are whole minutes of event time, and go by when something was noticed; what is due by itself fires at a tick
(`Incident.due_minute`).
"""

from __future__ import annotations

from dataflow.monitors.alarms import AlarmPolicy, Counted
from dataflow.monitors.environment import Environment
from dataflow.monitors.journal import BrokenNotice, Journal
from dataflow.monitors.monitor import Monitor
from dataflow.monitors.records import Incident
from dataflow.monitors.times import FAR_MINUTE, MINUTE_US, NO_MINUTE, Microseconds, Minute
from state.schema.tables.monitors import BrokenMonitorRow

BROKEN_MINUTES = 14 * 24 * 60
"""An incident that is open for this long may be of a broken monitor: 14 days."""
BROKEN_FAILURES = 4
"""At least this many of its newest check-ins must be failing."""
MUTE_MINUTES = 14 * 24 * 60
"""If nothing has changed this long after it was recorded as broken, it is muted: 14 days."""


class Broken(AlarmPolicy):
    """
    watched --(a)--> broken --(b)--> muted
       ^                |              |
       +----- (c) ------+---- (c) -----+

    (a) open for 14 days, the newest 4 failing: with a failure, or at a tick; (b) 14 days later, at a tick;
    (c) a success.
    """

    name = "broken"

    def on_incident_failure(
        self, monitor: Monitor, environment: Environment, counted: Counted, journal: Journal
    ) -> None:
        """See AlarmPolicy."""
        incident = counted.incident
        if incident is None or incident.failing >= BROKEN_FAILURES:
            return
        incident.failing = min(incident.failing + len(counted.kinds), BROKEN_FAILURES)
        if incident.failing < BROKEN_FAILURES or incident.broken_minute != NO_MINUTE:
            return
        minute, due = counted.at_us // MINUTE_US, _watched_from(incident) + BROKEN_MINUTES
        if due > minute:
            incident.due_minute = due
        else:
            _break(monitor, environment, incident, minute, journal)  # (a)

    def on_success(
        self, monitor: Monitor, environment: Environment, counted: Counted, journal: Journal
    ) -> None:
        """See AlarmPolicy: whether it resolves the incident or not, everything starts over."""
        incident = counted.incident
        if incident is None:
            return
        minute = counted.at_us // MINUTE_US
        if incident.broken_minute != NO_MINUTE:  # (c)
            _record(monitor, environment, incident, minute, journal)
            if incident.holds_mute:
                environment.is_muted = False
                journal.mute(monitor, environment.name, counted.at_us, False, False)
                guid = counted.run.guid
                _send("monitor_unmuted", monitor, environment, incident, guid, counted.at_us, journal)
        incident.failing, incident.watched_minute, incident.due_minute = 0, minute, FAR_MINUTE
        incident.broken_minute = incident.muted_minute = NO_MINUTE
        incident.holds_mute = False

    def on_reset(
        self, monitor: Monitor, environment: Environment, at_us: Microseconds, journal: Journal
    ) -> None:
        """See AlarmPolicy: the incident ends here, and with it the mute that it holds."""
        incident = environment.incident
        if incident is None or incident.broken_minute == NO_MINUTE:
            return
        _record(monitor, environment, incident, at_us // MINUTE_US, journal)
        if incident.holds_mute:
            environment.is_muted = False
            journal.mute(monitor, environment.name, at_us, False, False)

    def due_minute(self, environment: Environment) -> Minute:
        """See AlarmPolicy."""
        return environment.incident.due_minute if environment.incident is not None else FAR_MINUTE

    def fire(self, monitor: Monitor, environment: Environment, minute: Minute, journal: Journal) -> None:
        """See AlarmPolicy."""
        incident = environment.incident
        assert incident is not None
        if incident.broken_minute == NO_MINUTE:
            _break(monitor, environment, incident, minute, journal)  # (a)
            return
        incident.due_minute = FAR_MINUTE
        if monitor.is_silenced(environment):
            return  # a person has muted it already
        at_us = minute * MINUTE_US
        incident.muted_minute, incident.holds_mute = minute, True  # (b)
        environment.is_muted = True
        journal.mute(monitor, environment.name, at_us, True, False)
        journal.touch(monitor, environment, at_us)
        _record(monitor, environment, incident, NO_MINUTE, journal)
        _send("monitor_muted", monitor, environment, incident, incident.starting_guid, at_us, journal)

    def on_mute(self, environment: Environment, at_us: Microseconds) -> None:
        """See AlarmPolicy: from now on that is what holds, and the wait starts over."""
        incident = environment.incident
        if incident is not None and incident.broken_minute != NO_MINUTE:
            incident.holds_mute = False
            incident.due_minute = at_us // MINUTE_US + MUTE_MINUTES

    def watch_again(self, environment: Environment, at_us: Microseconds, first_tick: Minute) -> None:
        """See AlarmPolicy."""
        incident = environment.incident
        if incident is None:
            return
        minute = at_us // MINUTE_US
        if incident.broken_minute == NO_MINUTE:
            incident.watched_minute = minute
        if incident.due_minute != FAR_MINUTE:
            wait = BROKEN_MINUTES if incident.broken_minute == NO_MINUTE else MUTE_MINUTES
            incident.due_minute = minute + wait


def _watched_from(incident: Incident) -> Minute:
    """From when on an incident counts as open: when its first failure was noticed (a `start_time` can be of any year),
    or the newest success that did not resolve it."""
    if incident.watched_minute == NO_MINUTE:
        return (incident.starting_us + (MINUTE_US - 1)) // MINUTE_US
    return incident.watched_minute


def _break(
    monitor: Monitor, environment: Environment, incident: Incident, minute: Minute, journal: Journal
) -> None:
    incident.broken_minute, incident.due_minute = minute, minute + MUTE_MINUTES
    _record(monitor, environment, incident, NO_MINUTE, journal)
    if not monitor.is_silenced(environment):
        guid, at_us = incident.starting_guid, minute * MINUTE_US
        _send("monitor_broken", monitor, environment, incident, guid, at_us, journal)


def _record(
    monitor: Monitor, environment: Environment, incident: Incident, recovered_minute: Minute, journal: Journal
) -> None:
    journal.broken.append(
        BrokenMonitorRow(
            project_id=monitor.project_id,
            slug=monitor.slug,
            environment=environment.name,
            incident_id=incident.id,
            detected_at=incident.broken_minute * MINUTE_US,
            muted_at=incident.muted_minute * MINUTE_US if incident.muted_minute != NO_MINUTE else None,
            recovered_at=recovered_minute * MINUTE_US if recovered_minute != NO_MINUTE else None,
        )
    )


def _send(
    kind: str,
    monitor: Monitor,
    environment: Environment,
    incident: Incident,
    guid: bytes,
    at_us: Microseconds,
    journal: Journal,
) -> None:
    journal.notices.append(
        BrokenNotice(
            kind=kind,
            project_id=monitor.project_id,
            slug=monitor.slug,
            name=monitor.name,
            environment=environment.name,
            incident=incident,
            guid=guid,
            since_us=_watched_from(incident) * MINUTE_US,
            at_us=at_us,
        )
    )
