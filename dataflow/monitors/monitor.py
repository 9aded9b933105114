"""A monitor and its environments, as the rules need them."""

from __future__ import annotations

import sys

import msgspec

from dataflow.monitors.config import MonitorConfig
from dataflow.monitors.environment import Environment, fingerprint
from dataflow.monitors.guid_filter import GuidFilter
from dataflow.monitors.schedule import NEVER, Schedule
from dataflow.monitors.silences import NOT_KNOWN, Subject
from dataflow.monitors.times import FAR_MINUTE, NO_MINUTE
from dataflow.monitors.tuning import DEFAULT_TUNING, Tuning

Key = tuple[int, str]
"""Of a monitor: (project id, slug)."""
_MANY_ENVIRONMENTS = 16
"""A monitor that has more does not ask each of them for every new guid."""


class MonitorState(msgspec.Struct, array_like=True, gc=False):
    """A monitor as a snapshot holds it, by position: new fields go to the end, with a default."""

    project_id: int
    slug: str
    name: str
    is_disabled: bool
    is_muted: bool
    config: MonitorConfig
    environments: dict[str, Environment]
    organization_id: int = NOT_KNOWN
    owner: str | None = None


class Monitor(msgspec.Struct, gc=False):
    """A monitor with its environments.

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
    ends_move: bool = False
    """The end of a run moves the next times, too: the schedule is an interval."""
    guids: GuidFilter | None = None
    """Of all environments, once there are many; not in snapshots."""
    tuning: Tuning = DEFAULT_TUNING
    is_noted: bool = False
    """The next snapshot has to take it up."""
    organization_id: int = NOT_KNOWN
    """Like the owner for maintenances alone: before one that goes by them, upsert says them (`monitors.upserts`)."""
    owner: str | None = None

    @classmethod
    def restore(cls, state: MonitorState, tuning: Tuning = DEFAULT_TUNING) -> Monitor:
        """A monitor from its snapshot, with the parameters that hold now."""
        config = state.config
        monitor = cls(
            project_id=state.project_id,
            slug=state.slug,
            name=state.name,
            is_disabled=state.is_disabled,
            is_muted=state.is_muted,
            config=config,
            schedule=config.timing_or_never(),
            margin_minutes=config.margin_minutes,
            max_runtime_minutes=config.max_runtime_minutes,
            ends_move=config.schedule_type == "interval",
            tuning=tuning,
            organization_id=state.organization_id,
            owner=interned(state.owner),
        )
        for environment in state.environments.values():
            environment.complete()
            monitor.add(environment)
            if monitor.schedule is NEVER:
                environment.next_minute = NO_MINUTE
                environment.latest_minute = environment.due_minute = FAR_MINUTE
        return monitor

    @property
    def key(self) -> Key:
        """What it is known by."""
        return self.project_id, self.slug

    def configure(self, config: MonitorConfig) -> None:
        """Use another config from now on."""
        self.config = config
        self.schedule = config.timing_or_never()
        self.margin_minutes = config.margin_minutes
        self.max_runtime_minutes = config.max_runtime_minutes
        self.ends_move = config.schedule_type == "interval"

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
        """All of them, in the order in which they came."""
        if self.first is None:
            return []
        return [self.first, *self.others.values()] if self.others is not None else [self.first]

    def learn(self, guid: bytes) -> None:
        """A check-in of this guid was made."""
        if self.guids is not None:
            self.guids.add(fingerprint(guid))

    def elsewhere(self, guid: bytes, environment: Environment | None) -> Environment | None:
        """The first environment, other than this one, that knows the guid; None if none does."""
        if self.others is not None and len(self.others) >= _MANY_ENVIRONMENTS:
            if self.guids is None or self.guids.is_full:
                self.guids = GuidFilter(known for each in self.environments() for known in each.prints())
            if not self.guids.may_hold(fingerprint(guid)):
                return None
        for other in self.environments():
            if other is not environment and other.knows(guid):
                return other
        return None

    def subject(self, environment: Environment) -> Subject:
        """What a maintenance may be about."""
        return Subject(self.organization_id, self.project_id, self.slug, environment.name, self.owner)

    def is_silenced(self, environment: Environment) -> bool:
        """Whether failures of the environment are sent to nobody."""
        return self.is_muted or environment.is_muted

    def state(self) -> MonitorState:
        """What a snapshot holds."""
        return MonitorState(
            project_id=self.project_id,
            slug=self.slug,
            name=self.name,
            is_disabled=self.is_disabled,
            is_muted=self.is_muted,
            config=self.config,
            environments={environment.name: environment for environment in self.environments()},
            organization_id=self.organization_id,
            owner=self.owner,
        )


def interned(owner: str | None) -> str | None:
    """The same text for all monitors of an owner: there are far fewer owners."""
    return sys.intern(owner) if owner is not None else None


def environments_by_name(monitors: dict[Key, Monitor]) -> list[tuple[Monitor, Environment]]:
    """All environments, in order of their names. It takes a while, and is for what happens rarely."""
    return [
        (monitor, environment)
        for _, monitor in sorted(monitors.items())
        for environment in sorted(monitor.environments(), key=lambda each: each.name)
    ]
