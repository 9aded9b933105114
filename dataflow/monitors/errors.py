"""The reasons for which a message is rejected (SPEC, section 10)."""

from __future__ import annotations

from enum import StrEnum


class ErrorType(StrEnum):
    """Why a check-in or control was rejected; the value is what `processing_errors.error_types` holds."""

    CHECKIN_ENVIRONMENT_MISMATCH = "CHECKIN_ENVIRONMENT_MISMATCH"
    """The guid is known in another environment of the monitor."""
    CHECKIN_FINISHED = "CHECKIN_FINISHED"
    """The check-in has its result already."""
    CHECKIN_GUID_PROJECT_MISMATCH = "CHECKIN_GUID_PROJECT_MISMATCH"
    """Reserved: the guid belongs to a monitor of another project."""
    CHECKIN_INVALID_DURATION = "CHECKIN_INVALID_DURATION"
    """The time between start and end cannot be stored as a duration (negative, or too long)."""
    CHECKIN_INVALID_GUID = "CHECKIN_INVALID_GUID"
    """`check_in_id` is not a UUID."""
    CHECKIN_VALIDATION_FAILED = "CHECKIN_VALIDATION_FAILED"
    """A field of the payload has a wrong value; `errors` names each."""
    MONITOR_DISABLED = "MONITOR_DISABLED"
    """Somebody disabled the monitor."""
    MONITOR_DISABLED_NO_QUOTA = "MONITOR_DISABLED_NO_QUOTA"
    """The monitor was created disabled, because the organization had no seat left."""
    MONITOR_INVALID_CONFIG = "MONITOR_INVALID_CONFIG"
    """`monitor_config` cannot be used."""
    MONITOR_INVALID_ENVIRONMENT = "MONITOR_INVALID_ENVIRONMENT"
    """The environment's name is too long or holds a character that it may not."""
    MONITOR_LIMIT_EXCEEDED = "MONITOR_LIMIT_EXCEEDED"
    """The organization has as many monitors as it may have."""
    MONITOR_NOT_FOUND = "MONITOR_NOT_FOUND"
    """No such monitor, and no usable config to create it from."""
    MONITOR_OVER_QUOTA = "MONITOR_OVER_QUOTA"
    """The monitor holds no seat, and none is free."""
    MONITOR_ENVIRONMENT_LIMIT_EXCEEDED = "MONITOR_ENVIRONMENT_LIMIT_EXCEEDED"
    """The monitor has as many environments as it may have."""
    MONITOR_ENVIRONMENT_RATELIMITED = "MONITOR_ENVIRONMENT_RATELIMITED"
    """Too many check-ins of one environment in one minute."""
    ORGANIZATION_KILLSWITCH_ENABLED = "ORGANIZATION_KILLSWITCH_ENABLED"
    """The organization is switched off."""
    CHECKIN_DROPPED = "CHECKIN_DROPPED"
    """The intake could not read what was sent to it, and dropped it; `reason` says why."""
    MALFORMED_MESSAGE = "MALFORMED_MESSAGE"
    """The bytes are no message; they are in the dead letters."""
    INVALID_CONTROL = "INVALID_CONTROL"
    """The control is unknown, invalid, or about something unknown."""
    TOO_MANY_RULES = "TOO_MANY_RULES"
    """The organization or project has as many sampling rules as it may have."""


SENTRY_NUMBERS: dict[ErrorType, int] = {
    ErrorType.CHECKIN_ENVIRONMENT_MISMATCH: 0,
    ErrorType.CHECKIN_FINISHED: 1,
    ErrorType.CHECKIN_GUID_PROJECT_MISMATCH: 2,
    ErrorType.CHECKIN_INVALID_DURATION: 3,
    ErrorType.CHECKIN_INVALID_GUID: 4,
    ErrorType.CHECKIN_VALIDATION_FAILED: 5,
    ErrorType.MONITOR_DISABLED: 6,
    ErrorType.MONITOR_DISABLED_NO_QUOTA: 7,
    ErrorType.MONITOR_INVALID_CONFIG: 8,
    ErrorType.MONITOR_INVALID_ENVIRONMENT: 9,
    ErrorType.MONITOR_LIMIT_EXCEEDED: 10,
    ErrorType.MONITOR_NOT_FOUND: 11,
    ErrorType.MONITOR_OVER_QUOTA: 12,
    ErrorType.MONITOR_ENVIRONMENT_LIMIT_EXCEEDED: 13,
    ErrorType.MONITOR_ENVIRONMENT_RATELIMITED: 14,
    ErrorType.ORGANIZATION_KILLSWITCH_ENABLED: 15,
}
"""Sentry's numbers of the error types that it knows (`ProcessingErrorType`)."""
