"""The running state of monitors and their environments."""

from __future__ import annotations

from enum import IntEnum

import msgspec

from dataflow.monitors.check_in import NO_MINUTE
from dataflow.monitors.config import MonitorConfig, shared
from dataflow.monitors.guid_filter import GuidFilter
from dataflow.monitors.rules import USUAL_RULES, Rules
from dataflow.monitors.schedule import Schedule, schedule_for

NO_TIME = -1
"""Stands for "never", in µs."""
FAR_MINUTE = 2**41
"""A minute that is never reached: the deadline of what has none."""
SPREAD = -1
"""Stands for "several partitions"."""
REMEMBERED_GUIDS = 50
"""Finished check-ins per environment that are still known by their guid (SPEC, section 7)."""
_GUID_BYTES = 16
_MANY_ENVIRONMENTS = 16
"""A monitor that has more does not ask each of them for every new guid."""


class EnvironmentStatus(IntEnum):
    """What an environment looks like to the person who is on call."""

    ACTIVE = 0
    """Nothing finished yet."""
    OK = 1
    """The last result that counted was a success, or too few failed in a row."""
    ERROR = 2
    """An incident is open."""


ENVIRONMENT_STATUS_NAMES = tuple(status.name.lower() for status in EnvironmentStatus)


class Run(msgspec.Struct, array_like=True, gc=False):
    """A check-in that may still change: in progress, timed out, or unknown."""

    guid: bytes
    status: int
    date_added_us: int
    date_updated_us: int
    expected_minute: int
    timeout_minute: int
    due_minute: int
    """The first tick at which the time-out may fire: that of timeout_minute, or the first after it was set."""
    duration_ms: int | None
    trace_id: bytes | None
    first_tick: int = NO_MINUTE
    """The first tick that finds it in progress."""
    lost_in: int = NO_MINUTE
    """The first minute of the system incident that made it unknown; NO_MINUTE: none did."""


class Incident(msgspec.Struct, array_like=True, gc=False):
    """An open incident."""

    id: str
    fingerprint: str
    starting_guid: bytes
    starting_us: int
    failing: int = 0
    """Its newest check-ins in a row that fail, as far as `monitors.broken` counts."""
    watched_minute: int = NO_MINUTE
    """From when on it counts as open for that; NO_MINUTE: from its start."""
    broken_minute: int = NO_MINUTE
    """When it was found to be of a broken monitor; NO_MINUTE: it was not."""
    muted_minute: int = NO_MINUTE
    """When the environment was muted for that; NO_MINUTE: it was not."""
    holds_mute: bool = False
    """The environment is muted by that, and by nobody else."""
    due_minute: int = FAR_MINUTE
    """The tick at which the next of these is due; FAR_MINUTE: none is."""


class Failure(msgspec.Struct, array_like=True, gc=False):
    """One failing check-in of the row that leads up to an incident."""

    guid: bytes
    date_added_us: int
    status: int


class Held(msgspec.Struct, array_like=True, gc=False):
    """A failure that no job reported and whose tick is pending, or a success behind one (`monitors.holding`)."""

    run: Run
    at_us: int
    """When it was noticed."""
    tick: int = NO_MINUTE
    """Of a failure, the tick at which it was noticed; NO_MINUTE: it is a success."""
    last_ok_us: int = NO_TIME
    """Of a failure, the environment's newest success at that time."""
    counts: bool = True
    """It counts if it is settled as a failure; False: the job has been seen since, it is only written down."""
    late_ok: bool = False
    """The run, a time-out, was reported to be ok after all."""


class Flapping(msgspec.Struct, array_like=True, gc=False):
    """How often an environment changed of late, and what waits while it flaps."""

    changes: list[int]
    """The minutes of its latest changes between ok and error, oldest first."""
    calm_minute: int = FAR_MINUTE
    """The first minute at which it no longer flaps; FAR_MINUTE: it does not flap."""
    told: Incident | None = None
    """The incident of the occurrence that said so."""
    resolving_guid: bytes | None = None
    """The check-in that resolved that one since."""
    failing_guid: bytes | None = None
    """The newest check-in that counted as a failure; its trace, and the statuses that it would be told with."""
    failing_trace_id: bytes | None = None
    kinds: tuple[int, ...] = ()

    @property
    def is_flapping(self) -> bool:
        """Whether messages wait."""
        return self.calm_minute != FAR_MINUTE


