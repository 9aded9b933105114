"""Messages out: `ingest-occurrences`, JSON, as the public schema `ingest-occurrences.v1` describes it."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec

from dataflow.monitors import identity
from dataflow.monitors.check_in import MISSED, STATUS_NAMES
from dataflow.monitors.config import MonitorConfig
from dataflow.monitors.environment import ENVIRONMENT_STATUS_NAMES
from dataflow.monitors.journal import (
    BrokenNotice,
    FailureNotice,
    Notice,
    RecoveryNotice,
)
from dataflow.monitors.notices import AcknowledgedNotice
from dataflow.monitors.times import NO_MINUTE, NO_TIME
from dataflow.stream.items import Message
from dataflow.wire.broken_monitors import broken_monitor
from dataflow.wire.monitor_object import monitor_object
from dataflow.wire.silences import acknowledgement
from state.schema.tables.runs import StatusChangeRow

MONITOR_FAILURE = 4001
"""Sentry's number of the occurrence type "a cron monitor fails"."""
RESOLVED = 1
"""Sentry's number of the group status "resolved"."""
SCHEDULE_TYPES = {"crontab": 1, "interval": 2}
"""Sentry's numbers of the schedule types."""
FLAPPING_EVIDENCE = "Status changes"
"""The name of the first evidence of an occurrence that says that an environment flaps."""
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - without a zone: its name is put behind
_REASONS = 256
_SECONDS = 4096
"""Of so many are the texts kept: of one second there are many times, when many jobs fail at once."""


def iso_time(time_us: int) -> str:
    """A time in µs as ISO 8601 in UTC, as Python writes it."""
    second, us = divmod(time_us, 1_000_000)
    return f"{_second(second)}.{us:06}+00:00" if us else f"{_second(second)}+00:00"


@lru_cache(_SECONDS)
def _second(second: int) -> str:
    return (_EPOCH + timedelta(seconds=second)).isoformat()


def message_of(notice: Notice) -> tuple[Message, StatusChangeRow]:
    """The message that a notice calls for, and its row in `status_changes`."""
    if isinstance(notice, BrokenNotice):
        return _sent(broken_monitor(notice), notice)
    if isinstance(notice, AcknowledgedNotice):
        return _sent(acknowledgement(notice), notice)
    if isinstance(notice, FailureNotice):
        return _sent(_occurrence(notice), notice)
    return _sent(_status_change(notice), notice)


def _sent(body: dict[str, Any], notice: Notice) -> tuple[Message, StatusChangeRow]:
    """The message of a notice that has this body, with `id` and `payload_type`; and its row."""
    payload = msgspec.json.encode(body)
    incident = notice.incident
    row = StatusChangeRow(
        message_id=body["id"],
        payload_type=body["payload_type"],
        project_id=notice.project_id,
        slug=notice.slug,
        environment=notice.environment,
        incident_id=incident.id,
        check_in_id=notice.guid,
        created_at=notice.at_us,
        payload=payload,
    )
    return Message(body["id"], incident.fingerprint, payload), row


def _status_change(notice: RecoveryNotice) -> dict[str, Any]:
    return {
        "payload_type": "status_change",
        "id": identity.message_id("status_change", notice.incident.id, notice.guid),
        "fingerprint": [notice.incident.fingerprint],
        "project_id": notice.project_id,
        "new_status": RESOLVED,
        "new_substatus": None,
        "detection_time": notice.at_us / 1e6,
    }


def _occurrence(notice: FailureNotice) -> dict[str, Any]:
    incident = notice.incident
    last_ok = iso_time(notice.last_ok_us) if notice.last_ok_us != NO_TIME else "Never"
    kind, title, subtitle, reason = _said(notice)
    event_id = identity.event_id(kind, incident.id, notice.guid)
    return {
        "id": identity.message_id(kind, incident.id, notice.guid),
        "project_id": notice.project_id,
        "event_id": event_id,
        "fingerprint": [incident.fingerprint],
        "issue_title": f"{title}: {notice.name}",
        "subtitle": subtitle,
        "resource_id": None,
        "evidence_data": _evidence(notice),
        "evidence_display": [
            reason,
            {"name": "Environment", "value": notice.environment, "important": False},
            {"name": "Last successful check-in", "value": last_ok, "important": False},
        ],
        "type": MONITOR_FAILURE,
        "detection_time": notice.at_us / 1e6,
        "level": "error",
        "culprit": "",
        "initial_issue_priority": None,
        "assignee": None,
        "payload_type": "occurrence",
        "event": _event(notice, event_id),
    }


