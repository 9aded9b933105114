"""The facts of an answer: what is known of one monitor environment at one time. Plain values, no sentences."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from state.ask.why.silenced import Acknowledged, Silenced

MISSED, TIMEOUT, OK, ERROR, UNKNOWN, IN_PROGRESS = (
    "missed",
    "timeout",
    "ok",
    "error",
    "unknown",
    "in_progress",
)
"""The statuses of check-ins, as in `check_ins.status`."""


@dataclass(frozen=True)
class Config:
    """What was asked of the job."""

    schedule_type: str
    schedule: str
    timezone: str
    checkin_margin: int
    """Minutes."""
    max_runtime: int
    """Minutes."""
    failure_threshold: int
    recovery_threshold: int


@dataclass(frozen=True)
class ConfigChange:
    """A config took the place of another."""

    at: datetime
    before: Config
    by: str | None
    """`check_in` or `control`; None: that was not recorded."""
    environment: str | None
    """Of a check-in: the environment that it named."""


@dataclass(frozen=True)
class Verdict:
    """What the flow decided about a result (a row of `run_decisions`), as far as it was known at the time asked for."""

    counted: bool | None
    """None: that waits for the decision about the tick."""
    noticed: datetime
    """Of a miss or a time-out the tick that found it; else when the message was received."""
    waited_until: datetime | None
    """When the tick was decided that it had to wait for; None: it did not wait, or still does."""
    overruled_by: datetime | None
    """If it did not count: when the run began that had the opposite result and began later."""
    incident_id: str | None
    message: str | None
    """What became of the message about it: sent, muted or flapping; None: none was due."""


@dataclass(frozen=True)
class Run:
    """A run of the job, or one that did not come."""

    check_in_id: UUID
    status: str
    """As it was at the time asked for."""
    began: datetime
    """A miss: when it was due."""
    known: datetime
    """When it became what it is: of a miss or a time-out the tick; else when the job reported last."""
    expected: datetime | None
    """What the schedule expected next when it began; None: it was the first."""
    timeout_at: datetime | None
    only_end: bool = False
    """The job reported its end alone, without how long it took: when it began is not known."""
    late_end: datetime | None = None
    """Of a time-out: when the job reported its end after all."""
    failure: Verdict | None = None
    """What was decided about it as a failure."""
    success: Verdict | None = None
    """And as a success: a time-out that ends well has both."""


@dataclass(frozen=True)
class Incident:
    """The newest incident that had been opened by then."""

    incident_id: str
    starting: datetime
    opened: datetime
    """When the threshold was reached."""
    resolved: datetime | None
    """When that was noticed."""
    resolving: Run | None
    """The run that resolved it; None: it is open, a control resolved it, or the run is no longer kept."""
    is_reset: bool
    """A control resolved it."""
    row: tuple[Run, ...]
    """The failures that reached the threshold, in the order in which they counted."""
    later: tuple[Run, ...]
    """Those that counted since."""

    @property
    def is_open(self) -> bool:
        """Whether it was open then."""
        return self.resolved is None


@dataclass(frozen=True)
class Recurrence:
    """Incidents came at the same time of the day, or of the week."""

    count: int
    """Incidents in a row, the newest one among them."""
    weekday: str | None
    """All on this day; None: on different days."""
    hour_minute: str
    """In the monitor's time zone, as `02:00`."""


@dataclass(frozen=True)
class Shift:
    """Runs come about an hour late or early since the clocks were changed."""

    at: datetime
    """When they were changed."""
    where: str
    """In which time zone."""
    is_forward: bool
    is_late: bool
    runs: int
    """How many runs since."""


@dataclass(frozen=True)
class Neighbours:
    """Monitors of the same project whose incidents began within the same half hour, this one among them."""

    first: datetime
    last: datetime
    slugs: tuple[str, ...]


@dataclass(frozen=True)
class Refusals:
    """Check-ins that named the monitor and were rejected."""

    count: int
    since: datetime | None
    """Since when they are counted; None: since ever."""
    newest: datetime
    reasons: tuple[str, ...]
    """Of the newest one, by name."""
    others: tuple[tuple[str, int], ...]
    """Further reasons, and how many have them."""


@dataclass(frozen=True)
class SystemIncident:
    """Check-ins were being lost."""

    start: datetime
    end: datetime | None
    volume: int
    """Check-ins in the minute that decided it."""
    usual: float
    """How many are usual then."""


@dataclass(frozen=True)
class Mute:
    """Nobody is notified of failures."""

    since: datetime | None
    """None: not known."""
    is_by_person: bool
    is_whole_monitor: bool


@dataclass(frozen=True)
class Broken:
    """It has failed for weeks."""

    detected: datetime
    muted: datetime | None


@dataclass(frozen=True)
class Message:
    """The newest message by then."""

    payload_type: str
    at: datetime
    is_flapping: bool


@dataclass(frozen=True)
class Deletion:
    """A control deleted the monitor, or one environment of it."""

    project_id: int
    slug: str
    environment: str | None
    """None: all of it."""
    at: datetime
    position: str
    """Where the control was: topic, partition and offset, or file and line."""


@dataclass(frozen=True)
class Facts:
    """One environment at one time."""

    project_id: int
    slug: str
    environment: str
    at: datetime
    is_now: bool
    """Everything that the snapshot holds is said; `at` is the newest of it."""
    state: str
    """active, ok or error, as in `monitor_environments.status`; or disabled."""
    config: Config
    config_since: datetime
    config_until: datetime | None
    """When it was changed since; None: it still holds."""
    change: ConfigChange | None
    """The change that made the config what it is."""
    created: datetime
    """When the monitor was created."""
    disabled_since: datetime | None
    is_seen: bool
    """Whether any check-in of it was known."""
    incident: Incident | None
    failing: tuple[Run, ...]
    """While no incident is open: the failures in a row that counted, in that order."""
    successes: int
    """While one is open: successes in a row that counted."""
    newest: Run | None
    """The run that ended last."""
    before: tuple[Run, ...]
    """The runs that began before that one, oldest first."""
    overruled: tuple[Run, ...]
    """Results that did not count since the incident began, or of the newest run, oldest first."""
    running: tuple[Run, ...]
    unknown: tuple[Run, ...]
    """Runs that became unknown since the newest one ended."""
    expected: datetime | None
    """What was due next; None: nothing, or it is not known."""
    recurrence: Recurrence | None
    shift: Shift | None
    neighbours: Neighbours | None
    refusals: Refusals | None
    system_incident: SystemIncident | None
    mute: Mute | None
    broken: Broken | None
    message: Message | None
    silence: Silenced | None
    """The silence in which it was; else the last one in which the open incident was."""
    acknowledged: Acknowledged | None
    """What was said last about the open incident."""
    deleted_before: Deletion | None
    """An earlier monitor of the name was deleted."""
