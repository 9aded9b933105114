"""Controls in: JSON objects that say what people decided (SPEC, section 8), validated with pydantic."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal

import msgspec
from pydantic import Field, TypeAdapter, ValidationError

from dataflow.monitors.check_in import DEFAULT_ENVIRONMENT, Control
from dataflow.monitors.config import InvalidConfig, parse_config
from dataflow.monitors.errors import ErrorType
from dataflow.monitors.limits import Limit
from dataflow.monitors.silences import InvalidSilence
from dataflow.monitors.times import Microseconds, Minute
from dataflow.sampling.rule_request import InvalidRule, parse_rule
from dataflow.wire.check_ins import Place
from dataflow.wire.silence_controls import (
    AcknowledgeIncident,
    ControlBody,
    EndSilence,
    EnvironmentName,
    Maintenance,
    OrganizationId,
    ProjectId,
    Slug,
    Snooze,
    maintenance_of,
    snooze_of,
)

MAX_SEATS = 2**63 - 1
"""What a snapshot can hold."""


class InvalidControl(Exception):  # noqa: N818 - the name of the error type
    """The control cannot be applied; `errors` is what to record."""

    def __init__(self, **details: Any) -> None:
        super().__init__(str(details))
        self.errors: list[dict[str, Any]] = [{"type": ErrorType.INVALID_CONTROL, **details}]


class _UpsertMonitor(ControlBody):
    type: Literal["upsert_monitor"]
    project_id: ProjectId
    monitor_slug: Slug
    monitor_config: dict[str, Any]
    name: Annotated[str, Field(min_length=1, max_length=Limit.NAME_CHARACTERS)] | None = None


class _SetMonitorStatus(ControlBody):
    type: Literal["set_monitor_status"]
    project_id: ProjectId
    monitor_slug: Slug
    status: Literal["active", "disabled"]


class _Mute(ControlBody):
    type: Literal["mute"]
    project_id: ProjectId
    monitor_slug: Slug
    environment: EnvironmentName = None
    muted: bool


class _DeleteMonitor(ControlBody):
    type: Literal["delete_monitor"]
    project_id: ProjectId
    monitor_slug: Slug
    environment: EnvironmentName = None


class _Reset(ControlBody):
    type: Literal["reset"]
    project_id: ProjectId
    monitor_slug: Slug
    environment: EnvironmentName = None


class _SetKillswitch(ControlBody):
    type: Literal["set_killswitch"]
    organization_id: OrganizationId
    enabled: bool


class _SetSeats(ControlBody):
    type: Literal["set_seats"]
    organization_id: OrganizationId
    seats: Annotated[int, Field(ge=0, le=MAX_SEATS)] | None


class _UpsertSamplingRule(ControlBody):
    """The rule itself is read by `dataflow.sampling.rule_request`."""

    type: Literal["upsert_sampling_rule"]
    organization_id: OrganizationId


_AnyControl = Annotated[
    _UpsertMonitor
    | _SetMonitorStatus
    | _Mute
    | _DeleteMonitor
    | _Reset
    | _SetKillswitch
    | _SetSeats
    | _UpsertSamplingRule
    | Snooze
    | Maintenance
    | EndSilence
    | AcknowledgeIncident,
    Field(discriminator="type"),
]


@cache
def _adapter() -> TypeAdapter[Any]:
    return TypeAdapter(_AnyControl)


class _Configured(msgspec.Struct, gc=False):
    monitor_config: msgspec.Raw


_config = msgspec.json.Decoder(_Configured).decode


class ControlDecoder:
    """Decodes controls; knows which organization a project belongs to."""

    def __init__(self, projects: dict[int, int]) -> None:
        self._projects = projects

    def decode(self, text: bytes, place: Place) -> Control:
        """A control from JSON text. Raises InvalidControl."""
        if len(text) > Limit.CONTROL_BYTES:
            raise InvalidControl(reason=f"must not be longer than {Limit.CONTROL_BYTES} bytes")
        try:
            value = msgspec.json.decode(text)
            body = _adapter().validate_python(value)
        except ValidationError as error:
            raise InvalidControl(errors=_reasons(error)) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidControl(reason=str(error)) from None
        control = self._control(body, text, place)
        if isinstance(body, _UpsertMonitor):
            control.config, control.name = _valid_config(text), body.name
        elif isinstance(body, _SetMonitorStatus):
            control.status = body.status
        elif isinstance(body, _Mute):
            control.flag, control.environment = body.muted, body.environment
        elif isinstance(body, _DeleteMonitor | _Reset):
            control.environment = body.environment
        elif isinstance(body, _SetKillswitch):
            control.flag = body.enabled
        elif isinstance(body, _SetSeats):
            control.seats = body.seats
        elif isinstance(body, _UpsertSamplingRule):
            _check_rule(value)
            control.rule = text
        else:
            _take_over(body, control)
        return control

    def _control(self, body: Any, text: bytes, place: Place) -> Control:
        project_id = getattr(body, "project_id", None)
        return Control(
            body.type,
            body.organization_id if project_id is None else self._projects.get(project_id, 1),
            Microseconds(place.received_us),
            Minute(place.clock_minute),
            place.topic,
            place.partition,
            place.offset,
            text,
            project_id,
            getattr(body, "monitor_slug", None),
        )


def _take_over(body: Snooze | Maintenance | EndSilence | AcknowledgeIncident, control: Control) -> None:
    """What silences and acknowledgements hold. Raises InvalidControl."""
    if isinstance(body, EndSilence):
        control.silence_id = body.silence_id
        return
    if isinstance(body, AcknowledgeIncident):
        control.flag, control.environment = body.acknowledged, body.environment or DEFAULT_ENVIRONMENT
        control.incident_id, control.who, control.note = body.incident_id, body.who, body.note
        return
    place = (control.topic, control.partition, control.offset)
    given = (control.organization_id, control.received_us, place)
    try:
        if isinstance(body, Snooze):
            control.environment = body.environment
            control.silence = snooze_of(body, *given)
        else:
            control.silence = maintenance_of(body, *given)
    except InvalidSilence as error:
        raise InvalidControl(reason=str(error)) from None


def _valid_config(text: bytes) -> bytes:
    """The config as it stands in the control's text: written again, a number of a key that is ignored might not fit."""
    config = bytes(_config(text).monitor_config)
    parsed = parse_config(config)
    if isinstance(parsed, InvalidConfig):
        raise InvalidControl(errors={f"monitor_config.{field}": why for field, why in parsed.errors.items()})
    return config


def _check_rule(value: dict[str, Any]) -> None:
    try:
        parse_rule(value)
    except InvalidRule as error:
        raise InvalidControl(reason=str(error)) from None


def _reasons(error: ValidationError) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for detail in error.errors(include_url=False, include_input=False):
        place = detail["loc"][1:] if detail["type"] != "union_tag_invalid" else ("type",)
        name = ".".join(map(str, place)) or "type"
        reasons.setdefault(name, []).append(detail["msg"])
    return reasons
