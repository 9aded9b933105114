"""Messages about silences and acknowledgements: what people have said, for whoever notifies others."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from dataflow.monitors import identity
from dataflow.monitors.notices import AcknowledgedNotice
from dataflow.monitors.silences import Silence
from dataflow.monitors.times import MINUTE_US, NO_TIME
from dataflow.stream.items import Message
from dataflow.wire.monitor_object import monitor_object
from dataflow.wire.stalls import KEY
from state.schema.tables.runs import StatusChangeRow

ANNOUNCED, SILENCE_ENDED = "silence_announced", "silence_ended"
ACKNOWLEDGED, UNACKNOWLEDGED = "incident_acknowledged", "incident_unacknowledged"


def silence_message(silence: Silence, at_us: int) -> tuple[Message, StatusChangeRow]:
    """The message that a silence is announced, or ended early if it is, and its row in `status_changes`."""
    is_over = silence.ended_us != NO_TIME
    kind = SILENCE_ENDED if is_over else ANNOUNCED
    body: dict[str, Any] = {
        "payload_type": kind,
        "id": identity.silence_message_id(kind, silence.id, at_us),
        "silence_id": silence.id,
        "kind": silence.kind,
        "organization_id": silence.organization_id,
        "project_id": silence.project_id,
        "slug": silence.slug,
        "environment": silence.environment,
        "owner": silence.owner,
        "misses_count": silence.misses_count,
        "start": silence.start_us / 1e6,
        "duration_seconds": silence.duration_us / 1e6,
        "rrule": silence.rrule,
        "timezone": silence.zone,
        "announced": silence.announced_us / 1e6,
        "ended": silence.ended_us / 1e6 if is_over else None,
        "who": silence.who,
        "note": silence.note,
        "detection_time": at_us / 1e6,
        "text": _text(silence),
    }
    payload = msgspec.json.encode(body)
    row = StatusChangeRow(
        message_id=body["id"],
        payload_type=kind,
        project_id=silence.project_id,
        slug=None,
        environment=None,
        incident_id=None,
        check_in_id=None,
        created_at=at_us,
        payload=payload,
    )
    return Message(body["id"], KEY, payload), row


def acknowledgement(notice: AcknowledgedNotice) -> dict[str, Any]:
    """The message that a notice calls for."""
    kind = ACKNOWLEDGED if notice.is_acknowledged else UNACKNOWLEDGED
    incident = notice.incident
    return {
        "payload_type": kind,
        "id": identity.message_id(f"{kind} {notice.at_us}", incident.id, notice.guid),
        "fingerprint": [incident.fingerprint],
        "project_id": notice.project_id,
        "monitor": monitor_object(notice),
        "environment": notice.environment,
        "incident_id": incident.id,
        "who": notice.who,
        "note": notice.note,
        "detection_time": notice.at_us / 1e6,
        "text": f"{notice.who} {'has acknowledged' if notice.is_acknowledged else 'no longer acknowledges'} incident "
        f"{incident.id} of {notice.name} ({notice.environment}){_noted(notice.note)}",
    }


def _text(silence: Silence) -> str:
    subject = f"{silence.kind} {silence.id} of {about(silence)}"
    if silence.ended_us != NO_TIME:
        return f"{subject} is ended"
    if silence.rrule is None:
        when = f"from {_moment(silence.start_us)} to {_moment(silence.start_us + silence.duration_us)}"
    else:
        minutes = silence.duration_us // MINUTE_US
        when = f"by {silence.rrule} in {silence.zone} from {_moment(silence.start_us)} on, {minutes} minutes each"
    counts = "" if silence.misses_count else "; misses and time-outs in it do not count"
    who = f", says {silence.who}" if silence.who else ""
    return f"{subject}: nobody is notified {when}{counts}{who}{_noted(silence.note)}"


def about(silence: Silence) -> str:
    """What it is about, in words."""
    subject = f"organization {silence.organization_id}"
    if silence.project_id is not None:
        subject = f"project {silence.project_id}"
    if silence.slug is not None:
        subject += f", {silence.slug}"
    if silence.environment is not None:
        subject += f" ({silence.environment})"
    return subject if silence.owner is None else f"{subject}, owner {silence.owner}"


def _moment(time_us: int) -> str:
    return f"{datetime.fromtimestamp(time_us / 1e6, UTC):%Y-%m-%dT%H:%MZ}"


def _noted(note: str | None) -> str:
    return f": {note}" if note else ""
