"""Questions that have a name: `./run.sh sql status` instead of a query."""

from __future__ import annotations

from typing import NamedTuple


class Question(NamedTuple):
    """A query, and what it may be given."""

    help: str
    query: str
    parameter: str | None = None
    """What may follow the name: the query's $1, NULL if nothing does."""
    is_required: bool = False
    flag: str | None = None
    """An option that narrows the answer: the query's $1, whether it is given."""

    @property
    def usage(self) -> str:
        """What may follow the name, as it is typed."""
        if self.flag:
            return f"[{self.flag}]"
        if self.parameter is None:
            return ""
        return self.parameter if self.is_required else f"[{self.parameter}]"


QUESTIONS: dict[str, Question] = {
    "status": Question(
        "every monitor environment and how it is doing, failing ones first",
        """
        SELECT e.project_id, e.slug, e.environment,
            CASE WHEN m.status = 'disabled' THEN 'disabled' ELSE e.status END AS status,
            m.schedule, e.last_checkin, e.next_checkin, i.starting_timestamp AS failing_since
        FROM monitor_environments e
        JOIN monitors m ON m.project_id = e.project_id AND m.slug = e.slug
        LEFT JOIN incidents i ON i.incident_id = e.open_incident_id
        ORDER BY e.status <> 'error', failing_since, e.project_id, e.slug, e.environment
        """,
    ),
    "incidents": Question(
        "incidents, newest first; with --open only those that are not resolved",
        """
        SELECT project_id, slug, environment, starting_timestamp AS since, resolving_timestamp AS resolved,
            resolving_timestamp - starting_timestamp AS lasted, incident_id
        FROM incidents
        WHERE NOT $1::BOOLEAN OR resolving_timestamp IS NULL
        ORDER BY starting_timestamp DESC, project_id, slug, environment
        """,
        flag="--open",
    ),
    "errors": Question(
        "why messages were rejected: how many of each type, from when to when, and one of them",
        """
        SELECT unnest(error_types) AS error_type, count(*) AS messages, min(received_at) AS first,
            max(received_at) AS latest, arg_max(slug, received_at) AS latest_slug
        FROM processing_errors
        GROUP BY error_type
        ORDER BY messages DESC, error_type
        """,
    ),
    "checkins": Question(
        "the newest 50 check-ins, of all monitors or of one",
        """
        SELECT date_added, project_id, slug, environment, status, duration_ms, check_in_id
        FROM check_ins
        WHERE $1::VARCHAR IS NULL OR slug = $1
        ORDER BY date_added DESC, project_id, slug, environment, check_in_id
        LIMIT 50
        """,
        parameter="SLUG",
    ),
    "rules": Question(
        "sampling rules, active ones first",
        """
        SELECT organization_id, rule_id, is_active, project_ids, condition, kept, num_samples, sample_rate,
            start, "end"
        FROM sampling_rules
        ORDER BY NOT is_active, organization_id, rule_id, created_at
        """,
    ),
    "samples": Question(
        "the newest 50 payloads that were kept of a monitor",
        """
        SELECT received_at, project_id, environment, rule_id, sample_rate, payload
        FROM check_in_samples
        WHERE slug = $1
        ORDER BY received_at DESC, topic, "partition", "offset" DESC
        LIMIT 50
        """,
        parameter="SLUG",
        is_required=True,
    ),
}
