"""Somebody acknowledges an open incident, or takes that back: recorded, and said in a message."""

from __future__ import annotations

from dataflow.monitors.changes import IncidentAcknowledged
from dataflow.monitors.environment import Environment
from dataflow.monitors.errors import ErrorType
from dataflow.monitors.journal import Journal
from dataflow.monitors.monitor import Monitor
from dataflow.monitors.notices import AcknowledgedNotice
from dataflow.monitors.records import Incident
from dataflow.monitors.times import NO_TIME
from state.schema.tables.silences import AcknowledgementRow


def acknowledge(monitor: Monitor, item: IncidentAcknowledged, journal: Journal) -> None:
    """Apply the control to the incident that is open, or reject it if that is not the one meant."""
    environment = monitor.find(item.environment)
    incident = environment.incident if environment is not None else None
    reason = _refusal(item, incident)
    if reason is not None:
        error = {"type": ErrorType.INVALID_CONTROL, "reason": reason}
        journal.rejected.append((item.control, [error]))
        return
    assert environment is not None
    assert incident is not None
    control = item.control
    incident.acknowledged_us = item.at_us if control.flag else NO_TIME
    journal.controls.append(control)
    journal.acknowledgements.append(_row(monitor, environment, incident, item))
    journal.notices.append(
        AcknowledgedNotice(
            project_id=monitor.project_id,
            slug=monitor.slug,
            name=monitor.name,
            environment=environment.name,
            incident=incident,
            guid=incident.starting_guid,
            is_acknowledged=bool(control.flag),
            who=control.who or "",
            note=control.note,
            at_us=item.at_us,
        )
    )


def _refusal(item: IncidentAcknowledged, incident: Incident | None) -> str | None:
    if incident is None:
        return "no incident is open"
    if item.control.incident_id not in (None, incident.id):
        return f"the open incident is {incident.id}"
    if not item.control.flag and incident.acknowledged_us == NO_TIME:
        return "the incident is not acknowledged"
    return None


def _row(
    monitor: Monitor, environment: Environment, incident: Incident, item: IncidentAcknowledged
) -> AcknowledgementRow:
    return AcknowledgementRow(
        project_id=monitor.project_id,
        slug=monitor.slug,
        environment=environment.name,
        incident_id=incident.id,
        changed_at=item.at_us,
        is_acknowledged=bool(item.control.flag),
        who=item.control.who or "",
        note=item.control.note,
    )
