"""What is read of the tables for an answer: one function a question, rows as they are."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import duckdb

from state.ask.why.facts import (
    Broken,
    Config,
    Deletion,
    Message,
    Mute,
    Refusals,
    SystemIncident,
)
from state.ask.why.judged import Decided, IncidentRow

MOST_RUNS = 2000
"""The newest runs that an answer looks at."""
_DEFAULTS = (None, None, "UTC", 1, 30, 1, 1)
_CONFIG = """schedule_type, schedule, timezone, checkin_margin, max_runtime, failure_issue_threshold,
    recovery_threshold"""
FOREVER = datetime.fromisoformat("9999-12-31T00:00:00+00:00")


def config_of(row: tuple[Any, ...]) -> Config:
    """A config from the columns of `monitors` or `monitor_config_history`, with the defaults of what is not set."""
    values: list[Any] = [
        default if value is None else value for value, default in zip(row, _DEFAULTS, strict=True)
    ]
    return Config(*values)


class Tables:
    """The rows of one environment; `at` is the newest time that counts."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        project_id: int,
        slug: str,
        environment: str,
        at: datetime | None,
    ) -> None:
        self._connection = connection
        self._given: dict[str, Any] = {"project": project_id, "slug": slug, "environment": environment}
        self._given["at"] = FOREVER if at is None else at

    def _rows(self, query: str, **more: Any) -> list[tuple[Any, ...]]:
        given = self._given | more
        used = {name: value for name, value in given.items() if f"${name}" in query}
        return self._connection.execute(query, used).fetchall()

    def monitor(self) -> tuple[Config, datetime, str, bool]:
        """Config, when it was created, status and mute of the monitor as they are now."""
        ((*config, created, status, is_muted),) = self._rows(
            f"""
            SELECT {_CONFIG}, created_at, status, is_muted FROM monitors
            WHERE project_id = $project AND slug = $slug
            """  # noqa: S608 - our own text
        )
        return config_of(tuple(config)), created, status, is_muted

    def environment(self) -> tuple[Any, ...]:
        """status, next_checkin, open_incident_id, updated_at, is_muted as they are now."""
        (row,) = self._rows(
            """
            SELECT status, next_checkin, open_incident_id, updated_at, is_muted FROM monitor_environments
            WHERE project_id = $project AND slug = $slug AND environment = $environment
            """
        )
        return row

    def configs(self) -> list[tuple[datetime, Config, str | None, str | None]]:
        """What was replaced, oldest first: until when it held, what it was, what replaced it, of which environment.

        Changes of name or owner alone are left out: nothing that is decided depends on them.
        """
        rows = [
            (replaced_at, config_of(tuple(config)), by, environment)
            for replaced_at, by, environment, *config in self._rows(
                f"""
                SELECT replaced_at, replaced_by, replaced_by_environment, {_CONFIG}
                FROM monitor_config_history WHERE project_id = $project AND slug = $slug ORDER BY replaced_at
                """  # noqa: S608
            )
        ]
        if not rows:
            return rows
        following = [*(row[1] for row in rows[1:]), self.monitor()[0]]
        return [row for row, after in zip(rows, following, strict=True) if row[1] != after]

    def statuses(self) -> list[tuple[datetime, str]]:
        """When the monitor was disabled and enabled, oldest first."""
        return self._rows(
            """
            SELECT changed_at, status FROM monitor_status_history
            WHERE project_id = $project AND slug = $slug ORDER BY changed_at
            """
        )

    def resets(self) -> list[datetime]:
        """When controls reset the environment, oldest first."""
        return [
            moment
            for (moment,) in self._rows(
                """
                SELECT c.received_at FROM controls AS c
                JOIN monitors AS m ON m.project_id = c.project_id AND m.slug = c.slug
                WHERE c.project_id = $project AND c.slug = $slug AND c.type = 'reset'
                    AND coalesce(c.environment = $environment, true) AND c.received_at >= m.created_at
                ORDER BY c.received_at
                """
            )
        ]

    def check_ins(self) -> list[tuple[Any, ...]]:
        """The newest check-ins that had begun by then, oldest first, with what came of them:

        check_in_id, status, date_added, date_updated, expected_time, timeout_at, duration_ms, and noticed_at of the
        decision about their failure.
        """
        return self._rows(
            f"""
            SELECT c.check_in_id, c.status, c.date_added, c.date_updated, c.expected_time, c.timeout_at, c.duration_ms,
                d.noticed_at
            FROM (
                SELECT * FROM check_ins
                WHERE project_id = $project AND slug = $slug AND environment = $environment AND date_added <= $at
                ORDER BY date_added DESC LIMIT {MOST_RUNS}
            ) AS c
            LEFT JOIN run_decisions AS d ON d.project_id = c.project_id AND d.slug = c.slug
                AND d.environment = c.environment AND d.check_in_id = c.check_in_id AND d.verdict = 'failure'
            ORDER BY c.date_added, c.check_in_id
            """  # noqa: S608
        )

    def came_later(self) -> list[tuple[Any, ...]]:
        """The first check-ins that were seen later: status, date_added, date_updated, expected_time, noticed_at."""
        return self._rows(
            """
            SELECT c.status, c.date_added, c.date_updated, c.expected_time, d.noticed_at
            FROM check_ins AS c
            LEFT JOIN run_decisions AS d ON d.project_id = c.project_id AND d.slug = c.slug
                AND d.environment = c.environment AND d.check_in_id = c.check_in_id AND d.verdict = 'failure'
            WHERE c.project_id = $project AND c.slug = $slug AND c.environment = $environment
                AND c.date_added > $at
            ORDER BY c.date_added LIMIT 50
            """
        )

    def decisions(self) -> list[Decided]:
        """What was decided about results, as far as it was noticed by then."""
        return [
            Decided(*row)
            for row in self._rows(
                """
                SELECT d.check_in_id, d.verdict = 'failure', d.date_added, d.noticed_at, d.counted, d.overruled_by,
                    d.incident_id, d.message,
                    d.system_incident_id IS NOT NULL OR d.silence_id IS NOT NULL, c.status,
                    CASE WHEN d.verdict = 'failure' AND c.status IS DISTINCT FROM 'error' THEN t.decided_at END, d.place
                FROM run_decisions AS d
                LEFT JOIN check_ins AS c ON c.project_id = d.project_id AND c.slug = d.slug
                    AND c.environment = d.environment AND c.check_in_id = d.check_in_id
                LEFT JOIN clock_ticks AS t ON t.minute = d.noticed_at
                WHERE d.project_id = $project AND d.slug = $slug AND d.environment = $environment
                    AND d.noticed_at <= $at
                ORDER BY d.noticed_at, d.date_added, d.check_in_id, d.verdict
                """
            )
        ]

    def incidents(self) -> list[IncidentRow]:
        """All incidents of the environment that had begun by then, oldest first."""
        return [
            IncidentRow(*row)
            for row in self._rows(
                """
                SELECT i.incident_id, i.starting_check_in_id, i.starting_timestamp, i.resolving_check_in_id,
                    i.resolving_timestamp, c.date_updated,
                    EXISTS (
                        FROM run_decisions AS d
                        WHERE d.project_id = i.project_id AND d.slug = i.slug AND d.environment = i.environment
                            AND d.incident_id = i.incident_id AND d.verdict = 'failure'
                    )
                FROM incidents AS i
                LEFT JOIN check_ins AS c ON c.project_id = i.project_id AND c.slug = i.slug
                    AND c.environment = i.environment AND c.check_in_id = i.resolving_check_in_id
                WHERE i.project_id = $project AND i.slug = $slug AND i.environment = $environment
                    AND i.starting_timestamp <= $at
                ORDER BY i.starting_timestamp, i.incident_id
                """
            )
        ]

    def others(self, around: datetime) -> list[tuple[str, datetime]]:
        """Incidents of other monitors of the project that began within half an hour of a time."""
        return self._rows(
            """
            SELECT slug, starting_timestamp FROM incidents
            WHERE project_id = $project AND slug <> $slug AND starting_timestamp <= $at
                AND starting_timestamp BETWEEN $around::TIMESTAMPTZ - INTERVAL 30 MINUTE
                    AND $around::TIMESTAMPTZ + INTERVAL 30 MINUTE
            ORDER BY starting_timestamp, slug
            """,
            around=around,
        )

    def refusals(self, since: datetime | None) -> Refusals | None:
        """Check-ins that named the monitor and were rejected after `since`.

        Of this environment; or of another one that knew the id of a run here.
        """
        rows = self._rows(
            """
            SELECT received_at, error_types FROM processing_errors
            WHERE project_id = $project AND slug = $slug AND received_at <= $at
                AND ($since::TIMESTAMPTZ IS NULL OR received_at > $since)
                AND (coalesce(nullif(environment, ''), 'production') = $environment
                    OR list_contains(json_extract_string(errors, '$[*].existingEnvironment'), $environment))
                AND NOT list_has_any(error_types, ['INVALID_CONTROL', 'TOO_MANY_RULES'])
                AND error_types <> ['MONITOR_INVALID_CONFIG']
                AND NOT (list_contains(error_types, 'MONITOR_DISABLED_NO_QUOTA') AND payload LIKE '%upsert_monitor%')
            ORDER BY received_at, error_id
            """,
            since=since,
        )
        if not rows:
            return None
        newest, reasons = rows[-1]
        counted: dict[str, int] = {}
        for _, types in rows:
            for each in types:
                if each not in reasons:
                    counted[each] = counted.get(each, 0) + 1
        return Refusals(len(rows), since, newest, tuple(reasons), tuple(counted.items()))

    def system_incident(self) -> SystemIncident | None:
        """The system incident that was going on then."""
        rows = self._rows(
            """
            SELECT start, "end", volume, expected FROM system_incidents
            WHERE start <= $at AND detected_at <= $at AND coalesce("end" > $at, true)
            ORDER BY start DESC LIMIT 1
            """
        )
        return SystemIncident(*rows[0]) if rows else None

    def mutes(self) -> list[Mute]:
        """What was muted then: the monitor first, then the environment."""
        rows = self._rows(
            """
            SELECT changed_at, is_by_person, environment = '', is_muted FROM mute_history
            WHERE project_id = $project AND slug = $slug AND environment IN ($environment, '') AND changed_at <= $at
            QUALIFY row_number() OVER (PARTITION BY environment ORDER BY changed_at DESC) = 1
            ORDER BY environment
            """
        )
        return [Mute(*row[:3]) for row in rows if row[3]]

    def broken(self) -> Broken | None:
        """Whether it counted as broken then."""
        rows = self._rows(
            """
            SELECT detected_at, CASE WHEN muted_at <= $at THEN muted_at END FROM broken_monitors
            WHERE project_id = $project AND slug = $slug AND environment = $environment
                AND detected_at <= $at AND coalesce(recovered_at > $at, true)
            ORDER BY detected_at DESC LIMIT 1
            """
        )
        return Broken(*rows[0]) if rows else None

    def message(self) -> Message | None:
        """The newest message by then."""
        rows = self._rows(
            """
            SELECT payload_type, created_at, coalesce(payload->>'issue_title' LIKE 'Monitor flapping: %', false)
            FROM status_changes
            WHERE project_id = $project AND slug = $slug AND environment = $environment AND created_at <= $at
            ORDER BY created_at DESC, payload_type, message_id LIMIT 1
            """
        )
        return Message(*rows[0]) if rows else None