def _evidence(notice: FailureNotice) -> dict[str, Any]:
    """The check-in that the message is about, for programs. Times are epoch seconds; null: not known, or none."""
    run = notice.run
    evidence: dict[str, Any] = {
        "check_in_id": identity.guid_text(notice.guid),
        "status": STATUS_NAMES[notice.kinds[-1]] if notice.kinds else None,
        "began": None,
        "expected": None,
        "duration_ms": None,
        "incident_began": notice.incident.starting_us / 1e6,
    }
    if run is not None:
        evidence["status"] = STATUS_NAMES[run.status]
        # A miss has no beginning: the time that it is kept under is when it should have begun.
        evidence["began"] = run.date_added_us / 1e6 if run.status != MISSED else None
        evidence["expected"] = run.expected_minute * 60 if run.expected_minute != NO_MINUTE else None
        evidence["duration_ms"] = run.duration_ms
    return evidence


def _said(notice: FailureNotice) -> tuple[str, str, str, dict[str, Any]]:
    """Kind, title, subtitle and first evidence: an ordinary failure and the beginning of flapping differ in these."""
    if notice.changes:
        reason = f"{notice.changes} changes between ok and error within {notice.window_minutes} minutes"
        evidence = {"name": FLAPPING_EVIDENCE, "value": reason, "important": True}
        return "flapping", "Monitor flapping", "Further messages wait until it is calm.", evidence
    evidence = {"name": "Failure reason", "value": failure_reason(notice.kinds), "important": True}
    return "occurrence", "Monitor failure", "Your monitor has reached its failure threshold.", evidence


def _event(notice: FailureNotice, event_id: str) -> dict[str, Any]:
    incident = notice.incident
    monitor = monitor_object(notice)
    monitor_id = monitor["id"]
    contexts: dict[str, Any] = {
        "monitor": {
            **monitor,
            "config": _config(notice.config),
            "status": ENVIRONMENT_STATUS_NAMES[notice.status],
            "type": "cron_job",
        }
    }
    if notice.trace_id is not None:
        contexts["trace"] = {"trace_id": notice.trace_id.hex(), "span_id": None}
    at = iso_time(notice.at_us)
    return {
        "contexts": contexts,
        "environment": notice.environment,
        "event_id": event_id,
        "fingerprint": [incident.fingerprint],
        "platform": "other",
        "project_id": notice.project_id,
        "received": at,
        "sdk": None,
        "tags": {
            "monitor.id": monitor_id,
            "monitor.slug": notice.slug,
            "monitor.incident": incident.id,
        },
        "timestamp": at,
    }


def _config(config: MonitorConfig) -> dict[str, Any]:
    schedule: str | list[object] = config.schedule
    if config.schedule_type == "interval":
        count, unit = config.schedule.split()
        schedule = [int(count), unit]
    return {
        "schedule": schedule,
        "checkin_margin": config.checkin_margin,
        "max_runtime": config.max_runtime,
        "timezone": config.zone,
        "failure_issue_threshold": config.failure_issue_threshold,
        "recovery_threshold": config.recovery_threshold,
        "schedule_type": SCHEDULE_TYPES[config.schedule_type],
    }


@lru_cache(_REASONS)
def failure_reason(kinds: tuple[int, ...]) -> str:
    """The failing check-ins in words: one by its kind, several counted in order of first appearance."""
    counts: dict[str, int] = {}
    for kind in kinds:
        name = STATUS_NAMES[kind]
        counts[name] = counts.get(name, 0) + 1
    if len(kinds) == 1:
        (name,) = counts
        return f"{'An' if name == 'error' else 'A'} {name} check-in was detected"
    parts = [f"{count} {name}" for name, count in counts.items()]
    listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return f"{listed} check-ins detected"
