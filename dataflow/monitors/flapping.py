"""Flapping: an environment that goes back and forth is told once, then again when it is calm.

Changes are counted in whole minutes: one counts for `flapping_window_minutes` from its own minute on.
"""

from __future__ import annotations

from dataflow.monitors.check_in import MINUTE_US
from dataflow.monitors.environment import FAR_MINUTE, Environment, Flapping, Incident, Monitor, Run
from dataflow.monitors.journal import Journal, RecoveryNotice, failure_notice


def note_change(monitor: Monitor, environment: Environment, at_us: int) -> int:
    """Count a change between ok and error.

    Returns how many there were within the window if this one made the environment flap, else 0.
    """
    limit = monitor.rules.flapping_changes
    if not limit:
        return 0
    flapping = environment.flapping
    if flapping is None:
        flapping = environment.flapping = Flapping([])
    window = monitor.rules.flapping_window_minutes
    minute = max(at_us // MINUTE_US, flapping.changes[-1] if flapping.changes else 0)
    flapping.changes = [each for each in flapping.changes if each > minute - window] + [minute]
    count = len(flapping.changes)
    if count <= limit:
        return 0
    begins = not flapping.is_flapping
    # It is calm when the first of more than the allowed number no longer counts.
    flapping.calm_minute = flapping.changes[-limit - 1] + window
    return count if begins else 0


def hold_failure(environment: Environment, run: Run, kinds: tuple[int, ...], begins: bool) -> bool:
    """Whether an occurrence has to wait: the environment flaps. The one with which that `begins` is told."""
    flapping = environment.flapping
    if flapping is None or not flapping.is_flapping:
        return False
    if begins:
        flapping.told = environment.incident
    flapping.failing_guid, flapping.failing_trace_id, flapping.kinds = run.guid, run.trace_id, kinds
    return not begins


def hold_recovery(environment: Environment, incident: Incident, run: Run, begins: bool) -> bool:
    """Whether a resolve has to wait: the environment flaps. It is owed for an incident that was told."""
    flapping = environment.flapping
    if flapping is None or not flapping.is_flapping:
        return False
    if begins:
        flapping.told = incident
    if flapping.told is not None and flapping.told.id == incident.id:
        flapping.resolving_guid = run.guid
    return True


def calm_if_due(monitor: Monitor, environment: Environment, minute: int, journal: Journal) -> None:
    """Work off that the environment is calm, if it is by that minute: before whatever happens to it then."""
    flapping = environment.flapping
    if flapping is not None and flapping.calm_minute <= minute:
        _calm(monitor, environment, flapping, journal)


def _calm(monitor: Monitor, environment: Environment, flapping: Flapping, journal: Journal) -> None:
    """Say what is true now.

    1. The incident that was told and is over: its resolve.
    2. The incident that is open: an occurrence about its newest failure (not where it is muted).
    """
    minute = flapping.calm_minute
    at_us = minute * MINUTE_US
    told, resolving_guid = flapping.told, flapping.resolving_guid
    if told is not None and resolving_guid is not None:
        names = (monitor.project_id, monitor.slug, environment.name)
        journal.notices.append(RecoveryNotice(*names, told, resolving_guid, at_us))
    if environment.incident is not None and not (monitor.is_muted or environment.is_muted):
        assert flapping.failing_guid is not None  # it was opened while the environment flapped
        run = (flapping.failing_guid, flapping.failing_trace_id, flapping.kinds)
        journal.notices.append(failure_notice(monitor, environment, environment.incident, *run, at_us))
    since = minute - monitor.rules.flapping_window_minutes
    changes = [each for each in flapping.changes if each > since]
    environment.flapping = Flapping(changes) if changes else None
    journal.touch(monitor, environment, at_us)


def watch_again(environment: Environment, first_tick: int) -> None:
    """The monitor is enabled again: what became calm meanwhile is said at the next tick."""
    flapping = environment.flapping
    if flapping is not None and flapping.calm_minute != FAR_MINUTE:
        flapping.calm_minute = max(flapping.calm_minute, first_tick)
