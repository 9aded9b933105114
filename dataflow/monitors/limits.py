"""How large whatever a message names may be, and cutting what is larger (docs/reference/limits.md).

Everything that gets from a message or control into a table, a message or the recovery store is bounded where it is
read: so no content can make a row or message that its table or topic does not take.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Limit:
    """The largest sizes, by what they are of; characters are Unicode code points."""

    SLUG_SOURCE_CHARACTERS = 1_000
    """Of the text that a slug is made of, only this beginning is read; the slug itself has at most 50."""
    ENVIRONMENT_CHARACTERS = 64
    """An environment's name; a longer one is MONITOR_INVALID_ENVIRONMENT (in its row with one character more), in a
    control INVALID_CONTROL."""
    SDK_CHARACTERS = 200
    """The name of the SDK; what is longer is cut."""
    CONFIG_BYTES = 65_536
    """A `monitor_config` as JSON; a longer one is MONITOR_INVALID_CONFIG."""
    CONTROL_BYTES = 262_144
    """A control as JSON; a longer one is INVALID_CONTROL."""
    NAME_CHARACTERS = 128
    """A monitor's name in a control, as in Sentry; a longer one is INVALID_CONTROL."""
    QUERY_CHARACTERS = 4_096
    """The `query` of a sampling rule; a longer one is INVALID_CONTROL."""
    RULE_PROJECTS = 1_000
    """The `project_ids` of a sampling rule; more are INVALID_CONTROL. A rule for all projects names none."""
    SILENCES = 1_000
    """Snoozes and maintenances of an organization that are not over; one more is INVALID_CONTROL."""
    SILENCE_WINDOWS = 2_000
    """The windows of a maintenance that recurs; a rule with more is INVALID_CONTROL."""
    SILENCE_DAYS = 1_827
    """How far ahead of its start a maintenance or a snooze reaches, in days: five years. What lies beyond is
    INVALID_CONTROL; of a rule without an end the windows end there."""
    SILENCE_PAST_DAYS = 366
    """How long before its control a maintenance may have started, in days; earlier is INVALID_CONTROL."""
    WINDOW_MINUTES = 44_640
    """A window of a maintenance that recurs, in minutes: 31 days; a longer one is INVALID_CONTROL."""
    RRULE_CHARACTERS = 500
    """A recurrence rule; a longer one is INVALID_CONTROL."""
    GLOB_CHARACTERS = 100
    """`slug`, `environment` and `owner` of a maintenance; a longer one is INVALID_CONTROL."""
    WHO_CHARACTERS = 128
    """Who acknowledges or silences; a longer text is INVALID_CONTROL."""
    NOTE_CHARACTERS = 1_000
    """What they say about it; a longer text is INVALID_CONTROL."""
    PAYLOAD_BYTES = 102_400
    """A payload in `processing_errors` and `check_in_samples`; of a longer one these hold the beginning and the full
    length. The dead letters hold what cannot be read as it came."""
    REASON_CHARACTERS = 500
    """Each text in the `errors` of a processing error, and the reason of a dead letter; what is longer is cut."""


def cut_text(text: str) -> str:
    """A reason, with an ellipsis if it was too long."""
    limit = Limit.REASON_CHARACTERS
    return text if len(text) <= limit else text[: limit - 1] + "…"


def cut_details(value: Any) -> Any:
    """Details of an error (as decoded JSON) with every text in them cut."""
    if isinstance(value, str):
        return cut_text(value)
    if isinstance(value, dict):
        return {cut_text(str(key)): cut_details(each) for key, each in value.items()}
    if isinstance(value, list):
        return [cut_details(each) for each in value]
    return value


def payload_text(payload: bytes) -> str:
    """A payload as the text that `processing_errors` holds: bytes that are no UTF-8 are replaced."""
    limit = Limit.PAYLOAD_BYTES
    if len(payload) <= limit:
        return payload.decode("utf-8", "replace")
    return f"{payload[:limit].decode('utf-8', 'replace')}… (cut: {len(payload)} bytes)"


def payload_json(payload: bytes) -> bytes:
    """A payload as the JSON that `check_in_samples` holds: of a long one an object with its length and beginning."""
    limit = Limit.PAYLOAD_BYTES
    if len(payload) <= limit:
        return payload
    beginning = payload[:limit].decode("utf-8", "replace")
    return msgspec.json.encode({"cut": True, "length": len(payload), "beginning": beginning})
