"""What recorded decisions come to: state, row of failures and incidents at a time. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID


class Decided(NamedTuple):
    """A row of `run_decisions`, with what `check_ins` and `clock_ticks` say of the same run."""

    check_in_id: UUID
    is_failure: bool
    began: datetime
    noticed: datetime
    counted: bool | None
    overruled_by: datetime | None
    incident_id: str | None
    message: str | None
    is_lost: bool
    """Check-ins were being lost, or it was in maintenance: it never counted."""
    status: str | None
    """Of the run; None: it is no longer kept."""
    tick_decided: datetime | None
    """Of a miss or a time-out: when its tick was decided."""
    place: int | None
    """In the order of decisions; None: an older release wrote it."""


class IncidentRow(NamedTuple):
    """A row of `incidents`."""

    incident_id: str
    starting_id: UUID
    starting: datetime
    resolving_id: UUID | None
    resolving: datetime | None
    resolving_ended: datetime | None
    """When the run that resolved it ended; None: it is no longer kept."""
    is_recorded: bool
    """Decisions about its failures are kept."""


@dataclass
class Episode:
    """An incident as it was known."""

    incident_id: str
    starting: datetime
    opened: datetime
    resolved: datetime | None = None
    resolving_id: UUID | None = None
    is_reset: bool = False
    row: list[Decided] = field(default_factory=list)
    later: list[Decided] = field(default_factory=list)


@dataclass
class Standing:
    """How an environment stood at a time."""

    status: str = "active"
    episode: Episode | None = None
    """The newest incident."""
    failing: list[Decided] = field(default_factory=list)
    successes: int = 0

    @property
    def is_open(self) -> bool:
        """Whether an incident is open."""
        return self.episode is not None and self.episode.resolved is None


class Timed(NamedTuple):
    """A decision, and its times."""

    known: datetime
    """From then on it could be known: nothing before it in the order is later."""
    at: datetime
    """When it was made: when the result was noticed, or when the tick was decided that it waited for."""
    decided: Decided


def in_order(decided: Iterable[Decided]) -> list[Timed]:
    """The decisions in the order in which they were made.

    A miss or a time-out may have to wait until its tick is decided, and the successes after it wait with it.
    """
    timed: list[Timed] = []
    reached: datetime | None = None
    for each in sorted(decided, key=lambda each: (each.place or 0, each.noticed, each.began)):
        at = each.noticed
        if each.is_failure and each.tick_decided is not None:
            at = max(at, each.tick_decided)
        known = at if reached is None else max(at, reached)
        if each.counted is not None:
            reached = known
        timed.append(Timed(known, at, each))
    return timed


Step = tuple[datetime, int, Timed | IncidentRow | None]
"""What happened: 0 an incident began of which only the row is kept, 1 a decision, 2 such an incident ended, 3 a reset.
"""


def standing_at(
    at: datetime | None,
    decided: Sequence[Decided],
    incidents: Sequence[IncidentRow],
    resets: Sequence[datetime],
    ordinary: Sequence[datetime],
) -> Standing:
    """How the environment stood at `at` (None: as far as is known).

    `resets` are the times of controls that reset it. `ordinary`: when successes ended of which no decision is recorded.
    """
    by_id = {each.incident_id: each for each in incidents}
    standing, last_reset = Standing(), None
    for moment, kind, what in _steps(decided, incidents, resets):
        if at is not None and moment > at:
            break
        if isinstance(what, Timed):
            _judge(standing, what.at, what.decided, by_id)
        elif isinstance(what, IncidentRow):
            _known_only_as_incident(standing, moment, what, is_end=kind == 2)
        else:
            last_reset = moment
            _reset(standing, moment)
    if standing.status == "active" and any(
        (at is None or each <= at) and (last_reset is None or each > last_reset) for each in ordinary
    ):
        standing.status = "ok"
    return standing


def _steps(
    decided: Sequence[Decided], incidents: Sequence[IncidentRow], resets: Sequence[datetime]
) -> list[Step]:
    steps: list[Step] = [(each.known, 1, each) for each in in_order(decided) if each.decided.counted]
    for incident in incidents:
        if incident.is_recorded:
            continue  # else an older release wrote it, or its runs have been dropped
        steps.append((incident.starting, 0, incident))
        if incident.resolving is not None:
            steps.append((incident.resolving_ended or incident.resolving, 2, incident))
    steps += [(moment, 3, None) for moment in sorted({*resets, *_resets_of(incidents)})]
    return sorted(steps, key=lambda step: step[:2])  # stable: decisions stay in their order


def _resets_of(incidents: Sequence[IncidentRow]) -> list[datetime]:
    return [each.resolving for each in incidents if each.resolving_id is None and each.resolving is not None]


def _reset(standing: Standing, moment: datetime) -> None:
    episode = standing.episode
    if episode is not None and episode.resolved is None:
        episode.resolved, episode.is_reset = moment, True
    standing.status, standing.failing, standing.successes = "active", [], 0


def _judge(standing: Standing, moment: datetime, each: Decided, by_id: dict[str, IncidentRow]) -> None:
    if each.is_failure:
        standing.successes = 0
        if each.incident_id is None:
            standing.failing.append(each)
        elif standing.is_open and standing.episode is not None:
            standing.episode.later.append(each)
        else:
            _open(standing, moment, each, by_id.get(each.incident_id))
        return
    standing.failing = []
    episode = standing.episode
    if episode is None or episode.resolved is not None:
        standing.status = "ok"
        return
    standing.successes += 1
    incident = by_id.get(episode.incident_id)
    if incident is not None and incident.resolving_id == each.check_in_id:
        episode.resolved, episode.resolving_id = moment, each.check_in_id
        standing.status, standing.successes = "ok", 0


def _open(standing: Standing, moment: datetime, opener: Decided, incident: IncidentRow | None) -> None:
    """The failure that reached the threshold; those of its row had no incident yet."""
    assert opener.incident_id is not None
    row = [*standing.failing, opener]
    if incident is not None:
        first = [at for at, each in enumerate(row) if each.check_in_id == incident.starting_id]
        row = row[first[0] :] if first else row
    starting = incident.starting if incident is not None else row[0].began
    standing.episode = Episode(opener.incident_id, starting, moment, row=row)
    standing.status, standing.failing = "error", []


def _known_only_as_incident(
    standing: Standing, moment: datetime, incident: IncidentRow, is_end: bool
) -> None:
    if not is_end:
        standing.episode = Episode(incident.incident_id, incident.starting, moment)
        standing.status = "error"
    elif standing.episode is not None and standing.episode.incident_id == incident.incident_id:
        standing.episode.resolved, standing.episode.resolving_id = moment, incident.resolving_id
        standing.episode.is_reset = incident.resolving_id is None
        standing.status = "active" if standing.episode.is_reset else "ok"
