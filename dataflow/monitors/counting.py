"""A result that counts goes to every kind of alarm; what they ask for is done here: incidents open, are resolved,
and somebody is notified (SPEC, section 7)."""

from __future__ import annotations

from dataflow.monitors import identity
from dataflow.monitors.alarms import Alarms, Counted
from dataflow.monitors.broken import Broken
from dataflow.monitors.environment import Environment, EnvironmentStatus
from dataflow.monitors.flapping import FlappingDetection
from dataflow.monitors.journal import FailureNotice, Journal, RecoveryNotice, Verdict, failure_notice
from dataflow.monitors.monitor import Monitor
from dataflow.monitors.records import Incident
from dataflow.monitors.run import Run
from dataflow.monitors.thresholds import Thresholds
from dataflow.monitors.times import FAR_MINUTE, MINUTE_US, NO_TIME, Microseconds, Minute

ALARMS = Alarms(
    (
        FlappingDetection(),
        Broken(),
        Thresholds(),
    )
)
"""All kinds of alarm. What watches an incident comes before what opens and resolves it: so it sees the success that
resolves it, too."""
SEES_EVERY_SUCCESS = ALARMS.sees_every_success
"""Whether some kind of alarm has to be asked about each success."""


def count_failure(
    monitor: Monitor, environment: Environment, run: Run, at_us: Microseconds, journal: Journal
) -> None:
    """Let a failing check-in count, once, unless a run that began later has succeeded; `at_us` is when it was noticed.

    In a muted environment or monitor no occurrence is sent; while the environment flaps, it waits.
    """
    added_us = run.date_added_us
    if added_us > environment.failed_us:
        environment.failed_us = added_us
    if environment.succeeded_us > added_us:
        overruled_by_us = environment.succeeded_us
        journal.decide(
            monitor, environment, run, Verdict.FAILURE, at_us, counted=False, overruled_by_us=overruled_by_us
        )
        return
    journal.touch(monitor, environment, at_us)
    counted = Counted(run, at_us, environment.incident)
    for before in ALARMS.before:
        before(monitor, environment, at_us // MINUTE_US, journal)
    for on_failure in ALARMS.on_failure:
        on_failure(monitor, environment, counted, journal)
    if counted.incident is None and counted.opens_at is not None:
        _open(monitor, environment, counted, journal)
    if counted.incident is not None:
        _send_failure(monitor, environment, counted, journal)
        for on_incident_failure in ALARMS.on_incident_failure:
            on_incident_failure(monitor, environment, counted, journal)
    _decided(monitor, environment, counted, Verdict.FAILURE, journal)


def _decided(
    monitor: Monitor, environment: Environment, counted: Counted, verdict: Verdict, journal: Journal
) -> None:
    journal.decide(
        monitor,
        environment,
        counted.run,
        verdict,
        counted.at_us,
        counted=True,
        incident=counted.incident,
        message=counted.message,
    )


def _open(monitor: Monitor, environment: Environment, counted: Counted, journal: Journal) -> None:
    first = counted.opens_at
    assert first is not None
    incident_id, fingerprint = identity.incident_names(
        monitor.project_id, monitor.slug, environment.name, first.guid
    )
    incident = Incident(
        id=incident_id,
        fingerprint=fingerprint,
        starting_guid=first.guid,
        starting_us=first.date_added_us,
        watched_minute=_whole_minute(first.noticed_us if first.noticed_us != NO_TIME else counted.at_us),
    )
    environment.incident = counted.incident = incident
    environment.status = EnvironmentStatus.ERROR
    journal.incident(monitor, environment, incident, None)
    for on_change in ALARMS.on_change:
        on_change(monitor, environment, counted)


def _whole_minute(time_us: Microseconds) -> Minute:
    """The first whole minute at or after a time."""
    return (time_us + (MINUTE_US - 1)) // MINUTE_US


def _send_failure(monitor: Monitor, environment: Environment, counted: Counted, journal: Journal) -> None:
    is_held = any([holds(environment, counted) for holds in ALARMS.holds_failure])  # noqa: C419 - asks all
    if is_held:
        counted.message = "flapping"
    elif monitor.is_silenced(environment):
        counted.message = "muted"
    else:
        counted.message = "sent"
        journal.notices.append(_notice(monitor, environment, counted))


def _notice(monitor: Monitor, environment: Environment, counted: Counted) -> FailureNotice:
    assert counted.incident is not None
    return failure_notice(
        monitor,
        environment,
        counted.incident,
        guid=counted.run.guid,
        trace_id=counted.run.trace_id,
        kinds=counted.kinds,
        at_us=counted.at_us,
        changes=counted.changes,
        run=counted.run,
    )


def count_success(
    monitor: Monitor, environment: Environment, run: Run, at_us: Microseconds, journal: Journal
) -> None:
    """Let a success count, unless a run that began later has failed: it ends a row of failures, and may resolve the
    open incident."""
    added_us = run.date_added_us
    if added_us > environment.succeeded_us:
        environment.succeeded_us = added_us
    if environment.failed_us > added_us:
        overruled_by_us = environment.failed_us
        journal.decide(
            monitor, environment, run, Verdict.SUCCESS, at_us, counted=False, overruled_by_us=overruled_by_us
        )
        return
    if (
        environment.incident is None
        and environment.failures is None
        and environment.flapping is None
        and environment.records is None
        and not SEES_EVERY_SUCCESS
    ):  # as nearly always: no alarm keeps a record
        if environment.status != EnvironmentStatus.OK:
            environment.status = EnvironmentStatus.OK
            journal.touch(monitor, environment, at_us)
        return
    journal.touch(monitor, environment, at_us)
    incident = environment.incident
    # That it flaps decides about messages alone: a success that is ordinary without that is so with it.
    is_ordinary = incident is None and environment.failures is None and environment.records is None
    counted = Counted(run, at_us, incident)
    for before in ALARMS.before:
        before(monitor, environment, at_us // MINUTE_US, journal)
    for on_success in ALARMS.on_success:
        on_success(monitor, environment, counted, journal)
    if incident is None:
        environment.status = EnvironmentStatus.OK
    elif counted.resolves:
        environment.status = EnvironmentStatus.OK
        environment.incident = None
        journal.incident(monitor, environment, incident, run)
        for on_change in ALARMS.on_change:
            on_change(monitor, environment, counted)
        _send_recovery(monitor, environment, incident, counted, journal)
    if not is_ordinary:
        _decided(monitor, environment, counted, Verdict.SUCCESS, journal)


def _send_recovery(
    monitor: Monitor, environment: Environment, incident: Incident, counted: Counted, journal: Journal
) -> None:
    """The status change; or, where this change makes the environment flap, an occurrence that says so."""
    is_held = any([holds(environment, counted) for holds in ALARMS.holds_recovery])  # noqa: C419 - asks all
    counted.message = "flapping" if is_held else "sent"
    if not is_held:
        journal.notices.append(
            RecoveryNotice(
                project_id=monitor.project_id,
                slug=monitor.slug,
                environment=environment.name,
                incident=incident,
                guid=counted.run.guid,
                at_us=counted.at_us,
            )
        )
    elif counted.changes and not monitor.is_silenced(environment):
        journal.notices.append(_notice(monitor, environment, counted))


def reset_alarms(monitor: Monitor, environment: Environment, at_us: Microseconds, journal: Journal) -> None:
    """Somebody resets the environment: no alarm keeps anything of it, and an open incident is resolved."""
    for alarm in ALARMS.policies:
        alarm.on_reset(monitor, environment, at_us, journal)
    environment.records = None
    incident = environment.incident
    if incident is None:
        return
    environment.incident = None
    journal.incident(monitor, environment, incident, None, reset_us=at_us)
    journal.notices.append(
        RecoveryNotice(
            project_id=monitor.project_id,
            slug=monitor.slug,
            environment=environment.name,
            incident=incident,
            guid=None,
            at_us=at_us,
        )
    )


def alarm_minute(environment: Environment) -> Minute:
    """The next tick at which an alarm has something to do by itself; FAR_MINUTE: none."""
    minute = FAR_MINUTE
    for due_minute in ALARMS.due_minute:
        if (due := due_minute(environment)) < minute:
            minute = due
    return minute


def fire_alarm(monitor: Monitor, environment: Environment, minute: Minute, journal: Journal) -> None:
    """Let the first alarm that is due at this minute do what it has to."""
    due = next(alarm for alarm in ALARMS.policies if alarm.due_minute(environment) == minute)
    due.fire(monitor, environment, minute, journal)


def alarms_watch_again(environment: Environment, at_us: Microseconds, first_tick: Minute) -> None:
    """The monitor is enabled again."""
    for alarm in ALARMS.policies:
        alarm.watch_again(environment, at_us, first_tick)


def alarms_on_mute(environment: Environment, at_us: Microseconds) -> None:
    """Somebody muted or unmuted the environment."""
    for alarm in ALARMS.policies:
        alarm.on_mute(environment, at_us)
