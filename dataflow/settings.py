"""The settings: environment variables with the prefix `CRONWAX_` (SPEC, section 12)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from dataflow.monitors.tuning import Tuning
from dataflow.monitors.volume import VolumeRules
from dataflow.projects import parse_projects
from state.schema.catalogue import RETAINED

PREFIX = "CRONWAX_"
KAFKA_CLOCK_DELAY_SECONDS = 5.0
"""The event clock's delay with Kafka, unless it is set."""
INTAKE_CLOCK_DELAY_SECONDS = 2.0
"""The same with the intake's log, and with a copy of it."""
MAX_LOG_PARTITIONS = 256
LOG_MARKER = "log.json"
"""The file that makes a folder a log of the intake's."""
INTAKE_NAMES = frozenset(
    {
        "INTAKE_HOST",
        "INTAKE_PORT",
        "INTAKE_ROOT_PATH",
        "INTAKE_TRUSTED_PROXIES",
        "INTAKE_MAX_CONNECTIONS",
        "INTAKE_SEGMENT_MIB",
    }
)
"""Settings of the intake, which are its own (cronwax.intake.settings): known here, so that none counts as misspelt."""
NOTIFY_NAMES = frozenset({"NOTIFY_PATH", "NOTIFY_METRICS_PORT"})
"""Those of the notifier (cronwax.notify.settings), in the same way."""
NEARLY = 0.77
"""Minimum similarity (difflib ratio, 0 to 1) at which an unknown variable is reported as a typo."""
SECTIONS = {
    "source": "Where it runs",
    "rate_limit": "Limits and samples",
    "early_tolerance_seconds": "Decisions",
    "volume_anomalies": "When the input itself fails",
    "key_groups": "Size",
    "publish_interval": "Tables",
    "kafka_bootstrap_servers": "Kafka",
    "intake_partitions": "Intake",
}
"""Headings of the settings' reference page, by the setting that each begins at."""


def _retained(name: str) -> str:
    if name not in RETAINED:
        raise ValueError(f"retention knows {', '.join(RETAINED)}")
    return name


