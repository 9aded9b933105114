"""What the tables say about one monitor environment at one time: the facts behind `./run.sh sql why`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import duckdb


class Config(NamedTuple):
    """What was asked of the job."""

    schedule_type: str
    schedule: str
    timezone: str
    checkin_margin: int
    max_runtime: int
    failure_threshold: int
    recovery_threshold: int
    since: datetime
    until: datetime | None
    """When it was changed since; None: it still holds."""


class Run(NamedTuple):
    """A check-in."""

    status: str
    began: datetime
    """A miss: when it was due."""
    known: datetime
    """When it became what it is: a miss or time-out, the tick; else when the job reported."""
    expected: datetime | None
    timeout_at: datetime | None
    tick_decided: datetime | None
    """Of a miss or time-out, when its tick was decided; None: never judged, or pending."""
    tick_decision: str | None


class IncidentFacts(NamedTuple):
    """The newest incident that had been opened by then."""

    incident_id: str
    starting: datetime
    opened: datetime
    resolved: datetime | None


class SystemIncidentFacts(NamedTuple):
    """Check-ins were being lost."""

    start: datetime
    end: datetime | None
    volume: int
    """Check-ins in the minute that decided it, and how many are usual."""
    usual: float


class Mute(NamedTuple):
    """Failures were not told."""

    since: datetime | None
    """None: not known."""
    is_by_person: bool
    is_whole_monitor: bool


class Broken(NamedTuple):
    """Nobody mended it."""

    detected: datetime
    muted: datetime | None


class Told(NamedTuple):
    """The newest message by then."""

    payload_type: str
    at: datetime
    is_flapping: bool


@dataclass(frozen=True)
class Facts:
    """One environment at one time."""

    project_id: int
    slug: str
    environment: str
    at: datetime
    is_now: bool
    config: Config
    disabled_since: datetime | None
    first_seen: datetime | None
    incident: IncidentFacts | None
    failures: list[Run]
    """The failing check-ins of the incident known by then, oldest first."""
    successes: int
    """Successes in a row since the newest failure."""
    failing: int
    """Failing check-ins in a row up to then."""
    newest: Run | None
    running: list[Run]
    unknown: list[Run]
    """Check-ins known to be unknown by then, since the newest known otherwise."""
    expected: datetime | None
    system_incident: SystemIncidentFacts | None
    mute: Mute | None
    broken: Broken | None
    told: Told | None


def environments_of(
    connection: duckdb.DuckDBPyConnection, slug: str, project_id: int | None, environment: str | None
) -> list[tuple[int, str]]:
    """The environments of the monitors of that slug, by project and name."""
    return connection.execute(
        """
        SELECT project_id, environment FROM monitor_environments
        WHERE slug = $slug AND ($project::UBIGINT IS NULL OR project_id = $project)
            AND ($environment::VARCHAR IS NULL OR environment = $environment)
        ORDER BY project_id, environment
        """,
        {"slug": slug, "project": project_id, "environment": environment},
    ).fetchall()


def rejections_of(
    connection: duckdb.DuckDBPyConnection, slug: str, project_id: int | None
) -> tuple[int, datetime | None, str | None]:
    """How many messages that named the slug were rejected, the newest one's time and reasons."""
    row = connection.execute(
        """
        SELECT count(*), max(received_at), arg_max(array_to_string(error_types, ', '), received_at)
        FROM processing_errors WHERE slug = $slug AND ($project::UBIGINT IS NULL OR project_id = $project)
        """,
        {"slug": slug, "project": project_id},
    ).fetchone()
    assert row is not None
    return row


def facts_of(
    connection: duckdb.DuckDBPyConnection, project_id: int, slug: str, environment: str, at: datetime | None
) -> Facts:
    """Everything about one environment; `at` None: as of the event clock."""
    return _Asking(connection, project_id, slug, environment, at).facts()


