"""What is asked of a monitor's job: its config, and reading one from JSON (SPEC, section 3)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from dataflow.monitors.crontab import normalise
from dataflow.monitors.limits import Limit
from dataflow.monitors.schedule import NEVER, Schedule, schedule_for
from state.zones import zone_names

DEFAULT_MARGIN_MINUTES = 1
DEFAULT_MAX_RUNTIME_MINUTES = 30
DEFAULT_ZONE = "UTC"
DEFAULT_THRESHOLD = 1
MAX_RUNTIME_MINUTES = 40_320
"""28 days."""
MAX_THRESHOLD = 720
MAX_NUMBER = {
    "year": 1_000,
    "month": 12_000,
    "week": 52_000,
    "day": 365_000,
    "hour": 8_760_000,
    "minute": 525_600_000,
}
"""The longest interval in each unit: a thousand years, so that every next time can be written down."""
MAX_MARGIN_MINUTES = MAX_NUMBER["minute"]
_CACHED_BYTES = 4_096
"""Texts longer than this are not kept in memory."""
_OWNER = re.compile(
    r"(?:user|team):(?:[\w-]{1,64}|[\w.+%'-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)", re.ASCII
)
_MAX_OWNER_LENGTH = 320
_MAX_DIGITS = 20
_DIGITS = re.compile(r"\s*[0-9]+\s*", re.ASCII)


class MonitorConfig(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The config of a monitor as it is stored: what was never named, or named null, is None."""

    schedule_type: str
    """`crontab` or `interval`."""
    schedule: str
    """`*/5 * * * *` or `10 minute`."""
    timezone: str | None = None
    """The IANA name of the time zone."""
    checkin_margin: int | None = None
    """Minutes after the expected time at which a check-in is missed."""
    max_runtime: int | None = None
    """Minutes that a check-in may be in progress."""
    failure_issue_threshold: int | None = None
    """Failing check-ins in a row that open an incident."""
    recovery_threshold: int | None = None
    """Successes in a row that resolve it."""

    @property
    def margin_minutes(self) -> int:
        """The margin that holds, in minutes."""
        return self.checkin_margin or DEFAULT_MARGIN_MINUTES

    @property
    def max_runtime_minutes(self) -> int:
        """The longest run that holds, in minutes."""
        return self.max_runtime or DEFAULT_MAX_RUNTIME_MINUTES

    @property
    def zone(self) -> str:
        """The name of the time zone that holds."""
        return self.timezone or DEFAULT_ZONE

    @property
    def failure_threshold(self) -> int:
        """Failing check-ins in a row that open an incident."""
        return self.failure_issue_threshold or DEFAULT_THRESHOLD

    @property
    def recovery_count(self) -> int:
        """Successes in a row that resolve an incident."""
        return self.recovery_threshold or DEFAULT_THRESHOLD

    def is_timed_as(self, other: MonitorConfig) -> bool:
        """Whether check-ins are expected at the same times."""
        return (self.schedule_type, self.schedule, self.zone, self.margin_minutes) == (
            other.schedule_type,
            other.schedule,
            other.zone,
            other.margin_minutes,
        )

    def timing(self) -> Schedule:
        """When check-ins are expected. Raises ValueError or KeyError for a config that never was valid."""
        return schedule_for(self.schedule_type, self.schedule, self.zone)

    def timing_or_never(self) -> Schedule:
        """When check-ins are expected; never by a config that an earlier release accepted and this one does not."""
        try:
            return self.timing()
        except (ValueError, KeyError):
            return NEVER


@lru_cache(maxsize=65_536)
def shared(config: MonitorConfig) -> MonitorConfig:
    """The one object for all configs that are equal: many monitors ask for the same, and several steps know each."""
    return config


@dataclass(slots=True)
class ConfigUpdate:
    """What one text asks for. Shared by all who read the same text: not to be changed."""

    changes: dict[str, Any]
    """Fields of MonitorConfig by name: type, schedule, and what else the text named (null is None)."""
    owner: str | None
    """`user:...` or `team:...`; None leaves the owner as it is."""
    _unchanged: MonitorConfig | None = field(default=None, init=False, repr=False, compare=False)
    """The last config that this changed nothing in: that of most monitors that send it, as they share one."""

    def merged_into(self, old: MonitorConfig | None) -> MonitorConfig:
        """The old config with the changes, the same object if nothing changes; without an old one, a new config."""
        if old is None:
            return shared(MonitorConfig(**self.changes))
        if old is self._unchanged:
            return old
        for name, value in self.changes.items():
            if getattr(old, name) != value:
                return shared(msgspec.structs.replace(old, **self.changes))
        self._unchanged = old
        return old