def _address(value: str | None) -> str | None:
    host, _, port = (value or "").rpartition(":")
    if value is not None and not (host and port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        raise ValueError("must be HOST:PORT, such as 127.0.0.1:3031")
    return value


def _at_home(path: Path) -> Path:
    return Path(os.path.expanduser(path))


HomePath = Annotated[Path, AfterValidator(_at_home)]
"""A path; `~` is the home folder, though a variable's value has seen no shell."""
RetainedTable = Annotated[str, AfterValidator(_retained)]
"""Tables that grow for as long as check-ins come."""


class SettingsError(Exception):
    """A setting has a wrong value, or one that another setting needs is absent; the text names it, in one line."""


class Settings(BaseSettings):
    """What can be set. Read once at the start; `Settings.load` turns what is wrong into one line."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True, use_attribute_docstrings=True
    )

    source: Literal["demo", "file", "kafka", "intake"] = "demo"
    """Where check-ins come from; `intake`: from the log that `cronwax intake` writes in the data folder."""
    demo_story: Literal["day", "troubles"] = "day"
    """What `demo` simulates: a day of some hundred monitors, or two weeks of ten jobs in trouble (docs/troubles.md)."""
    checkins_path: HomePath | None = None
    """With `file`: a JSON Lines file, a folder of them (one partition per file), or a copy of the intake's log."""
    data_dir: HomePath = Path("data")
    """Folder for the DuckDB files, messages and dead letters."""
    projects_path: HomePath | None = None
    """A JSON file `{project id: organization id}`; a project that it does not name belongs to organization 1.
    The keys that open the intake are in it too (docs/intake.md)."""

    rate_limit: int = Field(default=6, ge=1)
    """Check-ins of one environment within one minute of broker time; more are rejected."""
    monitor_seats: int | None = Field(default=None, ge=0)
    """Seats of an organization, unless a control sets them; unset: no limit."""
    max_monitors_per_organization: int = Field(default=10_000, ge=0)
    """A check-in that would create a monitor beyond this is rejected."""
    max_environments_per_monitor: int = Field(default=1_000, ge=0)
    """A check-in that would create an environment beyond this is rejected."""
    sample_new_monitors: bool = True
    """Keep the first payloads of every monitor that a check-in creates or configures again."""
    base_sample_rate: float = Field(default=0.0, ge=0.0, le=1.0)
    """The share of all check-ins whose payload is kept, chosen by guid."""

    early_tolerance_seconds: float = Field(default=0.0, ge=0.0, le=86_400.0)
    """A run that starts at most this many seconds early counts as that scheduled run. 30 is a good value; 0 is what
    Sentry does."""
    clock_delay_seconds: float | None = Field(default=None, ge=0.0, le=3_600.0)
    """How far the event clock stays behind the broker's timestamps: time for check-ins in flight. Unset: 5 with
    `kafka`, 2 with `intake` and with a copy of its log, else 0."""
    flapping_changes: int | None = Field(default=None, ge=1, le=1_000)
    """More changes between ok and error than this within the window are flapping; unset: nothing flaps."""
    flapping_window: int = Field(default=60, ge=1, le=10_080)
    """The window for flapping, in minutes."""

    volume_anomalies: bool = True
    """Compare each minute's number of check-ins with other days: while check-ins are being lost, misses and time-outs
    are recorded as unknown and nobody is notified."""
    volume_minimum: int = Field(default=100, ge=1)
    """A minute is judged only if at least this many check-ins are usual in it."""
    volume_abnormal_percent: float = Field(default=10.0, gt=0.0, le=100.0)
    """A minute that falls short of other days by this much is abnormal."""
    volume_incident_percent: float = Field(default=30.0, gt=0.0, le=100.0)
    """A minute that falls short by this much can start a system incident."""
    volume_window: int = Field(default=5, ge=2, le=60)
    """Minutes: the longest time that misses and time-outs wait for the decision, and how long check-ins must come as
    usual before a system incident is over."""

    key_groups: int = Field(default=64, ge=1, le=4096)
    """Groups that monitors are hashed to; fixed for the life of a recovery store."""
    state_shards: int = Field(default=1, ge=1, le=64)
    """DuckDB writers; fixed for the life of a data folder."""
    batch_size: int = Field(default=4_096, ge=1, le=100_000)
    """Messages that a source partition hands on at once."""

    accept_other_data: bool = False
    """Go on although data folder, recovery store and published snapshot do not belong together, or the data folder is
    older than they are: what is missing stays missing, and the snapshot is replaced by one that knows less."""
    umask: str = Field(default="077", pattern=r"^0?0[0-7]{2}$")
    """The rights that files and folders made by the flow do not have, in octal. `027` lets a group read them."""
    publish_interval: float = Field(default=10.0, ge=0.0)
    """Shortest time between two published snapshots, in seconds."""
    history_hot_rows: int = Field(default=500_000, ge=100)
    """Rows of a table that stay in DuckDB; beyond that, closed hours move to Parquet files."""
    retention_days: int | None = Field(default=None, ge=1, le=36_500)
    """Days for which check-ins, messages, errors and samples are kept, by the event clock; unset: for ever."""
    retention_days_by_table: Annotated[
        dict[RetainedTable, Annotated[int, Field(ge=1, le=36_500)]], NoDecode
    ] = Field(default_factory=dict)
    """Other numbers of days for single tables, as one JSON object."""

    kafka_bootstrap_servers: str | None = None
    """Brokers as `HOST:PORT,HOST:PORT`; needed with `kafka`."""
    kafka_config: Annotated[dict[str, Any], NoDecode] = Field(default_factory=dict)
    """Further client options (librdkafka's names) as one JSON object: TLS, SASL, compression."""
    kafka_config_file: HomePath | None = None
    """The same from a file; an option in the file overrides the one in `KAFKA_CONFIG`."""
    kafka_start: Literal["earliest", "latest"] = "earliest"
    """Where reading starts in a partition that the recovery store does not know."""
    kafka_accept_replaced_topic: bool = False
    """Keep the state of a recovery store whose positions are of another topic (deleted and created again, or of another
    cluster), and read the topic that is there from `KAFKA_START`. Else the start is refused."""
    kafka_idle_allowance_seconds: float = Field(default=2.0, ge=0.0)
    """How far the clock of an idle partition stays behind the wall clock: time for messages in flight. It is never
    less than `CLOCK_DELAY_SECONDS`."""
    kafka_delivery_timeout_seconds: float = Field(default=120.0, ge=1.0)
    """How long a message may wait for its delivery, and a broker may be away, before the flow stops."""
    checkins_topic: str = "ingest-monitors"
    """Topic of check-ins (in)."""
    controls_topic: str = "monitor-controls"
    """Topic of controls (in)."""
    occurrences_topic: str = "ingest-occurrences"
    """Topic of messages (out)."""
    dead_letter_topic: str = "ingest-monitors-dlq"
    """Topic of dead letters (out)."""
    dead_letter_max_bytes: int = Field(default=900_000, ge=1_000, le=100_000_000)
    """What is larger is cut to this in the dead-letter topic, and kept whole below `DATA_DIR`. Where the topic's own
    `max.message.bytes` is lower, that holds."""
    stall_seconds: float = Field(default=120.0, ge=1.0)
    """A clock or a sink that is late by more than this counts as stalled."""
    probe_address: Annotated[str | None, AfterValidator(_address)] = None
    """`HOST:PORT` at which a process with `kafka` or `intake` answers /healthz, /readyz and /metrics; one for each
    process. Unset: nowhere."""

    intake_partitions: int = Field(default=4, ge=1, le=MAX_LOG_PARTITIONS)
    """Partitions of the intake's log, when it is made."""
    intake_retention_hours: float = Field(default=24.0, ge=0.0, le=876_000.0)
    """Hours for which segments of the intake's log are kept, at least, once the flow has read them."""

    @field_validator("kafka_config", "retention_days_by_table", mode="before")
    @classmethod
    def _json_object(cls, value: object) -> object:
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                raise ValueError("is not valid JSON") from None
        if not isinstance(value, dict):
            raise ValueError("must be a JSON object")
        return value

    @model_validator(mode="after")
    def _complete(self) -> Settings:
        if self.source == "file" and self.checkins_path is None:
            raise ValueError("CRONWAX_CHECKINS_PATH must be set when CRONWAX_SOURCE is file")
        if self.source == "demo" and self.checkins_path is not None:
            raise ValueError(
                "CRONWAX_CHECKINS_PATH is set, but CRONWAX_SOURCE is demo: set CRONWAX_SOURCE=file to read it"
            )
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
    def tuning(self) -> Tuning:
        """The parameters of the rules."""
        return Tuning(
            early_tolerance_us=round(self.early_tolerance_seconds * 1_000_000),
            clock_delay_us=self.clock_delay_us,
            flapping_changes=self.flapping_changes or 0,
            flapping_window_minutes=self.flapping_window,
        )

    @property
    def demo_story_topic(self) -> str | None:
        """The topic of what the demo simulates; None: the source is another."""
        if self.source != "demo":
            return None
        return "demo" if self.demo_story == "day" else self.demo_story

    @property
    def reads_log(self) -> bool:
        """Whether check-ins come from the intake's log, or from a copy of it."""
        if self.source == "file":
            return self.checkins_path is not None and (self.checkins_path / LOG_MARKER).is_file()
        return self.source == "intake"

    @property
    def clock_delay_us(self) -> int:
        """How far a partition's clock stays behind its newest broker timestamp, in µs."""
        delay = self.clock_delay_seconds
        if delay is None:
            if self.source == "kafka":
                delay = KAFKA_CLOCK_DELAY_SECONDS
            else:
                delay = INTAKE_CLOCK_DELAY_SECONDS if self.reads_log else 0.0
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
        days = {} if self.retention_days is None else dict.fromkeys(RETAINED, self.retention_days)
        return {**days, **self.retention_days_by_table}

    @classmethod
    def load(cls) -> Settings:
        """Read the environment. Raises SettingsError, one line that names each wrong setting, never its value
        where that may hold a secret. A variable whose name is nearly a setting's counts as one."""
        if misspelt := misspelt_settings(os.environ):
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
            projects = parse_projects(self.projects_path.read_bytes())
        except OSError as error:
            reason = error.strerror
        except ValueError as error:
            reason = f"{error}; it must be a JSON object of project ids and their organizations' ids"
        else:
            return {number: project.organization for number, project in projects.items()}
        raise SettingsError(f"CRONWAX_PROJECTS_PATH: {self.projects_path}: {reason}")


def misspelt_settings(environment: Iterable[str]) -> list[str]:
    """What to say of variables that would be passed over, although somebody meant a setting by them."""
    settings = [*(name.upper() for name in Settings.model_fields), *sorted(INTAKE_NAMES | NOTIFY_NAMES)]
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
