"""A check-in as a client sends it, to the payload that goes into the stream.

The rules are those of Sentry's relay, as read and recorded (docs/intake.md): known fields only, in its order, nulls
left out. One differs: a faulty `monitor_config` does not cost the check-in. It is handed on as it came, and the flow
records MONITOR_INVALID_CONFIG.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from cronwax.intake.outcome import Dropped, Message
from dataflow.monitors.check_in import REPORTED
from dataflow.monitors.fields import parse_guid, slugify

NIL = "0" * 32
"""The nil UUID: "the latest check-in still in progress"."""
MAX_SLUG_CHARACTERS = 50
MAX_ENVIRONMENT_CHARACTERS = 64
UNKNOWN = "unknown"
"""What a status becomes that no job may report; the flow refuses it, with a row."""

_Whole = Annotated[int, Meta(ge=0)]


class _Crontab(msgspec.Struct, tag_field="type", tag="crontab", gc=False):
    value: str


class _Interval(msgspec.Struct, tag_field="type", tag="interval", gc=False):
    value: _Whole
    unit: Literal["year", "month", "week", "day", "hour", "minute"]


class _Config(msgspec.Struct, omit_defaults=True, gc=False):
    schedule: _Crontab | _Interval
    checkin_margin: _Whole | None = None
    max_runtime: _Whole | None = None
    timezone: str | None = None
    failure_issue_threshold: _Whole | None = None
    recovery_threshold: _Whole | None = None
    owner: str | None = None


class _Trace(msgspec.Struct, gc=False):
    trace_id: str


class _Contexts(msgspec.Struct, omit_defaults=True, gc=False):
    trace: _Trace | None = None


NO_CONFIG = Raw()


class Given(msgspec.Struct, gc=False):
    """A check-in as it comes, where every field has the right type."""

    status: str
    monitor_slug: str = ""
    check_in_id: str | UnsetType = UNSET
    environment: str | None = None
    duration: float | None = None
    """Seconds."""
    monitor_config: Raw = NO_CONFIG
    contexts: _Contexts | None = None


class _Payload(msgspec.Struct, omit_defaults=True, gc=False):
    check_in_id: str
    monitor_slug: str
    status: str
    environment: str | None = None
    duration: float | None = None
    monitor_config: _Config | Raw | None = None
    contexts: _Contexts | None = None


_given = msgspec.json.Decoder(Given).decode
_config = msgspec.json.Decoder(_Config).decode
_any = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def read(text: bytes) -> Given:
    """A check-in from JSON. Raises Dropped, with the reason."""
    try:
        return _given(text)
    except msgspec.ValidationError:
        raise Dropped(_what_is_wrong(text)) from None
    except _BROKEN:
        raise Dropped("invalid_json") from None


def payload_of(given: Given) -> tuple[Raw, str]:
    """The payload as JSON, and the slugified slug. Raises Dropped, with the reason."""
    guid = NIL if given.check_in_id is UNSET else _uuid(given.check_in_id, "check_in_id")
    config = None if bytes(given.monitor_config) in (b"", b"null") else _known_fields(given.monitor_config)
    contexts = given.contexts
    if contexts is not None and contexts.trace is not None:
        contexts = _Contexts(_Trace(_uuid(contexts.trace.trace_id, "contexts.trace.trace_id")))
    slug = given.monitor_slug[:MAX_SLUG_CHARACTERS]
    if not slug:
        raise Dropped("invalid_check_in: empty slug")
    if given.environment is not None and len(given.environment) > MAX_ENVIRONMENT_CHARACTERS:
        raise Dropped(f"invalid_check_in: environment longer than {MAX_ENVIRONMENT_CHARACTERS}")
    status = given.status if given.status in REPORTED else UNKNOWN
    payload = _Payload(guid, slug, status, given.environment, given.duration, config, contexts)
    return Raw(_encode(payload)), slugify(slug)


def message(project_id: int, sdk: str | None, start_time: float, given: Given) -> Message:
    """The message for the stream. Raises Dropped, with the reason."""
    payload, slug = payload_of(given)
    return Message(payload, start_time, sdk, project_id, slug)


def _known_fields(config: Raw) -> _Config | Raw:
    """A valid config as the relay writes it; any other as it came. Raises Dropped for what is not JSON: whoever decoded
    what is around it has not looked into it."""
    try:
        return _config(config)
    except msgspec.ValidationError:
        pass
    except _BROKEN:
        raise Dropped("invalid_json") from None
    try:
        _any(config)
    except _BROKEN:
        raise Dropped("invalid_json") from None
    return config


def _uuid(text: str, name: str) -> str:
    guid = parse_guid(text)
    if guid is None:
        raise Dropped(f"invalid_json: {name} is not a UUID")
    return guid.hex()


def _what_is_wrong(text: bytes) -> str:
    """Why JSON is not a check-in: the first reason, in the order in which the fields are looked at."""
    given = _any(text)
    if not isinstance(given, dict):
        return "invalid_json: not an object"
    if not isinstance(given.get("status"), str):
        return "invalid_json: no status"
    if not isinstance(given.get("monitor_slug", ""), str):
        return "invalid_json: monitor_slug is not a string"
    if not isinstance(given.get("check_in_id", ""), str):
        return "invalid_json: check_in_id is not a UUID"
    if not isinstance(given.get("environment"), str | None):
        return "invalid_json: environment is not a string"
    if not _is_number(given.get("duration")):
        return "invalid_json: duration is not a number"
    return "invalid_json: contexts.trace.trace_id is not a UUID"


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