@dataclass(frozen=True, slots=True)
class InvalidConfig:
    """A text that is not a valid config. Shared by all who read the same text: not to be changed."""

    errors: dict[str, list[str]]
    """By field, what is wrong with it."""


def parse_config(text: bytes) -> ConfigUpdate | InvalidConfig:
    """Read the JSON text of a monitor_config. Raises nothing, whatever the bytes."""
    return _parse_cached(text) if len(text) <= _CACHED_BYTES else _parse(text)


def _zone(name: str | None) -> str | None:
    if name and name not in zone_names():
        raise ValueError("must be the IANA name of a time zone")
    return name


def _whole_number(value: object) -> object:
    """A number that is whole, however it is written."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and len(value) <= _MAX_DIGITS and _DIGITS.fullmatch(value):
        return int(value)
    return value


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class _Crontab(_Part):
    type: Literal["crontab"]
    value: Annotated[str, AfterValidator(normalise)]

    def stored(self) -> str:
        return self.value


class _Interval(_Part):
    type: Literal["interval"]
    value: Annotated[int, BeforeValidator(_whole_number), Field(gt=0)]
    unit: Literal["year", "month", "week", "day", "hour", "minute"]

    @model_validator(mode="after")
    def _can_be_written_down(self) -> _Interval:
        if self.value > MAX_NUMBER[self.unit]:
            raise ValueError(f"must be at most {MAX_NUMBER[self.unit]} {self.unit}s")
        return self

    def stored(self) -> str:
        return f"{self.value} {self.unit}"


Threshold = Annotated[int, Field(ge=1, le=MAX_THRESHOLD)]


class _Payload(_Part):
    """A monitor_config, in either form."""

    schedule: Annotated[_Crontab | _Interval, Field(discriminator="type")]
    timezone: Annotated[str | None, AfterValidator(_zone)] = None
    checkin_margin: Annotated[int, Field(ge=0, le=MAX_MARGIN_MINUTES)] | None = None
    max_runtime: Annotated[int, Field(ge=1, le=MAX_RUNTIME_MINUTES)] | None = None
    failure_issue_threshold: Threshold | None = None
    recovery_threshold: Threshold | None = None
    owner: Any = None

    @model_validator(mode="before")
    @classmethod
    def _older_form(cls, value: dict[str, Any]) -> dict[str, Any]:
        """Turn `schedule_type` beside `schedule` into an object."""
        schedule = value.get("schedule")
        if "schedule_type" not in value or isinstance(schedule, dict):
            return value
        as_object = {"type": value["schedule_type"], "value": schedule}
        if as_object["type"] == "interval" and isinstance(schedule, list) and len(schedule) == 2:
            as_object["value"], as_object["unit"] = schedule
        return {**value, "schedule": as_object}


def _parse(text: bytes) -> ConfigUpdate | InvalidConfig:
    if len(text) > Limit.CONFIG_BYTES:
        return InvalidConfig({"monitor_config": [f"must not be longer than {Limit.CONFIG_BYTES} bytes"]})
    try:
        value = msgspec.json.decode(text)
        if not isinstance(value, dict):
            return InvalidConfig({"monitor_config": ["must be a JSON object"]})
        payload = _Payload.model_validate(value)
    except ValidationError as error:
        return InvalidConfig(_reasons(error))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return InvalidConfig({"monitor_config": ["must be valid JSON"]})
    named = payload.model_fields_set - {"schedule", "owner"}
    changes: dict[str, Any] = {"schedule_type": payload.schedule.type, "schedule": payload.schedule.stored()}
    changes |= {name: getattr(payload, name) for name in sorted(named)}
    if changes.get("timezone") == "":
        del changes["timezone"]
    if changes.get("checkin_margin") == 0:
        changes["checkin_margin"] = 1
    return ConfigUpdate(changes, _owner(payload.owner))


_parse_cached = lru_cache(maxsize=65_536)(_parse)


def _owner(value: Any) -> str | None:
    if isinstance(value, str) and len(value) <= _MAX_OWNER_LENGTH and _OWNER.fullmatch(value):
        return value
    return None


def _reasons(error: ValidationError) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for detail in error.errors(include_url=False, include_input=False, include_context=False):
        field, *inner = detail["loc"]
        message = detail["msg"].removeprefix("Value error, ")
        if detail["type"].startswith("union_tag"):  # pydantic's text repeats the input, however long
            message = "type: must be crontab or interval"
        # The type of schedule that pydantic went by is part of the place, but not of the text.
        where = [str(part) for part in inner if part not in ("crontab", "interval")]
        reasons.setdefault(str(field), []).append(": ".join([*where, message]))
    return reasons
