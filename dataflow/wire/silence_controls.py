"""The controls that silence and acknowledge: what they may hold, and the silence that is made of one."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from dataflow.monitors import identity
from dataflow.monitors.check_in import DEFAULT_ENVIRONMENT
from dataflow.monitors.fields import MAX_PROJECT_ID, slugify
from dataflow.monitors.limits import Limit
from dataflow.monitors.silences import MAINTENANCE, SNOOZE, InvalidSilence, Silence, windows
from dataflow.monitors.time_texts import from_datetime, parse_time
from dataflow.monitors.times import MINUTE_US, Microseconds
from state.zones import load_zone, zone_names

_DAY_US = 86_400_000_000
_TIME = "must be an ISO 8601 time or epoch seconds"


def _slug(value: object) -> str:
    if not isinstance(value, str) or not slugify(value):
        raise ValueError("must be the slug of a monitor")
    return slugify(value)


def _environment(value: object) -> object:
    return DEFAULT_ENVIRONMENT if value == "" else value


def _glob(value: str | None) -> str | None:
    if value is not None and any(character in value for character in "[]\\"):
        raise ValueError("must be a name, in which * stands for any text and ? for any character")
    return value


def _zone(value: str) -> str:
    if value not in zone_names():
        raise ValueError("must be an IANA time zone such as Europe/Vienna")
    return value


ProjectId = Annotated[int, Field(ge=0, le=MAX_PROJECT_ID)]
OrganizationId = Annotated[int, Field(ge=0, le=MAX_PROJECT_ID)]
Slug = Annotated[str, BeforeValidator(_slug)]
EnvironmentName = Annotated[
    Annotated[str, Field(max_length=Limit.ENVIRONMENT_CHARACTERS)] | None, BeforeValidator(_environment)
]
_Glob = Annotated[str, Field(min_length=1, max_length=Limit.GLOB_CHARACTERS), AfterValidator(_glob)]
_SilenceId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
_Who = Annotated[str, Field(min_length=1, max_length=Limit.WHO_CHARACTERS)]
_Note = Annotated[str, Field(max_length=Limit.NOTE_CHARACTERS)]


class ControlBody(BaseModel):
    """What all controls have in common: keys of other types than expected are refused, unknown ones ignored."""

    # Built when the first one comes: at the import, all of them take as long as half of the engine's.
    model_config = ConfigDict(strict=True, extra="ignore", defer_build=True)


class AcknowledgeIncident(ControlBody):
    """Somebody knows of an open incident, or says that they do not see to it after all."""

    type: Literal["acknowledge_incident"]
    project_id: ProjectId
    monitor_slug: Slug
    environment: EnvironmentName = DEFAULT_ENVIRONMENT
    incident_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = None
    who: _Who
    note: _Note | None = None
    acknowledged: bool = True


class Snooze(ControlBody):
    """Nobody is notified about a project, a monitor or an environment until a time."""

    type: Literal["snooze"]
    project_id: ProjectId
    monitor_slug: Slug | None = None
    environment: Annotated[EnvironmentName, AfterValidator(_glob)] = None
    until: Any
    silence_id: _SilenceId | None = None
    who: _Who | None = None
    note: _Note | None = None


class _OfOrganization(ControlBody):
    project_id: ProjectId | None = None
    organization_id: OrganizationId | None = None

    @model_validator(mode="after")
    def _names_one(self) -> _OfOrganization:
        if (self.project_id is None) == (self.organization_id is None):
            raise ValueError("needs project_id or organization_id, one of them")
        return self


class Maintenance(_OfOrganization):
    """Nobody is notified in its windows; and with `misses_count` false no miss and no time-out counts."""

    type: Literal["maintenance"]
    slug: _Glob | None = None
    environment: _Glob | None = None
    owner: _Glob | None = None
    start: Any
    end: Any = None
    rrule: Annotated[str, Field(min_length=1, max_length=Limit.RRULE_CHARACTERS)] | None = None
    duration_minutes: Annotated[int, Field(ge=1, le=Limit.WINDOW_MINUTES)] | None = None
    timezone: Annotated[str, AfterValidator(_zone)] = "UTC"
    misses_count: bool = True
    silence_id: _SilenceId | None = None
    who: _Who | None = None
    note: _Note | None = None


class EndSilence(_OfOrganization):
    """A snooze or a maintenance is over now."""

    type: Literal["end_silence"]
    silence_id: _SilenceId


def snooze_of(
    body: Snooze, organization_id: int, received_us: Microseconds, place: tuple[str, int, int]
) -> Silence:
    """The silence that a snooze is. Raises InvalidSilence."""
    until_us = _moment(body.until, "until", "UTC")
    _check_end(received_us, until_us, received_us, "until")
    return Silence(
        id=body.silence_id or identity.silence_id(*place),
        kind=SNOOZE,
        organization_id=organization_id,
        announced_us=received_us,
        start_us=received_us,
        duration_us=until_us - received_us,
        project_id=body.project_id,
        slug=body.monitor_slug,
        environment=body.environment,
        who=body.who,
        note=body.note,
    )


def maintenance_of(
    body: Maintenance, organization_id: int, received_us: Microseconds, place: tuple[str, int, int]
) -> Silence:
    """The silence that a maintenance is. Raises InvalidSilence."""
    start_us = _moment(body.start, "start", body.timezone)
    if start_us < received_us - Limit.SILENCE_PAST_DAYS * _DAY_US:
        raise InvalidSilence(f"start: must not be more than {Limit.SILENCE_PAST_DAYS} days past")
    if start_us > received_us + Limit.SILENCE_DAYS * _DAY_US and received_us:
        raise InvalidSilence(f"start: must be within {Limit.SILENCE_DAYS} days")
    if body.rrule is None:
        if body.end is None or body.duration_minutes is not None:
            raise InvalidSilence("needs start and end; or start, rrule and duration_minutes")
        end_us = _moment(body.end, "end", body.timezone)
        _check_end(start_us, end_us, received_us, "end")
        duration_us = end_us - start_us
    else:
        if body.end is not None or body.duration_minutes is None:
            raise InvalidSilence("with rrule needs duration_minutes, and no end (UNTIL in the rule is one)")
        duration_us = body.duration_minutes * MINUTE_US
        if windows(start_us, duration_us, body.rrule, body.timezone)[-1][1] <= received_us:
            raise InvalidSilence("rrule: its last window is over already")
    return Silence(
        id=body.silence_id or identity.silence_id(*place),
        kind=MAINTENANCE,
        organization_id=organization_id,
        announced_us=received_us,
        start_us=start_us,
        duration_us=duration_us,
        project_id=body.project_id,
        slug=body.slug,
        environment=body.environment,
        owner=body.owner,
        misses_count=body.misses_count,
        rrule=body.rrule,
        zone=body.timezone,
        who=body.who,
        note=body.note,
    )


def _moment(value: object, key: str, zone: str) -> Microseconds:
    """A time in µs; one without an offset is on the clocks of the zone. Raises InvalidSilence."""
    time_us = None
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value.strip())
            time_us = from_datetime(
                moment if moment.tzinfo is not None else moment.replace(tzinfo=load_zone(zone))
            )
        except (ValueError, OverflowError):
            time_us = None
    else:
        time_us = parse_time(value)
    if time_us is None:
        raise InvalidSilence(f"{key}: {_TIME}")
    return Microseconds(time_us)


def _check_end(start_us: int, end_us: int, received_us: int, key: str) -> None:
    if end_us <= start_us and key != "until":
        raise InvalidSilence(f"{key}: must be after start")
    if end_us <= received_us:
        raise InvalidSilence(f"{key}: is past already")
    if end_us - start_us > Limit.SILENCE_DAYS * _DAY_US and received_us:
        raise InvalidSilence(f"{key}: must be within {Limit.SILENCE_DAYS} days")
