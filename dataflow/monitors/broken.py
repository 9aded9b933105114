"""Broken monitors: an incident that nobody mends is recorded, and in the end muted, so that it stops being noise.

Times are whole minutes of event time; what is due by itself fires at a tick (`Incident.due_minute`).
"""

from __future__ import annotations

from dataflow.monitors.check_in import MINUTE_US, NO_MINUTE
from dataflow.monitors.environment import FAR_MINUTE, Environment, Incident, Monitor
from dataflow.monitors.journal import BrokenNotice, Journal

BROKEN_MINUTES = 14 * 24 * 60
"""An incident that is open for so long may be of a broken monitor: 14 days."""
BROKEN_FAILURES = 4
"""So many of its newest check-ins, at least, must be failing."""
MUTE_MINUTES = 14 * 24 * 60
"""So long after it was recorded as broken, and nothing has changed, it is muted: 14 days."""


def note_failures(
    monitor: Monitor, environment: Environment, incident: Incident, count: int, at_us: int, journal: Journal
) -> None:
    """So many more check-ins in a row fail.

    watched --(a)--> broken --(b)--> muted
       ^                |              |
       +----- (c) ------+---- (c) -----+

    (a) open for 14 days, the newest 4 failing: here, or at a tick; (b) 14 days later, at a tick; (c) a success.
    """
    if incident.failing >= BROKEN_FAILURES:
        return
    incident.failing = min(incident.failing + count, BROKEN_FAILURES)
    if incident.failing < BROKEN_FAILURES or incident.broken_minute != NO_MINUTE:
        return
    minute, due = at_us // MINUTE_US, _watched_from(incident) + BROKEN_MINUTES
    if due > minute:
        incident.due_minute = due
    else:
        _break(monitor, environment, incident, minute, journal)  # (a)


def fire(monitor: Monitor, environment: Environment, incident: Incident, tick: int, journal: Journal) -> None:
    """What is due at this tick."""
    if incident.broken_minute == NO_MINUTE:
        _break(monitor, environment, incident, tick, journal)  # (a)
        return
    incident.due_minute = FAR_MINUTE
    if monitor.is_muted or environment.is_muted:
        return  # somebody has seen to it that it is no noise
    incident.muted_minute, incident.holds_mute = tick, True  # (b)
    environment.is_muted = True
    journal.mute(monitor, environment.name, tick * MINUTE_US, True, False)
    journal.touch(monitor, environment, tick * MINUTE_US)
    _record(monitor, environment, incident, NO_MINUTE, journal)
    _tell("monitor_muted", monitor, environment, incident, incident.starting_guid, tick * MINUTE_US, journal)


def note_success(
    monitor: Monitor, environment: Environment, incident: Incident, guid: bytes, at_us: int, journal: Journal
) -> None:
    """A check-in succeeds, whether it resolves the incident or not: everything begins anew."""
    minute = at_us // MINUTE_US
    if incident.broken_minute != NO_MINUTE:  # (c)
        _record(monitor, environment, incident, minute, journal)
        if incident.holds_mute:
            environment.is_muted = False
            journal.mute(monitor, environment.name, at_us, False, False)
            _tell("monitor_unmuted", monitor, environment, incident, guid, at_us, journal)
    incident.failing, incident.watched_minute, incident.due_minute = 0, minute, FAR_MINUTE
    incident.broken_minute = incident.muted_minute = NO_MINUTE
    incident.holds_mute = False


def muted_by_person(environment: Environment, at_us: int) -> None:
    """Somebody muted or unmuted the environment: from now on that is what holds, and the wait begins anew."""
    incident = environment.incident
    if incident is not None and incident.broken_minute != NO_MINUTE:
        incident.holds_mute = False
        incident.due_minute = at_us // MINUTE_US + MUTE_MINUTES


def watch_again(environment: Environment, at_us: int) -> None:
    """The monitor is enabled again: the time before does not count."""
    incident = environment.incident
    if incident is None:
        return
    minute = at_us // MINUTE_US
    if incident.broken_minute == NO_MINUTE:
        incident.watched_minute = minute
    if incident.due_minute != FAR_MINUTE:
        wait = BROKEN_MINUTES if incident.broken_minute == NO_MINUTE else MUTE_MINUTES
        incident.due_minute = minute + wait


def _watched_from(incident: Incident) -> int:
    """From when on an incident counts as open: its start, or the newest success that did not resolve it."""
    if incident.watched_minute == NO_MINUTE:
        return -(-incident.starting_us // MINUTE_US)
    return incident.watched_minute


def _break(
    monitor: Monitor, environment: Environment, incident: Incident, minute: int, journal: Journal
) -> None:
    incident.broken_minute, incident.due_minute = minute, minute + MUTE_MINUTES
    _record(monitor, environment, incident, NO_MINUTE, journal)
    if not (monitor.is_muted or environment.is_muted):
        guid, at_us = incident.starting_guid, minute * MINUTE_US
        _tell("monitor_broken", monitor, environment, incident, guid, at_us, journal)


def _record(
    monitor: Monitor, environment: Environment, incident: Incident, recovered_minute: int, journal: Journal
) -> None:
    journal.broken.append(
        (
            monitor.project_id,
            monitor.slug,
            environment.name,
            incident.id,
            incident.broken_minute * MINUTE_US,
            incident.muted_minute * MINUTE_US if incident.muted_minute != NO_MINUTE else None,
            recovered_minute * MINUTE_US if recovered_minute != NO_MINUTE else None,
        )
    )


def _tell(
    kind: str,
    monitor: Monitor,
    environment: Environment,
    incident: Incident,
    guid: bytes,
    at_us: int,
    journal: Journal,
) -> None:
    names = (monitor.project_id, monitor.slug, monitor.name, environment.name)
    since_us = _watched_from(incident) * MINUTE_US
    journal.notices.append(BrokenNotice(kind, *names, incident, guid, since_us, at_us))
