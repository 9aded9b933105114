"""What the transition step sends on of what its rules did: rows for the tables, and messages."""

from __future__ import annotations

from dataflow.monitors.group import MonitorGroup
from dataflow.monitors.identity import system_incident_id
from dataflow.monitors.journal import Journal
from dataflow.steps.control_rows import control_row
from dataflow.steps.processing_error_rows import rejection
from dataflow.stream.items import BlockWrite, Message, Records
from dataflow.wire.occurrences import message_of
from state.schema.catalogue import Deletes, by_table
from state.schema.tables.runs import StatusChangeRow
from state.schema.tables.volume import SystemIncidentLossRow

Output = Records | Message | BlockWrite


def outputs_of(group: MonitorGroup, journal: Journal, key_group: int) -> list[Output]:
    """The messages in order, and the records with their key group."""
    group.look_for_held(journal)
    out: list[Output] = []
    changes: list[StatusChangeRow] = []
    for notice in journal.notices:
        message, row = message_of(notice)
        out.append(message)
        changes.append(row)
    deletes = journal.deletes()
    rows = by_table(
        journal.check_in_rows(),
        journal.environment_rows(),
        journal.incidents,
        journal.broken,
        journal.mutes,
        journal.acknowledgements,
        [control_row(control) for control in journal.controls],
        journal.decisions,
        [rejection(item, errors) for item, errors in journal.rejected],
        changes,
        _losses(group, journal, key_group, deletes),
    )
    if rows or deletes:
        out.append(Records(key_group, rows, deletes=deletes))
    return out


def _losses(
    group: MonitorGroup, journal: Journal, key_group: int, deletes: Deletes
) -> list[SystemIncidentLossRow]:
    """What system incidents have cost this group so far. Where that is nothing any more, a row is deleted."""
    rows = []
    for incident_start, total in journal.add_losses_to(group.losses):
        incident = system_incident_id(incident_start)
        if total is None:
            deletes.setdefault(SystemIncidentLossRow.TABLE.name, []).append((incident, key_group))
            continue
        rows.append(
            SystemIncidentLossRow(
                system_incident_id=incident,
                key_group=key_group,
                held=total.held,
                dropped=total.dropped,
                in_progress=total.in_progress,
            )
        )
    return rows
