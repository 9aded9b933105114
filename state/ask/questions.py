"""Questions that have a name: `./run.sh sql status` instead of a query."""

from __future__ import annotations

from typing import Any, NamedTuple

Parameters = dict[str, Any]
"""What a query is given, by the names it has there."""


class Question(NamedTuple):
    """A query, and what it may be given."""

    help: str
    query: str
    parameter: str | None = None
    """What may follow the name: the query's $slug, NULL if nothing does."""
    is_required: bool = False
    flag: str | None = None
    """An option that narrows the answer: the query's $flag, whether it is given."""
    days: int | None = None
    """How far it looks back from the event clock: the query's $days unless --days says another number."""

    @property
    def usage(self) -> str:
        """What may follow the name, as it is typed."""
        parameter = self.parameter and (self.parameter if self.is_required else f"[{self.parameter}]")
        flag = self.flag and f"[{self.flag}]"
        days = "[--days N]" if self.days else None
        return " ".join(word for word in (parameter, flag, days) if word)

    def fill(self, word: str | None = None, is_flagged: bool = False, days: int | None = None) -> Parameters:
        """The query's parameters; those it does not have must not be given."""
        filled: Parameters = {}
        if self.parameter:
            filled["slug"] = word
        if self.flag:
            filled["flag"] = is_flagged
        if self.days:
            filled["days"] = days or self.days
        return filled


QUESTIONS: dict[str, Question] = {
    "status": Question(
        "every monitor environment and how it is doing, failing ones first",
        """
        SELECT project_id, slug, environment, status, since, last_run, next_expected, overdue_by, schedule, owner
        FROM monitor_status
        ORDER BY status <> 'error', CASE status WHEN 'error' THEN since END, project_id, slug, environment
        """,
    ),
    "incidents": Question(
        "incidents, newest first; with --open only those that are not resolved",
        """
        SELECT project_id, slug, environment, starting_timestamp AS since, resolving_timestamp AS resolved,
            lasted, incident_id
        FROM incident_durations
        WHERE is_open OR NOT $flag::BOOLEAN
        ORDER BY starting_timestamp DESC, project_id, slug, environment
        """,
        flag="--open",
    ),
    "uptime": Question(
        "how much of the last days (30) each environment was well, worst first",
        """
        SELECT project_id, slug, environment, round(100 * uptime, 3) AS uptime_percent, ok, failing, unknown,
            incidents
        FROM uptime(event_clock() - to_hours(24 * $days::INTEGER), event_clock())
        ORDER BY uptime NULLS LAST, failing DESC, project_id, slug, environment
        """,
        days=30,
    ),
    "mttr": Question(
        "mean time to recovery by environment and week, newest week first",
        "SELECT * FROM mttr ORDER BY week DESC, mttr DESC, project_id, slug, environment",
    ),
    "mtbf": Question(
        "mean time between failures by environment and week, newest week first",
        "SELECT * FROM mtbf ORDER BY week DESC, failures DESC, mtbf, project_id, slug, environment",
    ),
    "durations": Question(
        "how long runs of the last week took against the four weeks before, slowest first",
        """
        SELECT project_id, slug, environment, runs, round(p50_ms)::BIGINT AS p50_ms, round(p95_ms)::BIGINT AS p95_ms,
            max_ms, runs_before, round(p50_ms_before)::BIGINT AS p50_ms_before, round(trend, 2) AS trend
        FROM run_durations
        ORDER BY run_durations.p95_ms DESC, project_id, slug, environment
        """,
    ),
    "late": Question(
        "how late runs of the last week began, latest first",
        """
        SELECT project_id, slug, environment, runs, late_runs, p50_late, p95_late, max_late, checkin_margin
        FROM late_starts
        WHERE late_runs > 0
        ORDER BY late_runs DESC, max_late DESC, project_id, slug, environment
        """,
    ),
    "unexpected": Question(
        "runs of the last week that the schedule does not ask for, newest first",
        "SELECT * FROM unexpected_runs ORDER BY date_added DESC, project_id, slug, environment, check_in_id",
    ),
    "flapping": Question(
        "environments with three or more incidents in the last week",
        "SELECT * FROM flapping ORDER BY incidents DESC, project_id, slug, environment",
    ),
    "never-recovered": Question(
        "open incidents without a single ok since they began, oldest first",
        "SELECT * FROM never_recovered ORDER BY starting_timestamp, project_id, slug, environment",
    ),
    "noisiest": Question(
        "who caused most messages in the last week",
        """
        SELECT * REPLACE (round(share, 4) AS share) FROM noisiest
        ORDER BY messages DESC, project_id, slug, environment
        """,
    ),
    "errors": Question(
        "why messages were rejected: how many of each type and project, from when to when, and one of them",
        """
        SELECT error_type, project_id, messages, last_day, monitors, first_received, last_received, latest_slug
        FROM error_summary
        ORDER BY messages DESC, error_type, project_id
        """,
    ),
    "timeline": Question(
        "everything that happened to a monitor in the last days (1), in order",
        """
        FROM timeline(
            CASE WHEN contains($slug, '/') THEN split_part($slug, '/', 1)::UBIGINT END, split_part($slug, '/', -1),
            event_clock() - to_hours(24 * $days::INTEGER), event_clock()
        )
        """,
        parameter="[PROJECT/]SLUG",
        is_required=True,
        days=1,
    ),
    "checkins": Question(
        "the newest 50 check-ins, of all monitors or of one",
        """
        SELECT date_added, project_id, slug, environment, status, duration_ms, check_in_id
        FROM check_ins
        WHERE $slug::VARCHAR IS NULL OR slug = $slug
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
        WHERE slug = $slug
        ORDER BY received_at DESC, topic, "partition", "offset" DESC
        LIMIT 50
        """,
        parameter="SLUG",
        is_required=True,
    ),
}
