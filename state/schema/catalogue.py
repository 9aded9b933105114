"""All tables, from the row classes in `tables/`, and what follows from them. Imports no database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from state.schema.table import History, Row, Table
from state.schema.tables.internal import (
    DataInfoRow,
    HistoryFileRow,
    HistoryProgressRow,
    PartitionRow,
    SchemaInfoRow,
    SnapshotInfoRow,
)
from state.schema.tables.monitors import (
    BrokenMonitorRow,
    ConfigRow,
    ControlRow,
    EnvironmentRow,
    MonitorRow,
    MonitorStatusRow,
    MuteRow,
)
from state.schema.tables.runs import (
    CheckInRow,
    IncidentRow,
    ProcessingErrorRow,
    RunDecisionRow,
    StatusChangeRow,
)
from state.schema.tables.sampling import SampleRow, SamplingRuleRow
from state.schema.tables.silences import (
    AcknowledgementRow,
    NotificationRow,
    SilenceRow,
    SilenceWindowRow,
)
from state.schema.tables.volume import ClockTickRow, SystemIncidentLossRow, SystemIncidentRow

Rows = dict[str, list[Row]]
"""Rows that replace those of the same identity, by table."""
Deletes = dict[str, list[tuple[object, ...]]]
"""By table: beginnings of identities. All rows that have them are deleted."""

_RECORDS: tuple[type[Row], ...] = (
    MonitorRow,
    MonitorStatusRow,
    EnvironmentRow,
    CheckInRow,
    RunDecisionRow,
    IncidentRow,
    BrokenMonitorRow,
    ConfigRow,
    MuteRow,
    ControlRow,
    StatusChangeRow,
    ProcessingErrorRow,
    SamplingRuleRow,
    SampleRow,
    ClockTickRow,
    SystemIncidentRow,
    SystemIncidentLossRow,
    SilenceRow,
    SilenceWindowRow,
    AcknowledgementRow,
    NotificationRow,
    PartitionRow,
)

TABLES: dict[str, Table] = {row.TABLE.name: Table(row) for row in _RECORDS}
"""The tables that records change, by name."""
INFO: dict[str, Table] = {row.TABLE.name: Table(row) for row in (SchemaInfoRow, SnapshotInfoRow, DataInfoRow)}
"""Tables about the file itself."""
FILES: dict[str, Table] = {row.TABLE.name: Table(row) for row in (HistoryFileRow, HistoryProgressRow)}
"""What says where the history is. `late_` and `deleted_` tables, which go with them, are made from TABLES."""
COLD_TABLES: dict[str, History] = {
    name: table.history for name, table in TABLES.items() if table.history is not None
}
"""The tables that have history."""
LEDGER = (*FILES, *(f"{kind}_{name}" for name in COLD_TABLES for kind in ("late", "deleted")))
"""The tables that say what is in the history."""
RETAINED: dict[str, str] = {
    name: table.retained_by for name, table in TABLES.items() if table.retained_by is not None
}
"""Tables that grow for ever unless they are given a number of days, and the time that counts.

Monitors, environments, rules and incidents stay: they are few, and the statistics of years are made of them.
"""
SCHEMA_VERSION = max(
    max(table.since, *(column.since.version for column in table.columns))
    for table in (*TABLES.values(), *INFO.values(), *FILES.values())
)
"""The layout that this release writes: the newest that a table or column came with."""

_R = TypeVar("_R", bound=Row)


def rows_of(rows: Mapping[str, Sequence[Row]], kind: type[_R]) -> Sequence[_R]:
    """The rows of one kind."""
    return rows.get(kind.TABLE.name, ())  # type: ignore[return-value]  # that table's are of this kind


def by_table(*rows: Sequence[Row]) -> Rows:
    """Rows by table: each argument holds those of one; tables without any are left out."""
    return {some[0].TABLE.name: list(some) for some in rows if some}
