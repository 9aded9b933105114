"""Silences that controls announce or end, as rows and messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from dataflow.monitors.check_in import Control
from dataflow.monitors.silences import Silence, windows_of
from dataflow.monitors.times import NO_TIME
from dataflow.stream.items import Message
from dataflow.wire.silences import silence_message
from state.schema.tables.runs import StatusChangeRow
from state.schema.tables.silences import SilenceRow, SilenceWindowRow


class Announced(NamedTuple):
    """What controls say of silences."""

    silences: list[SilenceRow]
    windows: list[SilenceWindowRow]
    changes: list[StatusChangeRow]
    messages: list[Message]


def announced(controls: Iterable[Control]) -> Announced:
    """The rows and messages of controls that were let in; those about something else have none."""
    said = Announced([], [], [], [])
    for control in controls:
        silence = control.silence
        if silence is None:
            continue
        said.silences.append(_row(silence))
        if silence.ended_us == NO_TIME:
            said.windows.extend(_windows(silence))
        message, row = silence_message(silence, control.received_us)
        said.changes.append(row)
        said.messages.append(message)
    return said


def _row(silence: Silence) -> SilenceRow:
    return SilenceRow(
        silence_id=silence.id,
        kind=silence.kind,
        organization_id=silence.organization_id,
        project_id=silence.project_id,
        slug=silence.slug,
        environment=silence.environment,
        owner=silence.owner,
        misses_count=silence.misses_count,
        announced_at=silence.announced_us,
        starts_at=silence.start_us,
        window_seconds=silence.duration_us / 1e6,
        rrule=silence.rrule,
        timezone=silence.zone,
        over_at=silence.over_us(),
        ended_at=silence.ended_us if silence.ended_us != NO_TIME else None,
        who=silence.who,
        note=silence.note,
    )


def _windows(silence: Silence) -> Iterable[SilenceWindowRow]:
    return (
        SilenceWindowRow(
            silence_id=silence.id,
            starts_at=start_us,
            ends_at=end_us,
            organization_id=silence.organization_id,
        )
        for start_us, end_us in windows_of(silence)
    )
