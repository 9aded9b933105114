"""A row or two of every table."""

from __future__ import annotations

from typing import Any

from state.schema.tables.monitors import BrokenMonitorRow, ConfigRow, ControlRow, MonitorStatusRow, MuteRow
from state.schema.tables.runs import IncidentRow, ProcessingErrorRow, RunDecisionRow, StatusChangeRow
from state.schema.tables.sampling import SampleRow, SamplingRuleRow
from state.schema.tables.silences import (
    AcknowledgementRow,
    NotificationRow,
    SilenceRow,
    SilenceWindowRow,
)
from state.schema.tables.volume import ClockTickRow, SystemIncidentLossRow, SystemIncidentRow
from tests.state.state_rows import (
    START_US,
    check_in,
    environment,
    guid,
    monitor,
    partition,
    row,
)

EVERY_TABLE: dict[str, list[Any]] = {
    "monitors": [monitor()],
    "monitor_environments": [environment()],
    "check_ins": [check_in(1), check_in(2, "error", minute=5)],
    "run_decisions": [
        row(
            RunDecisionRow,
            guid(2),
            "failure",
            1,
            "backup",
            "production",
            START_US,
            START_US,
            True,
            None,
            "ab" * 16,
        )
    ],
    "incidents": [
        row(IncidentRow, "ab" * 16, 1, "backup", "production", "cd" * 16, guid(2), START_US, None, None)
    ],
    "status_changes": [
        row(
            StatusChangeRow,
            *("m1", "occurrence", 1, "backup", "production", "ab" * 16, guid(2), START_US, b'{"type": 4001}'),
        )
    ],
    "processing_errors": [
        row(
            ProcessingErrorRow,
            *(guid(3), START_US, ["MONITOR_NOT_FOUND"], b'[{"type": "MONITOR_NOT_FOUND"}]', b"{}"),
            *(1, "nope", None, guid(4), "checkins", 0, 17),
        )
    ],
    "silences": [
        row(
            SilenceRow,
            *("s", "maintenance", 1, 1, "backup", "prod*", "team:ops", False, START_US, START_US, 3600.0),
            *("FREQ=DAILY", "UTC", START_US + 1, START_US + 2, "ann", "disks"),
        )
    ],
    "silence_windows": [row(SilenceWindowRow, "s", START_US, START_US + 1, 1)],
    "acknowledgements": [
        row(AcknowledgementRow, 1, "backup", "production", "ab" * 16, START_US, True, "ann", "on it")
    ],
    "notifications": [
        row(
            NotificationRow,
            *("cd" * 16, 1, "ops", "route-1", "opens", "failure", 1, "backup", "production", "ab" * 16),
            *("team:ops", "backup failed", START_US, START_US + 1, START_US + 2, "sent", "200"),
        )
    ],
    "sampling_rules": [
        row(
            SamplingRuleRow,
            *(1, 1, 3001, b"[1]", b'{"op": "and", "inner": []}', "f00d", START_US, START_US + 1),
            *(100, 0.5, 3, True, False, "", None, START_US),
        )
    ],
    "check_in_samples": [
        row(
            SampleRow,
            *(guid(1), 1, "backup", "production", 1, 0.5, START_US, b'{"status": "ok"}', "checkins", 0, 5),
        )
    ],
    "monitor_status_history": [row(MonitorStatusRow, 1, "backup", START_US, "disabled")],
    "broken_monitors": [
        row(BrokenMonitorRow, 1, "backup", "production", "ab" * 16, START_US, START_US + 1, None)
    ],
    "monitor_config_history": [
        row(ConfigRow, 1, "backup", START_US, "crontab", "* * * * *", "UTC", 1, 30, 1, 1, "control")
    ],
    "controls": [
        row(ControlRow, "controls", 0, 3, START_US, "mute", 1, 1, "backup", None, b'{"type": "mute"}')
    ],
    "mute_history": [row(MuteRow, 1, "backup", "production", START_US, True, False)],
    "clock_ticks": [row(ClockTickRow, START_US, 5, 400.5, -98.8, "incident", START_US + 60_000_000)],
    "system_incident_spans": [row(SystemIncidentRow, "ef" * 16, START_US, None, START_US, None, 5, 400.5)],
    "system_incident_losses": [row(SystemIncidentLossRow, "ef" * 16, 7, 1, 2, 3)],
    "partitions": [partition(18)],
}
