"""Messages about system incidents: check-ins are being lost on their way here, so monitoring is blind."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from dataflow.monitors import identity
from dataflow.monitors.check_in import MINUTE_US, NO_MINUTE
from dataflow.monitors.volume_judge import SystemIncident
from dataflow.stream.items import Message
from dataflow.wire.stalls import KEY
from state.schema.tables.runs import StatusChangeRow

STARTED = "system_incident_started"
ENDED = "system_incident_ended"


def system_incident_message(incident: SystemIncident) -> tuple[Message, StatusChangeRow]:
    """The message that it has started, or ended if it has, and its row in `status_changes`."""
    is_over = incident.end_minute != NO_MINUTE
    kind = ENDED if is_over else STARTED
    decided_us = (incident.ended_tick if is_over else incident.detected_tick) * MINUTE_US
    body: dict[str, Any] = {
        "payload_type": kind,
        "id": identity.system_message_id(kind, incident.id),
        "system_incident_id": incident.id,
        "since": incident.start_minute * 60,
        "until": incident.end_minute * 60 if is_over else None,
        "detection_time": decided_us / 1e6,
        "volume": incident.volume,
        "expected": incident.expected,
        "text": _text(incident),
    }
    payload = msgspec.json.encode(body)
    row = StatusChangeRow(
        message_id=body["id"],
        payload_type=kind,
        project_id=None,
        slug=None,
        environment=None,
        incident_id=None,
        check_in_id=None,
        created_at=decided_us,
        payload=payload,
    )
    return Message(body["id"], KEY, payload), row


def _text(incident: SystemIncident) -> str:
    since = _moment(incident.start_minute)
    if incident.end_minute != NO_MINUTE:
        return (
            f"check-ins have come as usual again since {_moment(incident.end_minute)}; runs that were due since "
            f"{since} and did not report are unknown, not missed"
        )
    return (
        f"check-ins have been lost since {since}: {incident.volume} came in a minute that usually has "
        f"{incident.expected:g}; misses and time-outs are not reported until this is over, failures that jobs "
        "report still are"
    )


def _moment(minute: int) -> str:
    return f"{datetime.fromtimestamp(minute * 60, UTC):%Y-%m-%dT%H:%MZ}"
