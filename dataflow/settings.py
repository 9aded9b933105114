"""The settings: environment variables with the prefix `CRONWAX_` (SPEC, section 12)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import msgspec
from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from dataflow.monitors.rules import Rules
from dataflow.monitors.volume import VolumeRules

PREFIX = "CRONWAX_"
KAFKA_CLOCK_DELAY_SECONDS = 5.0
"""The event clock's delay with Kafka, unless it is set."""
NEARLY = 0.77
"""How much of a setting's name a variable must have to be taken for a misspelt one (1: all)."""
RetainedTable = Literal["check_ins", "status_changes", "processing_errors", "check_in_samples", "clock_ticks"]
"""Tables that grow for as long as check-ins come."""

_Id = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class SettingsError(Exception):
    """A setting has a wrong value, or one that another setting needs is absent; the text names it, in one line."""


class Settings(BaseSettings):
    """What can be set. Read once at the start; `Settings.load` turns what is wrong into one line."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True)

    source: Literal["demo", "file", "kafka"] = "demo"
    """Where check-ins come from."""
    checkins_path: Path | None = None
    """With `file`: a JSON Lines file, or a folder of them."""
    data_dir: Path = Path("data")
    """Where DuckDB files, messages and dead letters go."""
    projects_path: Path | None = None
    """A JSON object {project id: organization id}; a project that it does not name is of organization 1."""

    rate_limit: int = Field(default=6, ge=1)
    """Check-ins of one environment within one minute of broker time."""
    monitor_seats: int | None = Field(default=None, ge=0)
    """Seats of an organization for which no control set any; unset: no limit."""
    max_monitors_per_organization: int = Field(default=10_000, ge=0)
    max_environments_per_monitor: int = Field(default=1_000, ge=0)
    base_sample_rate: float = Field(default=0.0, ge=0.0, le=1.0)
    """The share of all check-ins whose payload is kept, by guid."""
    sample_new_monitors: bool = True
    """Keep the first payloads of every monitor that a check-in creates or configures anew."""

    volume_anomalies: bool = True
    """Judge each minute by how many check-ins came in it: misses and time-outs while check-ins are being lost are
    not told."""
    volume_minimum: int = Field(default=100, ge=1)
    """Check-ins a minute that must be usual for a minute to be judged at all."""
    volume_abnormal_percent: float = Field(default=10.0, gt=0.0, le=100.0)
    """A shortfall against other days from which a minute is abnormal."""
    volume_incident_percent: float = Field(default=30.0, gt=0.0, le=100.0)
    """A shortfall from which a minute is at the level of a system incident."""
    volume_window: int = Field(default=5, ge=2, le=60)
    """Minutes: so long at most do misses and time-outs wait for the decision, and so long must check-ins come as
    usual for a system incident to be over."""
    early_tolerance_seconds: float = Field(default=0.0, ge=0.0, le=86_400.0)
    """How long before its scheduled time a run may begin and still count for it."""

    flapping_changes: int | None = Field(default=None, ge=1, le=1_000)
    """More changes between ok and error than that within the window are flapping; unset: none ever are."""
    flapping_window: int = Field(default=60, ge=1, le=10_080)
    """The window in minutes."""
    clock_delay_seconds: float | None = Field(default=None, ge=0.0, le=3_600.0)
    """How far the event clock stays behind the broker's: time for check-ins in flight. Unset: 5 with `kafka`, else
    0."""

    key_groups: int = Field(default=64, ge=1, le=4096)
    """Groups that monitors are hashed to; fixed for the life of a recovery store."""
    state_shards: int = Field(default=1, ge=1, le=64)
    """DuckDB writers; fixed for the life of a recovery store."""
    batch_size: int = Field(default=4_096, ge=1, le=100_000)
    """Messages that a source partition hands on at once."""
    publish_interval: float = Field(default=10.0, ge=0.0)
    """Seconds between two published snapshots, at least."""
    history_hot_rows: int = Field(default=500_000, ge=100)
    """Rows of a table that stay in DuckDB before closed hours of it move to Parquet files."""
    retention_days: int | None = Field(default=None, ge=1, le=36_500)
    """Days for which check-ins, messages, errors and samples are kept, by the event clock; unset: for ever."""
    retention_days_by_table: dict[RetainedTable, Annotated[int, Field(ge=1, le=36_500)]] = Field(
        default_factory=dict
    )
    """Other numbers of days for single tables, as one JSON object."""

    kafka_bootstrap_servers: str | None = None
    kafka_config: Annotated[dict[str, Any], NoDecode] = Field(default_factory=dict)
    """Further client options (librdkafka's names) as one JSON object: TLS, SASL, compression."""
    kafka_config_file: Path | None = None
    """The same, from a file: what it names wins."""
    kafka_start: Literal["earliest", "latest"] = "earliest"
    """Where a partition begins that no recovery store knows."""
    kafka_idle_allowance_seconds: float = Field(default=2.0, ge=0.0)
    """How far the clock of an idle partition stays behind the wall clock: time for messages in flight."""
    kafka_delivery_timeout_seconds: float = Field(default=120.0, ge=1.0)
    """How long a message may wait for its delivery, and a broker be away, before the flow stops."""
    checkins_topic: str = "ingest-monitors"
    occurrences_topic: str = "ingest-occurrences"
    dead_letter_topic: str = "ingest-monitors-dlq"
    controls_topic: str = "monitor-controls"
    stall_seconds: float = Field(default=120.0, ge=1.0)
    """The age of the event clock, or of a sink's last success, from which it counts as stalled."""

    @field_validator("kafka_config", mode="before")
    @classmethod
    def _json_object(cls, value: object) -> object:
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                raise ValueError("is no JSON") from None
        if not isinstance(value, dict):
            raise ValueError("must be a JSON object")
        return value

    @model_validator(mode="after")
    def _complete(self) -> Settings:
        if self.source == "file" and self.checkins_path is None:
            raise ValueError("CRONWAX_CHECKINS_PATH must be set when CRONWAX_SOURCE is file")
        if self.source == "kafka" and not self.kafka_bootstrap_servers:
            raise ValueError("CRONWAX_KAFKA_BOOTSTRAP_SERVERS must be set when CRONWAX_SOURCE is kafka")
        if self.volume_incident_percent < self.volume_abnormal_percent:
            raise ValueError(
                "CRONWAX_VOLUME_INCIDENT_PERCENT must not be below CRONWAX_VOLUME_ABNORMAL_PERCENT"
            )
        topics = ("checkins_topic", "controls_topic", "occurrences_topic", "dead_letter_topic")
        if self.source == "kafka" and len({getattr(self, name) for name in topics}) < len(topics):
            names = ", ".join(f"{PREFIX}{name.upper()}" for name in topics)
            raise ValueError(f"{names} must be four different topics")
        return self

    @property
    def rules(self) -> Rules:
        """What is set about the rules."""
        return Rules(
            early_tolerance_us=round(self.early_tolerance_seconds * 1_000_000),
            clock_delay_us=self.clock_delay_us,
            flapping_changes=self.flapping_changes or 0,
            flapping_window_minutes=self.flapping_window,
        )

    @property
    def clock_delay_us(self) -> int:
        """How far a partition's clock stays behind its newest broker timestamp, in µs."""
        delay = self.clock_delay_seconds
        if delay is None:
            delay = KAFKA_CLOCK_DELAY_SECONDS if self.source == "kafka" else 0.0
        return round(delay * 1_000_000)

    @property
    def idle_allowance_us(self) -> int:
        """How far the clock of an idle partition stays behind the wall clock, in µs: never less than any clock does."""
        return max(round(self.kafka_idle_allowance_seconds * 1_000_000), self.clock_delay_us)

    @property
    def gate_groups(self) -> int:
        """Groups that organizations are hashed to: fewer than key groups, as each sends its clock to all of those."""
        return max(1, self.key_groups // 8)

    @property
    def volume_rules(self) -> VolumeRules | None:
        """When too few check-ins are too few; None if nobody is to ask."""
        if not self.volume_anomalies:
            return None
        return VolumeRules(
            self.volume_window,
            self.volume_minimum,
            self.volume_abnormal_percent,
            self.volume_incident_percent,
        )

    @property
    def retention(self) -> dict[str, int]:
        """Days by table, for those whose rows are not kept for ever."""
        days = (
            {} if self.retention_days is None else dict.fromkeys(get_args(RetainedTable), self.retention_days)
        )
        return {**days, **self.retention_days_by_table}

    @classmethod
    def load(cls) -> Settings:
        """Read the environment. Raises SettingsError, one line that names each wrong setting, never its value
        where that may hold a secret. A variable whose name is nearly a setting's counts as one."""
        if misspelt := _misspelt(os.environ, [name.upper() for name in cls.model_fields]):
            raise SettingsError("; ".join(misspelt))
        try:
            return cls()
        except ValidationError as error:
            reasons = [_reason(detail) for detail in error.errors(include_url=False, include_input=False)]
            raise SettingsError("; ".join(reasons)) from None

    def projects(self) -> dict[int, int]:
        """The organizations of the projects named in `projects_path`. Raises SettingsError."""
        if self.projects_path is None:
            return {}
        try:
            return msgspec.json.decode(self.projects_path.read_bytes(), type=dict[_Id, _Id])
        except OSError as error:
            reason = error.strerror
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            reason = f"{error}; it must be a JSON object of project ids and their organizations' ids"
        raise SettingsError(f"CRONWAX_PROJECTS_PATH: {self.projects_path}: {reason}")


def _misspelt(environment: Iterable[str], settings: Sequence[str]) -> list[str]:
    """What to say of variables that would be passed over, although somebody meant a setting by them."""
    said = []
    for variable in sorted(environment):
        name = variable.upper().removeprefix(PREFIX)
        if name != variable.upper() and name not in settings:
            near = get_close_matches(name, settings, 1, NEARLY)
            said += [f"{variable}: there is no such setting; do you mean {PREFIX}{each}?" for each in near]
    return said


def _reason(detail: Any) -> str:
    name = "_".join(str(part) for part in detail["loc"][:1]).upper()
    message = str(detail["msg"]).removeprefix("Value error, ")
    return f"{PREFIX}{name}: {message}" if name else message