class Environment(msgspec.Struct, array_like=True, gc=False):
    """One monitor environment."""

    name: str
    status: int = EnvironmentStatus.ACTIVE
    is_muted: bool = False
    last_checkin_us: int = NO_TIME
    next_minute: int = NO_MINUTE
    latest_minute: int = FAR_MINUTE
    """`next_checkin_latest`; FAR_MINUTE if nothing is expected."""
    due_minute: int = FAR_MINUTE
    """The first tick at which a miss may fire: that of latest_minute, or the first after it was set."""
    runs: dict[bytes, Run] | None = None
    """In progress, by guid."""
    settled: dict[bytes, Run] | None = None
    """Timed out or unknown, by guid, oldest first: they still take a late result."""
    finished: bytes = b""
    """The guids of the newest ok, error and missed check-ins, oldest first."""
    failures: list[Failure] | None = None
    """The failing check-ins in a row while no incident is open."""
    oks: int = 0
    """The successes in a row while an incident is open."""
    incident: Incident | None = None
    last_ok_us: int = NO_TIME
    """date_added of the newest success."""
    newest_result_us: int = NO_TIME
    """date_added of the newest check-in that the job itself finished."""
    source: int | None = None
    """The partition that its check-ins come from; SPREAD if there are several."""
    scheduled_minute: int = FAR_MINUTE
    """The minute of this environment's entry among its key group's deadlines."""
    held: list[Held] | None = None
    """What has not counted yet, in order; the first is a failure."""
    flapping: Flapping | None = None

    def earliest_due(self) -> int:
        """The first tick at which something of this environment fires."""
        due = self.due_minute
        if self.runs:
            for run in self.runs.values():
                if run.due_minute < due:
                    due = run.due_minute
        if self.flapping is not None or self.incident is not None:
            return min(due, self.wait_minute())
        return due

    def may_fire_before(self, minute: int) -> bool:
        """Whether `earliest_due` may be before that minute: told fast, and False is certain."""
        return (
            self.due_minute < minute
            or self.runs is not None
            or self.incident is not None
            or self.flapping is not None
        )

    def wait_minute(self) -> int:
        """The first tick that ends a wait: it no longer flaps, or it is found broken, or muted for that."""
        calm = self.flapping.calm_minute if self.flapping is not None else FAR_MINUTE
        return min(calm, self.incident.due_minute) if self.incident is not None else calm

    @property
    def is_flapping(self) -> bool:
        """Whether messages wait until it is calm."""
        return self.flapping is not None and self.flapping.is_flapping

    def plan(self, next_minute: int, margin_minutes: int, first_tick: int) -> None:
        """Expect the next check-in at `next_minute`; a miss fires at `first_tick` at the earliest."""
        self.next_minute = next_minute
        latest = next_minute + margin_minutes
        self.latest_minute = latest
        self.due_minute = latest if latest > first_tick else first_tick

    def remember(self, guid: bytes) -> None:
        """Keep the guid of a check-in that is finished for good."""
        self.finished = self.finished[-_GUID_BYTES * (REMEMBERED_GUIDS - 1) :] + guid

    def settle(self, run: Run) -> None:
        """Keep a check-in that was finished for the job, which may still report."""
        settled = self.settled
        if settled is None:
            settled = self.settled = {}
        settled[run.guid] = run
        if len(settled) > REMEMBERED_GUIDS:
            oldest = next(iter(settled))
            del settled[oldest]
            self.remember(oldest)

    def is_finished(self, guid: bytes) -> bool:
        """Whether the guid is of a check-in that is finished for good, as far as remembered."""
        found = self.finished.find(guid)
        while found > 0 and found % _GUID_BYTES:
            found = self.finished.find(guid, found + 1)
        return found >= 0

    def end(self, run: Run) -> None:
        """The check-in is no longer in progress."""
        assert self.runs is not None
        del self.runs[run.guid]
        if not self.runs:
            self.runs = None  # an empty dictionary is larger than all the rest

    def knows(self, guid: bytes) -> bool:
        """Whether the guid is known here, in whatever status."""
        return bool(
            (self.runs and guid in self.runs)
            or (self.settled and guid in self.settled)
            or self.is_finished(guid)
        )

    def guids(self) -> list[bytes]:
        """All guids that are known here."""
        finished = self.finished
        known = [finished[at : at + _GUID_BYTES] for at in range(0, len(finished), _GUID_BYTES)]
        return [*(self.runs or ()), *(self.settled or ()), *known]