def event_clock_of(connection: duckdb.DuckDBPyConnection) -> datetime | None:
    """Up to here the snapshot holds everything; None: nothing has moved the clock yet."""
    row = connection.execute("SELECT event_clock() FROM snapshot_info").fetchone()
    return row[0] if row is not None else None


def reached_by(connection: duckdb.DuckDBPyConnection) -> datetime | None:
    """From here on the snapshot holds nothing: the minute after the fastest partition's clock; None: nothing has."""
    row = connection.execute(
        """
        SELECT greatest(event_clock(), max(p.clock)) + INTERVAL 1 MINUTE
        FROM (SELECT unnest(positions, recursive := true) FROM snapshot_info) AS p
        """
    ).fetchone()
    return row[0] if row is not None and row[0] is not None else event_clock_of(connection)


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


def deletions_of(
    connection: duckdb.DuckDBPyConnection, slug: str, project_id: int | None, environment: str | None
) -> list[Deletion]:
    """The newest control that deleted each monitor of that slug, or an environment of it: whole monitors first.

    `environment`: only what it was deleted by.
    """
    rows = connection.execute(
        """
        SELECT project_id, slug, environment, received_at, topic || '/' || "partition" || '/' || "offset"
        FROM controls
        WHERE type = 'delete_monitor' AND slug = $slug AND ($project::UBIGINT IS NULL OR project_id = $project)
            AND ($environment::VARCHAR IS NULL OR environment IS NULL OR environment = $environment)
        QUALIFY row_number() OVER (
            PARTITION BY project_id, environment ORDER BY received_at DESC, topic, "partition", "offset" DESC
        ) = 1
        ORDER BY project_id, environment NULLS FIRST
        """,
        {"slug": slug, "project": project_id, "environment": environment},
    ).fetchall()
    return [Deletion(*row) for row in rows]


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
