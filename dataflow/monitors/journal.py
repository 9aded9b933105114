"""What the rules did: rows of the tables (SPEC, section 11), notices to send, and errors."""

from __future__ import annotations

from copy import copy
from enum import StrEnum

import msgspec

from dataflow.monitors import identity
from dataflow.monitors.check_in import STATUS_NAMES, CheckIn, Control, Errors
from dataflow.monitors.config import MonitorConfig
from dataflow.monitors.environment import ENVIRONMENT_STATUS_NAMES, Environment
from dataflow.monitors.monitor import Monitor
from dataflow.monitors.notices import AcknowledgedNotice
from dataflow.monitors.records import Incident
from dataflow.monitors.run import Run
from dataflow.monitors.times import FAR_MINUTE, MINUTE_US, NO_MINUTE, NO_TIME, Microseconds, Minute
from state.schema.catalogue import Deletes
from state.schema.tables.monitors import BrokenMonitorRow, EnvironmentRow, MuteRow
from state.schema.tables.runs import CheckInRow, IncidentRow, RunDecisionRow
from state.schema.tables.silences import AcknowledgementRow


class FailureNotice(msgspec.Struct, frozen=True, gc=False):
    """An environment has reached its failure threshold, or failed once more since.

    It holds the monitor's name and config as they were then: the monitor may change before it is sent.
    """

    project_id: int
    slug: str
    name: str
    config: MonitorConfig
    environment: str
    status: int
    """The environment's, an `EnvironmentStatus`."""
    incident: Incident
    guid: bytes
    trace_id: bytes | None
    kinds: tuple[int, ...]
    """The statuses of the failing check-ins that it is about, in order."""
    last_ok_us: Microseconds
    at_us: Microseconds
    changes: int = 0
    """Number of changes between ok and error, within the window below, that made the environment flap, which is what
    the notice says; 0: an ordinary failure."""
    window_minutes: int = 0
    run: Run | None = None
    """The check-in as it was then; None: it was noted before, and no more than its guid is known."""


def failure_notice(
    monitor: Monitor,
    environment: Environment,
    incident: Incident,
    guid: bytes,
    trace_id: bytes | None,
    kinds: tuple[int, ...],
    at_us: Microseconds,
    changes: int = 0,
    run: Run | None = None,
) -> FailureNotice:
    """A notice about the environment as it is now."""
    return FailureNotice(
        project_id=monitor.project_id,
        slug=monitor.slug,
        name=monitor.name,
        config=monitor.config,
        environment=environment.name,
        status=environment.status,
        incident=incident,
        guid=guid,
        trace_id=trace_id,
        kinds=kinds,
        last_ok_us=environment.last_ok_us,
        at_us=at_us,
        changes=changes,
        window_minutes=monitor.tuning.flapping_window_minutes if changes else 0,
        # A copy: the run may change before the message is made.
        run=copy(run) if run is not None else None,
    )


class RecoveryNotice(msgspec.Struct, frozen=True, gc=False):
    """An incident is resolved."""

    project_id: int
    slug: str
    environment: str
    incident: Incident
    guid: bytes | None
    """The check-in that resolved it; None: a control reset the environment."""
    at_us: Microseconds


class BrokenNotice(msgspec.Struct, frozen=True):
    """An incident is of a broken monitor, its environment is muted for that, or no longer is."""

    kind: str
    """`monitor_broken`, `monitor_muted` or `monitor_unmuted`."""
    project_id: int
    slug: str
    name: str
    environment: str
    incident: Incident
    guid: bytes
    """The check-in that began the incident; of `monitor_unmuted`, the one that succeeded."""
    since_us: Microseconds
    """From when on the incident counts as open."""
    at_us: Microseconds


Notice = FailureNotice | RecoveryNotice | BrokenNotice | AcknowledgedNotice


class Verdict(StrEnum):
    """As what a check-in was judged. A time-out that ends well is judged twice."""

    FAILURE = "failure"
    SUCCESS = "success"


class Loss(msgspec.Struct, array_like=True):
    """What a system incident made of failures and runs."""

    held: int = 0
    """Misses and time-outs that waited for the decision and were dropped."""
    dropped: int = 0
    """Misses and time-outs that became unknown, those that were held among them."""
    in_progress: int = 0
    """Check-ins in progress that became unknown, and whose end has not come after all."""


NO_BOUND = 2**62
"""The room of a journal that takes all there is."""


