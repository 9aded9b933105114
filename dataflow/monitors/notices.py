"""What is to be sent about what people have said (other notices are in `monitors.journal`)."""

from __future__ import annotations

import msgspec

from dataflow.monitors.records import Incident
from dataflow.monitors.times import Microseconds


class AcknowledgedNotice(msgspec.Struct, frozen=True):
    """Somebody has acknowledged an incident, or taken that back."""

    project_id: int
    slug: str
    name: str
    environment: str
    incident: Incident
    guid: bytes
    """The check-in that began the incident."""
    is_acknowledged: bool
    who: str
    note: str | None
    at_us: Microseconds
