"""Controls that took effect, as rows of `controls`."""

from __future__ import annotations

from dataflow.monitors.check_in import Control
from dataflow.monitors.limits import payload_json
from state.schema.tables.monitors import ControlRow


def control_row(control: Control) -> ControlRow:
    """The row for a control that took effect."""
    return ControlRow(
        topic=control.topic,
        partition=control.partition,
        offset=control.offset,
        received_at=control.received_us,
        type=control.kind,
        organization_id=control.organization_id,
        project_id=control.project_id,
        slug=control.slug,
        environment=control.environment,
        payload=payload_json(control.payload),
    )
