"""From the tables to the facts of one environment at one time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, tzinfo
from typing import Any
from uuid import UUID

import duckdb

from state.ask.why import due, patterns
from state.ask.why.facts import (
    ERROR,
    IN_PROGRESS,
    MISSED,
    OK,
    TIMEOUT,
    UNKNOWN,
    Config,
    ConfigChange,
    Deletion,
    Facts,
    Incident,
    Mute,
    Neighbours,
    Run,
    Shift,
    Verdict,
)
from state.ask.why.judged import Decided, Episode, IncidentRow, Standing, in_order, standing_at
from state.ask.why.queries import Tables, deletions_of, event_clock_of
from state.ask.why.silenced import acknowledgement_of, silence_of
from state.zones import load_zone, zone_names

_OTHER_CLOCKS = ("Europe/Berlin", "America/New_York")
"""A job may go by these where its monitor has no zone, or another one."""


def zone_of(config: Config) -> tzinfo:
    """The time zone of a config; UTC for one that this release does not know."""
    return load_zone(config.timezone if config.timezone in zone_names() else "UTC")


def facts_of(
    connection: duckdb.DuckDBPyConnection,
    project_id: int,
    slug: str,
    environment: str,
    at: datetime | None,
    schedules: due.Schedules | None = None,
) -> Facts:
    """Everything about one environment; `at` None: all that the snapshot holds."""
    tables = Tables(connection, project_id, slug, environment, at)
    return _Reading(connection, tables, (project_id, slug, environment), at, schedules).facts()


class _Reading:
    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        tables: Tables,
        keys: tuple[int, str, str],
        at: datetime | None,
        schedules: due.Schedules | None,
    ) -> None:
        self._connection, self._tables, self._keys = connection, tables, keys
        self._at, self._schedules = at, schedules
        self._config_now, self._created, self._status_now, self._is_muted = tables.monitor()
        self._state_now, self._next_now, self._open_now, self._updated, self._env_muted = tables.environment()
        self._replaced = tables.configs()
        self._decided = tables.decisions()
        self._verdicts = _verdicts(self._decided, at)
        self._rows = tables.check_ins()
        self._runs = [run for row in self._rows if (run := self._run(row)) is not None]
        self._by_id = {run.check_in_id: run for run in self._runs}

    def facts(self) -> Facts:
        tables, runs = self._tables, self._runs
        config, since, until, change = self._config()
        zone = zone_of(config)
        standing, incidents, resets = self._standing()
        ended = [run for run in runs if run.status not in (IN_PROGRESS, UNKNOWN)]
        newest = max(ended, key=lambda run: (run.known, run.began), default=None)
        incident = self._incident(standing)
        failing = () if standing.is_open else tuple(map(self._judged, standing.failing))
        is_open = incident is not None and incident.is_open
        starts = [each.starting for each in incidents]
        disabled_since = self._disabled_since()
        state = "disabled" if disabled_since is not None else standing.status
        refused_since = _refused_since(incident, failing, newest)
        refusals = tables.refusals(refused_since)
        message = tables.message()
        moments = [each.noticed for each in self._decided] + [run.known for run in runs]
        moments += [refusals.newest] if refusals is not None else []
        moments += [message.at] if message is not None else []
        moments += [each.resolving for each in incidents if each.resolving is not None]
        known_until = self._known_until(moments)
        return Facts(
            *self._keys,
            at=known_until,
            is_now=self._at is None,
            state=state,
            config=config,
            config_since=since,
            config_until=until,
            change=change,
            created=self._created,
            disabled_since=disabled_since,
            is_seen=bool(runs),
            incident=incident,
            failing=failing,
            successes=standing.successes,
            newest=newest,
            before=tuple(run for run in runs if newest is not None and run.began < newest.began)[-5:],
            overruled=self._overruled(incident, newest),
            running=tuple(run for run in runs if run.status == IN_PROGRESS),
            unknown=tuple(
                run for run in runs if run.status == UNKNOWN and (newest is None or run.known > newest.known)
            ),
            expected=self._expected(config, resets) if disabled_since is None else None,
            recurrence=patterns.recurrence(starts, zone) if is_open else None,
            shift=self._shift(known_until, config, runs),
            neighbours=self._neighbours(incident) if is_open else None,
            refusals=refusals,
            system_incident=tables.system_incident(),
            mute=self._mute(),
            broken=tables.broken(),
            message=message,
            silence=silence_of(
                self._connection,
                self._keys,
                known_until,
                incident.starting if incident and is_open else None,
                self._at is None,
            ),
            acknowledged=acknowledgement_of(self._connection, self._keys, incident.incident_id, known_until)
            if incident and is_open
            else None,
            deleted_before=self._deleted_before(),
        )

    def _known_until(self, moments: Iterable[datetime | None]) -> datetime:
        """The time of the answer: the one asked for, else the newest of all that is said."""
        if self._at is not None:
            return self._at
        known = [event_clock_of(self._connection), self._updated, *moments]
        return max((moment for moment in known if moment is not None), default=self._created)

    def _config(self) -> tuple[Config, datetime, datetime | None, ConfigChange | None]:
        """The config in force, since when, until when, and the change that made it so."""
        config, until, since = self._config_now, None, self._created
        change: ConfigChange | None = None
        for at, (replaced_at, before, by, environment) in enumerate(self._replaced):
            if self._at is not None and replaced_at > self._at:
                config, until = before, replaced_at
                break
            after = self._replaced[at + 1][1] if at + 1 < len(self._replaced) else self._config_now
            if before != after:
                since, change = replaced_at, ConfigChange(replaced_at, before, by, environment)
        return config, since, until, change

    def _disabled_since(self) -> datetime | None:
        status, since = "active", None
        for changed_at, each in self._tables.statuses():
            if self._at is None or changed_at <= self._at:
                status, since = each, changed_at
        if self._at is None and self._status_now == "disabled" and status != "disabled":
            updated: datetime | None = self._updated
            return since or updated
        return since if status == "disabled" else None

    def _run(self, row: tuple[Any, ...]) -> Run | None:
        """A check-in as it was then; None: it was not known."""
        check_in_id, status, began, updated, expected, timeout_at, duration_ms, noticed = row
        tick = noticed if noticed is not None and status in (MISSED, TIMEOUT, UNKNOWN) else updated
        is_found = status in (MISSED, TIMEOUT) or (status == UNKNOWN and noticed is not None)
        late_end = updated if status == TIMEOUT and updated != tick and duration_ms is not None else None
        known, was = (tick if is_found else updated), status
        if status == UNKNOWN and noticed is not None:
            known = updated
            if self._is_after(updated):  # it was held, and not yet lost
                was, known = (MISSED if began == expected else TIMEOUT), tick
        if was == MISSED and self._is_after(tick):
            return None
        if was in (OK, ERROR, TIMEOUT, UNKNOWN) and self._is_after(known):
            if was == UNKNOWN and began == expected and noticed is not None:
                return None
            was, known = IN_PROGRESS, began
        return Run(
            check_in_id,
            was,
            began,
            known,
            expected,
            timeout_at if not self._is_after(updated) else None,  # a later heartbeat has moved it
            only_end=was in (OK, ERROR) and duration_ms is None,
            late_end=late_end if late_end is not None and not self._is_after(late_end) else None,
            failure=self._verdicts.get((check_in_id, True)),
            success=self._verdicts.get((check_in_id, False)),
        )

    def _is_after(self, moment: datetime) -> bool:
        return self._at is not None and moment > self._at

    def _standing(self) -> tuple[Standing, list[IncidentRow], list[datetime]]:
        incidents, resets = self._tables.incidents(), self._tables.resets()
        judged = {each.check_in_id for each in self._decided if not each.is_failure}
        ok = [run.known for run in self._runs if run.status == OK and run.check_in_id not in judged]
        standing = standing_at(
            self._at,
            self._decided,
            incidents,
            resets,
            ok,
        )
        if self._at is None:
            self._as_stored(standing, incidents)
        return standing, incidents, resets

    def _as_stored(self, standing: Standing, incidents: Sequence[IncidentRow]) -> None:
        """Now the state is what the table says. Where decisions are no longer kept they cannot contradict it."""
        if standing.is_open != (self._state_now == "error"):
            known = {each.incident_id: each for each in incidents}
            if self._open_now in known:
                row = known[self._open_now]
                standing.episode = Episode(row.incident_id, row.starting, row.starting)
            elif standing.episode is not None and standing.is_open:
                standing.episode.resolved = standing.episode.opened
        standing.status = self._state_now

    def _judged(self, each: Decided) -> Run:
        """The run of a decision, also where it is no longer kept."""
        found = self._by_id.get(each.check_in_id)
        if found is not None:
            return found
        status = each.status or (ERROR if each.is_failure else OK)
        verdict = self._verdicts.get((each.check_in_id, each.is_failure))
        return Run(each.check_in_id, status, each.began, each.noticed, None, None, failure=verdict)

    def _incident(self, standing: Standing) -> Incident | None:
        episode = standing.episode
        if episode is None:
            return None
        resolving = None
        if episode.resolving_id is not None and episode.resolved is not None:
            resolving = self._by_id.get(episode.resolving_id)
        return Incident(
            episode.incident_id,
            episode.starting,
            episode.opened,
            episode.resolved,
            resolving,
            episode.is_reset,
            tuple(map(self._judged, episode.row)),
            tuple(map(self._judged, episode.later)),
        )

    def _overruled(self, incident: Incident | None, newest: Run | None) -> tuple[Run, ...]:
        """Results that did not count: since the open incident began, else only the newest run's."""
        found = [
            run
            for run in self._runs
            if any(each is not None and each.overruled_by is not None for each in (run.failure, run.success))
        ]
        if incident is not None and incident.is_open:
            return tuple(run for run in found if run.known >= incident.starting)
        return tuple(run for run in found if newest is not None and run.check_in_id == newest.check_in_id)

    def _expected(self, config: Config, resets: list[datetime]) -> datetime | None:
        if self._at is None:
            moment: datetime | None = self._next_now
            return moment
        came = [_came(row) for row in (*(row[1:6] + row[7:] for row in self._rows), *self._later())]
        return due.due_at(
            self._at, config, came, self._moves(resets), self._next_if_enabled(), self._schedules
        )

    def _later(self) -> list[tuple[Any, ...]]:
        return [(*row[:4], None, *row[4:]) for row in self._tables.came_later()]

    def _next_if_enabled(self) -> datetime | None:
        moment: datetime | None = self._next_now if self._status_now != "disabled" else None
        return moment

    def _moves(self, resets: list[datetime]) -> due.Moves:
        configs, restarts = [], list(resets)
        for at, (replaced_at, before, by, _) in enumerate(self._replaced):
            after = self._replaced[at + 1][1] if at + 1 < len(self._replaced) else self._config_now
            if _timing(before) != _timing(after):
                configs.append(replaced_at)
                if by != "check_in":
                    restarts.append(replaced_at)
        restarts += [moment for moment, status in self._tables.statuses() if status == "active"]
        return due.Moves(configs, restarts)

    @staticmethod
    def _shift(at: datetime, config: Config, runs: Sequence[Run]) -> Shift | None:
        """Since the clocks were changed: those of the monitor's zone, or of where many machines are."""
        for name in (config.timezone, *_OTHER_CLOCKS):
            if name in zone_names() and (found := patterns.shift(at, load_zone(name), name, runs)):
                return found
        return None

    def _neighbours(self, incident: Incident | None) -> Neighbours | None:
        if incident is None:
            return None
        own = (self._keys[1], incident.starting)
        return patterns.neighbours(own, self._tables.others(incident.starting))

    def _mute(self) -> Mute | None:
        muted = self._tables.mutes()
        if muted or self._at is not None:
            return muted[0] if muted else None
        return Mute(None, True, self._is_muted) if self._is_muted or self._env_muted else None

    def _deleted_before(self) -> Deletion | None:
        project_id, slug, environment = self._keys
        found = [
            each
            for each in deletions_of(self._connection, slug, project_id, environment)
            if each.at <= self._created or each.environment == environment
        ]
        found = [each for each in found if not self._is_after(each.at)]
        return max(found, key=lambda each: each.at, default=None)