class _Asking:
    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        project_id: int,
        slug: str,
        environment: str,
        at: datetime | None,
    ) -> None:
        self._connection = connection
        clock = connection.execute("SELECT event_clock() FROM snapshot_info").fetchone()
        now = clock[0] if clock is not None else None
        self.is_now = at is None or (now is not None and at >= now)
        chosen = now if self.is_now else at
        if chosen is None:  # nothing has moved the clock yet
            chosen = datetime.fromisoformat("9999-12-31T00:00:00+00:00")
        self._keys = (project_id, slug, environment)
        self._given: dict[str, Any] = dict(zip(("project", "slug", "environment"), self._keys, strict=True))
        self._given["at"] = self.at = chosen

    def _rows(self, query: str, **more: Any) -> list[tuple[Any, ...]]:
        given = self._given | more
        used = {name: value for name, value in given.items() if f"${name}" in query}
        return self._connection.execute(query, used).fetchall()

    def facts(self) -> Facts:
        config = self._config()
        incident = self._incident(config)
        runs = self._runs()
        finished = [run for run in runs if run.status not in ("in_progress", "unknown")]
        failures = [run for run in finished if run.status != "ok"]
        rest = [run.status == "ok" for run in reversed(finished)]
        newest = finished[-1] if finished else None
        return Facts(
            *self._keys,
            self.at,
            self.is_now,
            config,
            self._disabled_since(),
            min((run.began for run in runs), default=None),
            incident,
            [run for run in failures if incident is not None and run.began >= incident.starting],
            rest.index(False) if False in rest else len(rest),
            rest.index(True) if True in rest else len(rest),
            newest,
            [run for run in runs if run.status == "in_progress"],
            [run for run in runs if run.status == "unknown" and (newest is None or run.known > newest.known)],
            self._expected(),
            self._system_incident(),
            self._mute(),
            self._broken(),
            self._told(),
        )

    def _config(self) -> Config:
        ((*config, created),) = self._rows(
            """
            SELECT schedule_type, schedule, timezone, checkin_margin, max_runtime, failure_issue_threshold,
                recovery_threshold, created_at
            FROM monitors WHERE project_id = $project AND slug = $slug
            """
        )
        until = None
        for replaced_at, *before in self._rows(
            """
            SELECT replaced_at, schedule_type, schedule, timezone, checkin_margin, max_runtime,
                failure_issue_threshold, recovery_threshold
            FROM monitor_config_history WHERE project_id = $project AND slug = $slug ORDER BY replaced_at DESC
            """
        ):
            if replaced_at <= self.at:
                created = replaced_at
                break
            until, config = replaced_at, before
        defaults = (None, None, "UTC", 1, 30, 1, 1)
        named: list[Any] = [
            default if value is None else value for value, default in zip(config, defaults, strict=True)
        ]
        return Config._make([*named, created, until])

    def _disabled_since(self) -> datetime | None:
        rows = self._rows(
            """
            SELECT changed_at, status FROM monitor_status_history
            WHERE project_id = $project AND slug = $slug AND changed_at <= $at
            ORDER BY changed_at DESC LIMIT 1
            """
        )
        return rows[0][0] if rows and rows[0][1] == "disabled" else None

    def _incident(self, config: Config) -> IncidentFacts | None:
        """Opened and resolved when it was noticed: by its messages, and where none was sent by its check-ins."""
        rows = self._rows(
            """
            WITH told AS (
                SELECT incident_id, min(created_at) FILTER (WHERE payload_type = 'occurrence') AS opened
                FROM status_changes
                WHERE project_id = $project AND slug = $slug AND environment = $environment
                GROUP BY incident_id
            ),
            failing AS (
                SELECT i.incident_id, c.date_updated,
                    row_number() OVER (PARTITION BY i.incident_id ORDER BY c.date_added, c.check_in_id) AS place
                FROM incidents AS i
                JOIN check_ins AS c ON c.project_id = i.project_id AND c.slug = i.slug
                    AND c.environment = i.environment AND c.date_added >= i.starting_timestamp
                    AND c.status IN ('error', 'missed', 'timeout')
                WHERE i.project_id = $project AND i.slug = $slug AND i.environment = $environment
            ),
            known AS (
                SELECT i.incident_id, i.starting_timestamp,
                    least(f.date_updated, t.opened) AS opened,
                    coalesce(r.date_updated, i.resolving_timestamp) AS resolved  -- its check-in may be gone
                FROM incidents AS i
                LEFT JOIN told AS t ON t.incident_id = i.incident_id
                LEFT JOIN failing AS f ON f.incident_id = i.incident_id AND f.place = $threshold
                LEFT JOIN check_ins AS r ON r.project_id = i.project_id AND r.slug = i.slug
                    AND r.environment = i.environment AND r.check_in_id = i.resolving_check_in_id
                WHERE i.project_id = $project AND i.slug = $slug AND i.environment = $environment
            )
            SELECT incident_id, starting_timestamp, coalesce(opened, starting_timestamp) AS opened,
                CASE WHEN resolved <= $at THEN resolved END
            FROM known WHERE coalesce(opened, starting_timestamp) <= $at
            ORDER BY opened DESC, starting_timestamp DESC LIMIT 1
            """,
            threshold=config.failure_threshold,
        )
        return IncidentFacts(*rows[0]) if rows else None

    def _runs(self) -> list[Run]:
        """The newest check-ins known by then, in the order in which they began.

        One that changed since was in progress then: nothing else changes later.
        """
        rows = self._rows(
            """
            WITH known AS (
                SELECT c.*, c.status IN ('missed', 'timeout') AS is_found,
                    c.status = 'missed' OR c.date_updated <= $at AS is_final
                FROM check_ins AS c
                WHERE c.project_id = $project AND c.slug = $slug AND c.environment = $environment
                    AND CASE WHEN c.status = 'missed' THEN c.date_updated ELSE c.date_added END <= $at
                    AND NOT (c.status = 'unknown' AND c.date_updated > $at AND c.date_added = c.expected_time)
                ORDER BY c.date_added DESC LIMIT 2000
            )
            SELECT CASE WHEN k.is_final THEN k.status ELSE 'in_progress' END, k.date_added, k.date_updated,
                k.expected_time, k.timeout_at, t.decided_at, t.decision
            FROM known AS k
            LEFT JOIN clock_ticks AS t ON k.is_found AND t.minute = k.date_updated
            ORDER BY k.date_added, k.check_in_id
            """
        )
        return [Run(*row) for row in rows]

    def _expected(self) -> datetime | None:
        """What was due next: what the first check-in that came later found expected, else what is expected now."""
        rows = self._rows(
            """
            SELECT expected_time FROM (
                SELECT expected_time, CASE WHEN status = 'missed' THEN date_updated ELSE date_added END AS came
                FROM check_ins
                WHERE project_id = $project AND slug = $slug AND environment = $environment
            )
            WHERE came > $at AND expected_time IS NOT NULL ORDER BY came LIMIT 1
            """
        )
        if not rows:
            rows = self._rows(
                """
                SELECT next_checkin FROM monitor_environments
                WHERE project_id = $project AND slug = $slug AND environment = $environment
                """
            )
        return rows[0][0] if rows else None

    def _system_incident(self) -> SystemIncidentFacts | None:
        rows = self._rows(
            """
            SELECT start, "end", volume, expected FROM system_incidents
            WHERE start <= $at AND detected_at <= $at AND coalesce("end" > $at, true)
            ORDER BY start DESC LIMIT 1
            """
        )
        return SystemIncidentFacts(*rows[0]) if rows else None

    def _mute(self) -> Mute | None:
        rows = self._rows(
            """
            SELECT changed_at, is_by_person, environment = '', is_muted FROM mute_history
            WHERE project_id = $project AND slug = $slug AND environment IN ($environment, '') AND changed_at <= $at
            QUALIFY row_number() OVER (PARTITION BY environment ORDER BY changed_at DESC) = 1
            ORDER BY environment
            """
        )
        muted = [row[:3] for row in rows if row[3]]
        if muted or not self.is_now:
            return Mute(*muted[0]) if muted else None
        rows = self._rows(
            """
            SELECT m.is_muted FROM monitor_environments AS e
            JOIN monitors AS m ON m.project_id = e.project_id AND m.slug = e.slug
            WHERE e.project_id = $project AND e.slug = $slug AND e.environment = $environment
                AND (e.is_muted OR m.is_muted)
            """
        )
        return Mute(None, True, rows[0][0]) if rows else None

    def _broken(self) -> Broken | None:
        rows = self._rows(
            """
            SELECT detected_at, CASE WHEN muted_at <= $at THEN muted_at END FROM broken_monitors
            WHERE project_id = $project AND slug = $slug AND environment = $environment
                AND detected_at <= $at AND coalesce(recovered_at > $at, true)
            """
        )
        return Broken(*rows[0]) if rows else None

    def _told(self) -> Told | None:
        rows = self._rows(
            """
            SELECT payload_type, created_at, coalesce(payload->>'issue_title' LIKE 'Monitor flapping: %', false)
            FROM status_changes
            WHERE project_id = $project AND slug = $slug AND environment = $environment AND created_at <= $at
            ORDER BY created_at DESC, payload_type LIMIT 1
            """
        )
        return Told(*rows[0]) if rows else None
