"""Check-ins in: `ingest-monitors` (msgpack, or JSON in a file) to CheckIn.

The usual message takes the strict path, two msgspec decodes; whatever that refuses is looked at field by field.
"""

from __future__ import annotations

from sys import intern
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from dataflow.monitors.check_in import DEFAULT_ENVIRONMENT, REPORTED, CheckIn, Control
from dataflow.monitors.errors import ErrorType
from dataflow.monitors.fields import (
    MAX_CACHED,
    MAX_PROJECT_ID,
    NOT_GIVEN,
    cached_slug,
    field_errors,
    parse_duration,
    parse_guid,
    slugify,
)
from dataflow.monitors.limits import Limit

_BRACE = ord("{")
_GUID_DIGITS = 32
_GUID_BYTES = 16
_MAX_SECONDS = 253_402_300_800.0
_SDK_CHARACTERS = Limit.SDK_CHARACTERS
_ENVIRONMENT_KEPT = Limit.ENVIRONMENT_CHARACTERS + 1
"""One character more than allowed: that is enough to see that a name is too long."""
_MESSAGE_TYPES = ("check_in", "clock_pulse")
DROPPED = "dropped_check_in"
"""The message type by which the intake says what it could not take, so that whoever sent it can find it."""


class MalformedMessage(Exception):  # noqa: N818 - the field's term, and the name of the error type
    """The bytes are no message; the text says why."""


class DroppedCheckIn(Exception):  # noqa: N818 - an event, as MalformedMessage
    """The intake could not read what somebody sent; `reason` says why, `payload` is what came, cut,
    `sdk` what sent it."""

    def __init__(
        self, project_id: int, slug: str | None, reason: str, payload: bytes, sdk: str | None = None
    ) -> None:
        super().__init__(reason)
        self.sdk = sdk
        self.project_id = project_id
        self.slug = slug
        self.reason = reason
        self.payload = payload


class Place(msgspec.Struct, array_like=True, gc=False):
    """Where a message was, and when."""

    topic: str
    partition: int
    offset: int
    received_us: int
    clock_minute: int
    source: int = 0
    """See `CheckIn.source`."""


_NO_CONFIG = Raw()


class _Trace(msgspec.Struct, gc=False):
    trace_id: str | None = None


class _Contexts(msgspec.Struct, gc=False):
    trace: _Trace | None = None


class _Payload(msgspec.Struct, gc=False):
    check_in_id: str
    monitor_slug: str
    status: str
    environment: str | None = None
    duration: float | None = None
    contexts: _Contexts | None = None
    monitor_config: Raw = _NO_CONFIG


class Wrapper(msgspec.Struct, gc=False):
    """A message of `ingest-monitors`, in JSON."""

    message_type: str
    payload: Raw | UnsetType = UNSET
    start_time: float | UnsetType = UNSET
    project_id: int | UnsetType = UNSET
    sdk: str | None = None
    slug: str | None = None
    reason: str = ""
    """Of what the intake dropped: the monitor's slug, if one is known, and why."""


class LineMessage(msgspec.Struct, tag_field="message_type", tag="check_in", gc=False):
    """A check-in of `ingest-monitors` in JSON, as nearly all are: together with its payload, an object."""

    payload: _Payload
    start_time: Annotated[float, Meta(ge=0, lt=_MAX_SECONDS)]
    project_id: Annotated[int, Meta(ge=0)]
    sdk: str | None = None


class LinePulse(msgspec.Struct, tag_field="message_type", tag="clock_pulse", gc=False):
    """A clock pulse in JSON."""


class _PackedWrapper(msgspec.Struct, gc=False):
    message_type: str
    payload: Any = UNSET
    start_time: float | UnsetType = UNSET
    project_id: int | UnsetType = UNSET
    sdk: str | None = None
    slug: str | None = None
    reason: str = ""


class _LineMessage(msgspec.Struct, gc=False):
    payload: Raw


class _Line(msgspec.Struct, gc=False):
    message: _LineMessage


