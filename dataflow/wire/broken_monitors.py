"""Messages about broken monitors: an incident has been open for weeks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from dataflow.monitors import identity
from dataflow.monitors.broken import BROKEN_MINUTES, MUTE_MINUTES
from dataflow.monitors.journal import BrokenNotice
from dataflow.wire.monitor_object import monitor_object

_DAY_MINUTES = 24 * 60


def broken_monitor(notice: BrokenNotice) -> dict[str, Any]:
    """The message that a notice calls for."""
    incident = notice.incident
    return {
        "payload_type": notice.kind,
        "id": identity.message_id(f"{notice.kind} {notice.at_us}", incident.id, notice.guid),
        "fingerprint": [incident.fingerprint],
        "project_id": notice.project_id,
        "monitor": monitor_object(notice),
        "environment": notice.environment,
        "incident_id": incident.id,
        "since": notice.since_us / 1e6,
        "detection_time": notice.at_us / 1e6,
        "text": _text(notice),
    }


def _text(notice: BrokenNotice) -> str:
    subject = f"{notice.name} ({notice.environment})"
    if notice.kind == "monitor_unmuted":
        return f"{subject} succeeds again and is no longer muted"
    since = f"{datetime.fromtimestamp(notice.since_us / 1e6, UTC):%Y-%m-%d}"
    if notice.kind == "monitor_muted":
        return f"{subject} has failed since {since} and is muted now, until it succeeds"
    return (
        f"{subject} has failed for {BROKEN_MINUTES // _DAY_MINUTES} days, since {since}: fix it or delete it; "
        f"in {MUTE_MINUTES // _DAY_MINUTES} days it will be muted"
    )
