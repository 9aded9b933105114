"""The tables that records change: their columns in the order of a record's row, and what identifies a row.

A row begins with the table's identity. Times are µs since the epoch, UUIDs are 16 bytes, JSON is text as bytes;
the writer turns them into the column types of schema.sql.
"""

from __future__ import annotations

from typing import NamedTuple


class Table(NamedTuple):
    """One table of records."""

    columns: tuple[tuple[str, str], ...]
    """Names and kinds, in the order of a row; kinds: int, text, bool, float, time, uuid, json, texts."""
    identity: int
    """So many leading columns identify a row."""


TABLES: dict[str, Table] = {
    "monitors": Table(
        (
            ("project_id", "int"),
            ("slug", "text"),
            ("organization_id", "int"),
            ("monitor_id", "uuid"),
            ("name", "text"),
            ("status", "text"),
            ("is_muted", "bool"),
            ("owner", "text"),
            ("schedule_type", "text"),
            ("schedule", "text"),
            ("timezone", "text"),
            ("checkin_margin", "int"),
            ("max_runtime", "int"),
            ("failure_issue_threshold", "int"),
            ("recovery_threshold", "int"),
            ("created_at", "time"),
            ("updated_at", "time"),
        ),
        2,
    ),
    "monitor_status_history": Table(
        (
            ("project_id", "int"),
            ("slug", "text"),
            ("changed_at", "time"),
            ("status", "text"),
        ),
        3,
    ),
    "monitor_environments": Table(
        (
            ("project_id", "int"),
            ("slug", "text"),
            ("environment", "text"),
            ("status", "text"),
            ("is_muted", "bool"),
            ("last_checkin", "time"),
            ("next_checkin", "time"),
            ("next_checkin_latest", "time"),
            ("open_incident_id", "text"),
            ("updated_at", "time"),
            ("is_flapping", "bool"),
        ),
        3,
    ),
    "check_ins": Table(
        (
            ("project_id", "int"),
            ("slug", "text"),
            ("environment", "text"),
            ("check_in_id", "uuid"),
            ("status", "text"),
            ("duration_ms", "int"),
            ("date_added", "time"),
            ("date_updated", "time"),
            ("expected_time", "time"),
            ("timeout_at", "time"),
            ("trace_id", "uuid"),
        ),
        4,
    ),
    "incidents": Table(
        (
            ("project_id", "int"),
            ("slug", "text"),
            ("environment", "text"),
            ("incident_id", "text"),
            ("fingerprint", "text"),
            ("starting_check_in_id", "uuid"),
            ("starting_timestamp", "time"),
            ("resolving_check_in_id", "uuid"),
            ("resolving_timestamp", "time"),
        ),
        4,
    ),
    "broken_monitors": Table(
        (
            ("project_id", "int"),
            ("slug", "text"),
            ("environment", "text"),
            ("incident_id", "text"),
            ("detected_at", "time"),
            ("muted_at", "time"),
            ("recovered_at", "time"),
        ),
        5,
    ),
    "monitor_config_history": Table(
        (
            ("project_id", "int"),
            ("slug", "text"),
            ("replaced_at", "time"),
            ("schedule_type", "text"),
            ("schedule", "text"),
            ("timezone", "text"),
            ("checkin_margin", "int"),
            ("max_runtime", "int"),
            ("failure_issue_threshold", "int"),
            ("recovery_threshold", "int"),
        ),
        3,
    ),
    "mute_history": Table(
        (
            ("project_id", "int"),
            ("slug", "text"),
            ("environment", "text"),
            ("changed_at", "time"),
            ("is_muted", "bool"),
            ("is_by_person", "bool"),
        ),
        4,
    ),
    "status_changes": Table(
        (
            ("message_id", "text"),
            ("payload_type", "text"),
            ("project_id", "int"),
            ("slug", "text"),
            ("environment", "text"),
            ("incident_id", "text"),
            ("check_in_id", "uuid"),
            ("created_at", "time"),
            ("payload", "json"),
        ),
        1,
    ),
    "processing_errors": Table(
        (
            ("error_id", "uuid"),
            ("received_at", "time"),
            ("error_types", "texts"),
            ("errors", "json"),
            ("payload", "text"),
            ("project_id", "int"),
            ("slug", "text"),
            ("environment", "text"),
            ("check_in_id", "uuid"),
            ("topic", "text"),
            ("partition", "int"),
            ("offset", "int"),
        ),
        1,
    ),
    "sampling_rules": Table(
        (
            ("organization_id", "int"),
            ("rule_id", "int"),
            ("created_at", "time"),
            ("external_rule_id", "int"),
            ("project_ids", "json"),
            ("condition", "json"),
            ("condition_hash", "text"),
            ("start", "time"),
            ("end", "time"),
            ("num_samples", "int"),
            ("sample_rate", "float"),
            ("kept", "int"),
            ("is_active", "bool"),
            ("is_org_level", "bool"),
            ("query", "text"),
            ("created_by_id", "int"),
        ),
        3,
    ),
    "check_in_samples": Table(
        (
            ("check_in_id", "uuid"),
            ("topic", "text"),
            ("partition", "int"),
            ("offset", "int"),
            ("project_id", "int"),
            ("slug", "text"),
            ("environment", "text"),
            ("rule_id", "int"),
            ("sample_rate", "float"),
            ("received_at", "time"),
            ("payload", "json"),
        ),
        4,
    ),
    "clock_ticks": Table(
        (
            ("minute", "time"),
            ("volume", "int"),
            ("expected", "float"),
            ("deviation", "float"),
            ("decision", "text"),
            ("decided_at", "time"),
        ),
        1,
    ),
    "system_incident_spans": Table(
        (
            ("system_incident_id", "text"),
            ("start", "time"),
            ("end", "time"),
            ("detected_at", "time"),
            ("ended_at", "time"),
            ("volume", "int"),
            ("expected", "float"),
        ),
        1,
    ),
    "system_incident_losses": Table(
        (
            ("system_incident_id", "text"),
            ("key_group", "int"),
            ("held", "int"),
            ("dropped", "int"),
            ("in_progress", "int"),
        ),
        2,
    ),
    "partitions": Table(
        (
            ("topic", "text"),
            ("partition", "int"),
            ("position", "int"),
            ("clock", "time"),
        ),
        2,
    ),
}