class MonitorState(msgspec.Struct, array_like=True, gc=False):
    """A monitor as a snapshot holds it."""

    project_id: int
    slug: str
    name: str
    is_disabled: bool
    is_muted: bool
    config: MonitorConfig
    environments: dict[str, Environment]


class Monitor(msgspec.Struct, gc=False):
    """A monitor with its environments, as the lifecycle needs it.

    Like all state here it is a structure that the garbage collector passes over: nothing in it refers back to it,
    and looking through millions of objects again and again would cost more than the rules.
    """

    project_id: int
    slug: str
    name: str
    is_disabled: bool
    is_muted: bool
    config: MonitorConfig
    schedule: Schedule
    first: Environment | None = None
    """Its environment, which is all that most monitors have: a dictionary would be larger than what is in it."""
    others: dict[str, Environment] | None = None
    """Its other ones, by name."""
    margin_minutes: int = 0
    """Of the config; like max_runtime_minutes asked for with every check-in."""
    max_runtime_minutes: int = 0
    guids: GuidFilter | None = None
    """Of all environments, once there are many; not in snapshots."""
    rules: Rules = USUAL_RULES
    is_noted: bool = False
    """The next snapshot has to take it up."""

    @classmethod
    def restore(cls, state: MonitorState, rules: Rules = USUAL_RULES) -> Monitor:
        """A monitor from its snapshot, under the rules that hold now."""
        config = shared(state.config)
        monitor = cls(
            state.project_id,
            state.slug,
            state.name,
            state.is_disabled,
            state.is_muted,
            config,
            schedule_for(config),
            rules=rules,
        )
        monitor.configure(config)
        for environment in state.environments.values():
            monitor.add(environment)
        return monitor

    def configure(self, config: MonitorConfig) -> None:
        """Use another config from now on."""
        self.config = config
        self.schedule = schedule_for(config)
        self.margin_minutes = config.margin_minutes
        self.max_runtime_minutes = config.max_runtime_minutes

    def find(self, name: str) -> Environment | None:
        """The environment of this name; None if there is none."""
        first = self.first
        if first is not None and first.name == name:
            return first
        return self.others.get(name) if self.others is not None else None

    def add(self, environment: Environment) -> None:
        """Another environment, of a new name."""
        if self.first is None:
            self.first = environment
        elif self.others is None:
            self.others = {environment.name: environment}
        else:
            self.others[environment.name] = environment

    def remove(self, environment: Environment) -> None:
        """The environment is deleted."""
        others = self.others or {}
        if environment is not self.first:
            del others[environment.name]
        else:
            self.first = others.pop(next(iter(others))) if others else None
        self.others = others or None

    def environments(self) -> list[Environment]:
        """All of them, those that came first first."""
        if self.first is None:
            return []
        return [self.first, *self.others.values()] if self.others is not None else [self.first]

    def learn(self, guid: bytes) -> None:
        """A check-in of this guid was made."""
        if self.guids is not None:
            self.guids.add(guid)

    def elsewhere(self, guid: bytes, environment: Environment | None) -> Environment | None:
        """The first environment, other than this one, that knows the guid; None if none does."""
        if self.others is not None and len(self.others) >= _MANY_ENVIRONMENTS:
            if self.guids is None or self.guids.is_full:
                self.guids = GuidFilter(known for each in self.environments() for known in each.guids())
            if not self.guids.may_hold(guid):
                return None
        for other in self.environments():
            if other is not environment and other.knows(guid):
                return other
        return None

    def state(self) -> MonitorState:
        """What a snapshot holds."""
        return MonitorState(
            self.project_id,
            self.slug,
            self.name,
            self.is_disabled,
            self.is_muted,
            self.config,
            {environment.name: environment for environment in self.environments()},
        )
