"""What every kind of alarm has in common: one protocol, which thresholds, flapping and broken-monitor detection
implement.

A new kind is one file with a subclass of `AlarmPolicy`, and one line in `monitors.counting` that registers it. It
keeps its numbers in `Environment.records` under its own name.

`monitors.counting` calls the policies, in the order of registration:

    a failing check-in counts    before, on_failure; if an incident opens, on_change; holds_failure; on_incident_failure
    a success counts             before, on_success; if the incident is resolved, on_change; holds_recovery
    a tick                       fire, when due_minute has come
    a control                    on_mute, on_reset, watch_again

In all of them "at" is when the result was noticed.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from dataflow.monitors.environment import Environment
from dataflow.monitors.journal import Journal
from dataflow.monitors.monitor import Monitor
from dataflow.monitors.records import Failure, Incident
from dataflow.monitors.run import Run
from dataflow.monitors.times import FAR_MINUTE, Microseconds, Minute


class Counted(msgspec.Struct, gc=False):
    """One result that counts, and what the policies make of it."""

    run: Run
    at_us: Microseconds
    incident: Incident | None = None
    """The incident that it belongs to: open before, or opened or resolved by it."""
    opens_at: Failure | None = None
    """A policy asks for an incident that starts at this check-in (heeded if none is open)."""
    kinds: tuple[int, ...] = ()
    """Of a failure in an incident, the statuses of the failing check-ins that it is about, in order."""
    resolves: bool = False
    """A policy asks for the open incident to be resolved."""
    changes: int = 0
    """This many changes within the window have just made the environment flap; 0: they have not."""
    message: str | None = None
    """What became of the message that this calls for (see `RunDecisionRow.message`)."""


class AlarmPolicy:
    """One kind of alarm. It does nothing but what a subclass says.

    Policies keep nothing themselves: all that they know is in the environment.
    """

    name = ""
    """Its key in `Environment.records`."""
    sees_every_success = False
    """It has to be asked about successes of an environment of which no policy keeps a record."""

    def before(self, monitor: Monitor, environment: Environment, minute: Minute, journal: Journal) -> None:
        """A result is about to count: do what has been due by that minute."""

    def on_failure(
        self, monitor: Monitor, environment: Environment, counted: Counted, journal: Journal
    ) -> None:
        """A failing check-in counts: set `opens_at` and `kinds` to open an incident."""

    def on_success(
        self, monitor: Monitor, environment: Environment, counted: Counted, journal: Journal
    ) -> None:
        """A success counts: set `resolves` to resolve the open incident."""

    def on_change(self, monitor: Monitor, environment: Environment, counted: Counted) -> None:
        """An incident was opened, or resolved."""

    def holds_failure(self, environment: Environment, counted: Counted) -> bool:
        """Whether the occurrence about a failure must not be sent now."""
        return False

    def holds_recovery(self, environment: Environment, counted: Counted) -> bool:
        """Whether the message that an incident is resolved must not be sent now."""
        return False

    def on_incident_failure(
        self, monitor: Monitor, environment: Environment, counted: Counted, journal: Journal
    ) -> None:
        """The incident has failed, with all of `kinds`; the occurrence has been sent, if it is sent at all."""

    def due_minute(self, environment: Environment) -> Minute:
        """The next tick at which `fire` has something to do; FAR_MINUTE: none."""
        return FAR_MINUTE

    def fire(self, monitor: Monitor, environment: Environment, minute: Minute, journal: Journal) -> None:
        """Do what is due at this minute; `due_minute` must be later afterwards."""

    def watch_again(self, environment: Environment, at_us: Microseconds, first_tick: Minute) -> None:
        """The monitor is enabled again: the time before does not count."""

    def on_reset(
        self, monitor: Monitor, environment: Environment, at_us: Microseconds, journal: Journal
    ) -> None:
        """Somebody resets the environment: forget what is kept of it. (The open incident is resolved after this.)"""

    def on_mute(self, environment: Environment, at_us: Microseconds) -> None:
        """Somebody muted or unmuted the environment."""


class Alarms:
    """Kinds of alarm in their order; each is called only where it does something. A call that does nothing costs
    little, but in a storm there would be twenty of them for each failure."""

    def __init__(self, policies: Sequence[AlarmPolicy]) -> None:
        self.policies = tuple(policies)
        self.sees_every_success = any(policy.sees_every_success for policy in policies)
        """Whether some kind of alarm has to be asked about each success."""
        self.before = [each.before for each in self._that_have("before")]
        self.on_failure = [each.on_failure for each in self._that_have("on_failure")]
        self.on_success = [each.on_success for each in self._that_have("on_success")]
        self.on_change = [each.on_change for each in self._that_have("on_change")]
        self.holds_failure = [each.holds_failure for each in self._that_have("holds_failure")]
        self.holds_recovery = [each.holds_recovery for each in self._that_have("holds_recovery")]
        self.on_incident_failure = [
            each.on_incident_failure for each in self._that_have("on_incident_failure")
        ]
        self.due_minute = [each.due_minute for each in self._that_have("due_minute")]

    def _that_have(self, hook: str) -> list[AlarmPolicy]:
        """The kinds that do not leave this method as it is."""
        return [
            policy
            for policy in self.policies
            if getattr(type(policy), hook) is not getattr(AlarmPolicy, hook)
        ]
