"""Thresholds: when failures open an incident, and when successes resolve it (SPEC, section 7)."""

from __future__ import annotations

from dataflow.monitors import broken, flapping, identity
from dataflow.monitors.check_in import MINUTE_US, STATUS_NAMES
from dataflow.monitors.environment import Environment, EnvironmentStatus, Failure, Incident, Monitor, Run
from dataflow.monitors.journal import Journal, RecoveryNotice, failure_notice


def count_failure(monitor: Monitor, environment: Environment, run: Run, at_us: int, journal: Journal) -> None:
    """Let a failing check-in count, once.

                      N-th failure in a row (a)
        active, ok  ----------------------------->  error  --+ further failures (b):
                    <-----------------------------   ^       | one more notice each
              M-th success in a row (count_success)  +-------+

    `at_us` is when it was noticed. In a muted environment or monitor nothing is sent; while the environment flaps,
    it waits.
    """
    if environment.flapping is not None:
        flapping.calm_if_due(monitor, environment, at_us // MINUTE_US, journal)
    changes = environment.oks = 0
    if environment.incident is None:
        row = environment.failures = environment.failures or []
        row.append(Failure(run.guid, run.date_added_us, run.status))
        threshold = monitor.config.failure_threshold
        if len(row) < threshold:
            return
        row = row[-threshold:]
        _open(monitor, environment, row[0], journal)  # (a)
        kinds = tuple(failure.status for failure in row)
        changes = flapping.note_change(monitor, environment, at_us)
    else:
        kinds = (run.status,)  # (b)
    _tell(monitor, environment, run, kinds, changes, at_us, journal)
    assert environment.incident is not None
    broken.note_failures(monitor, environment, environment.incident, len(kinds), at_us, journal)


def _tell(
    monitor: Monitor,
    environment: Environment,
    run: Run,
    kinds: tuple[int, ...],
    changes: int,
    at_us: int,
    journal: Journal,
) -> None:
    incident = environment.incident
    assert incident is not None
    if (
        flapping.hold_failure(environment, run, kinds, changes > 0)
        or monitor.is_muted
        or environment.is_muted
    ):
        return
    told = (run.guid, run.trace_id, kinds, at_us, changes)
    journal.notices.append(failure_notice(monitor, environment, incident, *told))


def _open(monitor: Monitor, environment: Environment, first: Failure, journal: Journal) -> None:
    names = (monitor.project_id, monitor.slug, environment.name)
    incident = Incident(
        identity.incident_id(*names, first.guid),
        identity.fingerprint(*names, first.guid),
        first.guid,
        first.date_added_us,
    )
    environment.incident = incident
    environment.status = EnvironmentStatus.ERROR
    environment.failures = None
    journal.incident(monitor, environment, incident, None)


def count_success(monitor: Monitor, environment: Environment, run: Run, at_us: int, journal: Journal) -> None:
    """Let a success count: it ends a row of failures, and as the M-th in a row an open incident."""
    environment.failures = None
    if environment.flapping is not None:
        flapping.calm_if_due(monitor, environment, at_us // MINUTE_US, journal)
    incident = environment.incident
    if incident is None:
        environment.status = EnvironmentStatus.OK
        return
    broken.note_success(monitor, environment, incident, run.guid, at_us, journal)
    environment.oks += 1
    if environment.oks < monitor.config.recovery_count:
        return
    environment.oks = 0
    environment.status = EnvironmentStatus.OK
    environment.incident = None
    journal.incident(monitor, environment, incident, run)
    changes = flapping.note_change(monitor, environment, at_us)
    if flapping.hold_recovery(environment, incident, run, changes > 0):
        if changes and not (monitor.is_muted or environment.is_muted):
            told = (run.guid, run.trace_id, (), at_us, changes)
            journal.notices.append(failure_notice(monitor, environment, incident, *told))
        return
    journal.notices.append(
        RecoveryNotice(monitor.project_id, monitor.slug, environment.name, incident, run.guid, at_us)
    )


def failure_reason(kinds: tuple[int, ...]) -> str:
    """The failing check-ins in words: one by its kind, several counted in order of first appearance."""
    counts: dict[str, int] = {}
    for kind in kinds:
        name = STATUS_NAMES[kind]
        counts[name] = counts.get(name, 0) + 1
    if len(kinds) == 1:
        (name,) = counts
        return f"{'An' if name == 'error' else 'A'} {name} check-in was detected"
    parts = [f"{count} {name}" for name, count in counts.items()]
    listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return f"{listed} check-ins detected"