class Journal:
    """Collects what happens while a chunk is applied, in order.

    Check-ins and environments are noted, and written down once, as they are in the end: most runs begin and end
    within one chunk.
    """

    __slots__ = (
        "_deleted",
        "_given",
        "_room",
        "_runs",
        "_touched",
        "acknowledgements",
        "broken",
        "controls",
        "decisions",
        "incidents",
        "losses",
        "mutes",
        "notices",
        "rejected",
    )

    def __init__(self, room: int = NO_BOUND) -> None:
        """`room`: for so many deadlines that fire before an item is applied."""
        self.incidents: list[IncidentRow] = []
        self.broken: list[BrokenMonitorRow] = []
        self.acknowledgements: list[AcknowledgementRow] = []
        self.controls: list[Control] = []
        """Those of which is only known here that they took effect."""
        self.mutes: list[MuteRow] = []
        self.notices: list[Notice] = []
        self.rejected: list[tuple[CheckIn | Control, Errors]] = []
        self.decisions: list[RunDecisionRow] = []
        self.losses: dict[Minute, Loss] = {}
        """By the first minute of the system incident."""
        self._deleted: list[tuple[object, ...]] = []
        """Beginnings of identities, in the tables of `_OWNED`."""
        self._touched: dict[int, tuple[Monitor, Environment, Microseconds]] = {}
        self._runs: dict[int, tuple[Monitor, Environment, Run]] = {}
        self._given = self._room = room

    def take_room(self) -> bool:
        """Whether one more deadline may fire before an item in this call; it is counted."""
        self._room -= 1
        return self._room >= 0

    def taken(self) -> int:
        """How many deadlines have fired before items."""
        return self._given - max(0, self._room)

    def is_full(self) -> bool:
        """Whether items that deadlines come before have to wait for the next call."""
        return self._room <= 0

    def touch(self, monitor: Monitor, environment: Environment, at_us: Microseconds) -> None:
        """The environment changed, as of `at_us`."""
        self._touched[id(environment)] = (monitor, environment, at_us)

    def touched(self) -> list[tuple[Monitor, Environment]]:
        """The environments that changed."""
        return [(monitor, environment) for monitor, environment, _ in self._touched.values()]

    def mute(
        self, monitor: Monitor, environment: str, at_us: Microseconds, is_muted: bool, is_by_person: bool
    ) -> None:
        """An environment (an empty name: all of the monitor's) was muted or unmuted."""
        self.mutes.append(
            MuteRow(
                project_id=monitor.project_id,
                slug=monitor.slug,
                environment=environment,
                changed_at=at_us,
                is_muted=is_muted,
                is_by_person=is_by_person,
            )
        )

    def loss(self, incident_start: Minute) -> Loss:
        """What a system incident has made of failures and runs meanwhile, to be added to."""
        loss = self.losses.get(incident_start)
        if loss is None:
            loss = self.losses[incident_start] = Loss()
        return loss

    def decide(
        self,
        monitor: Monitor,
        environment: Environment,
        run: Run,
        verdict: Verdict,
        at_us: Microseconds,
        counted: bool | None,
        overruled_by_us: Microseconds | None = None,
        incident: Incident | None = None,
        message: str | None = None,
        lost_in: Minute | None = None,
        silence_id: str | None = None,
    ) -> None:
        """Something was decided about a check-in (see `RunDecisionRow`).

        What is held (`counted` is None) has no place of its own yet: whether anything is held at all may depend on how
        the input was cut into batches, the order in which results come to count does not.
        """
        place = environment.decided + 1
        if counted is not None:
            environment.decided = place
        self.decisions.append(
            RunDecisionRow(
                check_in_id=run.guid,
                verdict=verdict.value,
                project_id=monitor.project_id,
                slug=monitor.slug,
                environment=environment.name,
                date_added=run.date_added_us,
                noticed_at=at_us,
                counted=counted,
                overruled_by=overruled_by_us,
                incident_id=incident.id if incident is not None else None,
                message=message,
                system_incident_id=identity.system_incident_id(lost_in) if lost_in is not None else None,
                place=place,
                silence_id=silence_id,
            )
        )

    def add_losses_to(self, totals: dict[Minute, Loss]) -> list[tuple[Minute, Loss | None]]:
        """Add up what system incidents cost: by first minute the new total, None if that is nothing now."""
        changed: list[tuple[Minute, Loss | None]] = []
        for start, loss in sorted(self.losses.items()):
            total = totals.setdefault(start, Loss())
            total.held += loss.held
            total.dropped += loss.dropped
            total.in_progress += loss.in_progress
            if total == Loss():
                del totals[start]
                changed.append((start, None))
            else:
                changed.append((start, total))
        return changed

    def size(self) -> int:
        """How many check-ins and messages are in it."""
        return len(self._runs) + len(self.notices)

    def run(self, monitor: Monitor, environment: Environment, run: Run) -> None:
        """A check-in was made or changed."""
        self._runs[id(run)] = (monitor, environment, run)

    def incident(
        self,
        monitor: Monitor,
        environment: Environment,
        incident: Incident,
        resolving: Run | None,
        reset_us: Microseconds | None = None,
    ) -> None:
        """An incident was opened, resolved by a check-in, or by a control that reset the environment at `reset_us`."""
        self.incidents.append(
            IncidentRow(
                incident_id=incident.id,
                project_id=monitor.project_id,
                slug=monitor.slug,
                environment=environment.name,
                fingerprint=incident.fingerprint,
                starting_check_in_id=incident.starting_guid,
                starting_timestamp=incident.starting_us,
                resolving_check_in_id=resolving.guid if resolving is not None else None,
                resolving_timestamp=resolving.date_added_us if resolving is not None else reset_us,
            )
        )

    def delete(self, monitor: Monitor, environment: Environment | None) -> None:
        """The monitor, or one of its environments, is gone with all that was its own, and with what was noted of it."""
        gone = {id(each) for each in (monitor.environments() if environment is None else [environment])}
        for each in gone:
            self._touched.pop(each, None)
        self._runs = {at: noted for at, noted in self._runs.items() if id(noted[1]) not in gone}
        key = (monitor.project_id, monitor.slug) if environment is None else _key(monitor, environment)

        def is_left(
            row: IncidentRow | BrokenMonitorRow | MuteRow | RunDecisionRow | AcknowledgementRow,
        ) -> bool:
            return (row.project_id, row.slug, row.environment)[: len(key)] != key

        self.incidents = list(filter(is_left, self.incidents))
        self.broken = list(filter(is_left, self.broken))
        self.mutes = list(filter(is_left, self.mutes))
        self.acknowledgements = list(filter(is_left, self.acknowledgements))
        self.decisions = list(filter(is_left, self.decisions))
        self._deleted.append(key)

    def deletes(self) -> Deletes:
        """What was deleted, by table: before what else is noted here."""
        return {row.TABLE.name: self._deleted for row in _OWNED} if self._deleted else {}

    def check_in_rows(self) -> list[CheckInRow]:
        """The rows of `check_ins` that changed, each once."""
        return [
            CheckInRow(
                check_in_id=run.guid,
                project_id=monitor.project_id,
                slug=monitor.slug,
                environment=environment.name,
                status=STATUS_NAMES[run.status],
                duration_ms=run.duration_ms,
                date_added=run.date_added_us,
                date_updated=run.date_updated_us,
                expected_time=expected * MINUTE_US
                if (expected := run.expected_minute) != NO_MINUTE
                else None,
                timeout_at=timeout * MINUTE_US if (timeout := run.timeout_minute) != FAR_MINUTE else None,
                trace_id=run.trace_id,
            )
            for monitor, environment, run in self._runs.values()
        ]

    def environment_rows(self) -> list[EnvironmentRow]:
        """The rows of `monitor_environments` that changed, each once."""
        return [
            EnvironmentRow(
                project_id=monitor.project_id,
                slug=monitor.slug,
                environment=environment.name,
                status=ENVIRONMENT_STATUS_NAMES[environment.status],
                is_muted=environment.is_muted,
                last_checkin=environment.last_checkin_us if environment.last_checkin_us != NO_TIME else None,
                next_checkin=environment.next_minute * MINUTE_US
                if environment.next_minute != NO_MINUTE
                else None,
                next_checkin_latest=environment.latest_minute * MINUTE_US
                if environment.latest_minute != FAR_MINUTE
                else None,
                open_incident_id=environment.incident.id if environment.incident is not None else None,
                updated_at=at_us,
                is_flapping=environment.flapping is not None and environment.is_flapping,
                sdk=environment.sdk,
            )
            for monitor, environment, at_us in self._touched.values()
        ]


_OWNED = (
    CheckInRow,
    EnvironmentRow,
    IncidentRow,
    RunDecisionRow,
    BrokenMonitorRow,
    MuteRow,
    AcknowledgementRow,
)
"""Of what goes with its environment."""


def _key(monitor: Monitor, environment: Environment) -> tuple[int, str, str]:
    return monitor.project_id, monitor.slug, environment.name