def _verdicts(decided: Sequence[Decided], at: datetime | None) -> dict[tuple[UUID, bool], Verdict]:
    """As they were known then: one that waited for its tick was undecided until that was decided."""
    verdicts = {}
    for known, made, each in in_order(decided):
        is_known = at is None or known <= at
        verdicts[each.check_in_id, each.is_failure] = Verdict(
            each.counted if is_known else None,
            each.noticed,
            made if made > each.noticed and is_known else None,
            each.overruled_by if is_known else None,
            each.incident_id if is_known else None,
            each.message if is_known else None,
        )
    return verdicts


def _refused_since(incident: Incident | None, failing: Sequence[Run], newest: Run | None) -> datetime | None:
    """From when on refused check-ins matter: since the failures began, else since the newest run ended."""
    if incident is not None and incident.is_open:
        return incident.starting
    if failing:
        return failing[0].began
    if newest is None:
        return None
    return newest.began if newest.status == MISSED else newest.known


def _came(row: tuple[Any, ...]) -> due.Came:
    status, began, ended, expected, _, noticed = row
    tick = noticed if noticed is not None else ended
    return due.Came(status, began, ended, expected, tick if status in (MISSED, TIMEOUT) else None)


def _timing(config: Config) -> tuple[str, str, str, int]:
    return config.schedule_type, config.schedule, config.timezone, config.checkin_margin