_packed = msgspec.msgpack.Decoder(_PackedWrapper).decode
_text = msgspec.json.Decoder(str).decode
_line = msgspec.json.Decoder(_Line).decode
_payload = msgspec.json.Decoder(_Payload).decode
_object = msgspec.json.Decoder(dict[str, Any], float_hook=float).decode  # 1e400 is too much, not malformed
_encode = msgspec.json.encode
_from_hex = bytes.fromhex


Fields = tuple[str, str, bytes, int, int | None, bytes | None, bytes | None]
"""Of a payload: slug, environment, guid, status, duration in ms, trace id, config."""
_NOTHING_READ: Fields = ("", DEFAULT_ENVIRONMENT, b"", -1, None, None, None)


def payload_of(check_in: CheckIn | Control) -> bytes:
    """The payload as it came: found in its line, if that is what is kept."""
    if isinstance(check_in, CheckIn) and check_in.is_line:
        return bytes(_line(check_in.payload).message.payload)
    return check_in.payload


class CheckInDecoder:
    """Decodes messages; knows which organization a project belongs to."""

    def __init__(self, projects: dict[int, int]) -> None:
        self._projects = projects

    def packed(self, message: bytes, place: Place) -> CheckIn | None:
        """A message in msgpack; None for a clock pulse. Raises MalformedMessage, DroppedCheckIn."""
        try:
            wrapper = _packed(message)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise MalformedMessage(str(error)) from None
        payload = wrapper.payload
        if isinstance(payload, str):
            payload = payload.encode("utf-8", "surrogatepass")
        elif payload is not UNSET and not isinstance(payload, bytes):
            raise MalformedMessage("payload must be bytes")
        return self._check_in(wrapper, payload, place)

    def unpacked(self, wrapper: Wrapper, place: Place) -> CheckIn | None:
        """A message from JSON; None for a clock pulse. Raises MalformedMessage, DroppedCheckIn."""
        payload: bytes | UnsetType = UNSET
        if isinstance(wrapper.payload, Raw):
            payload = bytes(wrapper.payload)
            if payload[:1] == b'"':
                try:
                    payload = _text(payload).encode()
                except UnicodeDecodeError as error:  # passed over as `Raw`, it was not looked into
                    raise MalformedMessage(f"payload: {error}") from None
        return self._check_in(wrapper, payload, place)

    def _check_in(
        self, wrapper: Wrapper | _PackedWrapper, payload: bytes | UnsetType, place: Place
    ) -> CheckIn | None:
        if wrapper.message_type != "check_in":
            if wrapper.message_type == "clock_pulse":
                return None
            _raise_dropped(wrapper, payload or b"")
            raise MalformedMessage(f"message_type must be one of {', '.join(_MESSAGE_TYPES)}")
        start, project_id = wrapper.start_time, wrapper.project_id
        if payload is UNSET or start is UNSET or project_id is UNSET:
            raise MalformedMessage("payload, start_time and project_id must be there")
        if not start >= 0:  # NaN is neither
            raise MalformedMessage("start_time must be seconds since 1970")
        if not 0 <= project_id <= MAX_PROJECT_ID:
            raise MalformedMessage("project_id must be a 64-bit number, 0 or above")
        try:
            fields = read_fields(_payload(payload))
        except msgspec.ValidationError:
            fields = None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise MalformedMessage(f"payload: {error}") from None
        check_in = self.made(
            project_id,
            fields or _NOTHING_READ,
            start,
            wrapper.sdk,
            place.received_us,
            place.clock_minute,
            place.topic,
            place.partition,
            place.offset,
            place.source,
            payload,
            False,
        )
        if fields is None:
            _read_loosely(check_in, payload)
        return check_in

    def made(
        self,
        project_id: int,
        fields: Fields,
        start_s: float,
        sdk: str | None,
        received_us: int,
        clock_minute: int,
        topic: str,
        partition: int,
        offset: int,
        source: int,
        payload: bytes,
        is_line: bool,
    ) -> CheckIn:
        """A check-in of what was read of it. By position: it is made for every message."""
        slug, environment, guid, status, duration_ms, trace_id, config = fields
        start_us = received_us
        if start_s < _MAX_SECONDS:
            started_us = round(start_s * 1e6)
            if started_us < received_us:
                start_us = started_us
        # From here on mypy knows which unit a time has.
        return CheckIn(
            self._projects.get(project_id, 1),
            project_id,
            slug,
            environment,
            guid,
            status,
            duration_ms,
            trace_id,
            config,
            sdk if sdk is None else sdk[:_SDK_CHARACTERS],
            start_us,  # type: ignore[arg-type]
            received_us,  # type: ignore[arg-type]
            clock_minute,  # type: ignore[arg-type]
            topic,
            partition,
            offset,
            source,
            payload,
            None,
            0,
            is_line,
        )


def _raise_dropped(wrapper: Wrapper | _PackedWrapper, payload: bytes) -> None:
    """Raise DroppedCheckIn if that is what the message says."""
    project_id = wrapper.project_id
    if wrapper.message_type == DROPPED and project_id is not UNSET and 0 <= project_id <= MAX_PROJECT_ID:
        sdk = wrapper.sdk if wrapper.sdk is None else wrapper.sdk[: Limit.SDK_CHARACTERS]
        raise DroppedCheckIn(project_id, wrapper.slug, wrapper.reason, payload, sdk)


def read_fields(payload: _Payload) -> Fields | None:
    """The fields of a valid payload; None if it is not valid after all."""
    guid = _guid(payload.check_in_id)
    slug = payload.monitor_slug
    slug = cached_slug(slug) if len(slug) <= MAX_CACHED else slugify(slug)
    status = REPORTED.get(payload.status)
    if guid is None or not slug or status is None:
        return None
    environment = payload.environment
    if not environment or environment == DEFAULT_ENVIRONMENT:
        environment = DEFAULT_ENVIRONMENT
    else:
        environment = intern(environment[:_ENVIRONMENT_KEPT])  # every environment keeps its name
    duration_ms = trace_id = config = None
    if payload.duration is not None:
        duration_ms = parse_duration(payload.duration)
        if duration_ms is None:
            return None
        if duration_ms == NOT_GIVEN:
            duration_ms = None
    if payload.monitor_config is not _NO_CONFIG:
        config = bytes(payload.monitor_config)[: Limit.CONFIG_BYTES + 1]  # one more shows that it is too long
        if config == b"null" or (
            config[0] == _BRACE and (len(config) == len(b"{}") or config[1:-1].isspace())
        ):
            config = None
    contexts = payload.contexts
    if contexts is not None and contexts.trace is not None and contexts.trace.trace_id is not None:
        trace_id = _guid(contexts.trace.trace_id)
        if trace_id is None:
            return None
    return slug, environment, guid, status, duration_ms, trace_id, config


def _guid(text: str) -> bytes | None:
    """What `parse_guid` says; most are 32 digits, and so cost a third."""
    if len(text) == _GUID_DIGITS:
        try:
            guid = _from_hex(text)
        except ValueError:
            return None
        return guid if len(guid) == _GUID_BYTES else None  # blanks were passed over
    return parse_guid(text)


def _read_loosely(check_in: CheckIn, payload: bytes) -> None:
    """Take over what can be, and note the first problem: the guid, then the fields."""
    try:
        fields = _object(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise MalformedMessage("payload: not a JSON object") from None
    guid = parse_guid(fields.get("check_in_id"))
    errors = field_errors(fields)
    if guid is None:
        check_in.problem = _encode({"type": ErrorType.CHECKIN_INVALID_GUID})
    else:
        check_in.guid = guid
        check_in.problem = _encode({"type": ErrorType.CHECKIN_VALIDATION_FAILED, "errors": errors})
    slug, environment = fields.get("monitor_slug"), fields.get("environment")
    if isinstance(slug, str):
        check_in.slug = slugify(slug)
    if isinstance(environment, str) and environment:
        check_in.environment = environment[:_ENVIRONMENT_KEPT]
