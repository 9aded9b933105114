"""Questions that have a name: `cronwax status` instead of a query."""

from __future__ import annotations

from state.ask.question import CannotNarrowError as CannotNarrowError
from state.ask.question import Narrowing as Narrowing
from state.ask.question import Parameters as Parameters
from state.ask.question import Question as Question

QUESTIONS: dict[str, Question] = {
    "status": Question(
        "every monitor environment and how it is doing, failing ones first, those together that began together",
        """
        WITH states AS (
            SELECT s.project_id, s.slug, s.environment, s.status, s.since, s.last_run, s.next_expected, s.overdue_by,
                nullif(concat_ws(', ', CASE WHEN s.is_muted THEN 'muted' END,
                    CASE WHEN s.silenced_until IS NOT NULL
                        THEN 'silenced until ' || strftime(timezone('UTC', s.silenced_until), '%Y-%m-%d %H:%M') END,
                    CASE WHEN s.acknowledged_at IS NOT NULL THEN 'acknowledged' END,
                    CASE WHEN e.is_flapping THEN 'flapping' END,
                    CASE WHEN b.detected_at IS NOT NULL THEN 'broken' END), '') AS notes, s.schedule, s.owner,
                s.status = 'error' AND coalesce(s.since > lag(s.since) OVER w + INTERVAL 2 MINUTE, true) AS is_first
            FROM monitor_status AS s
            JOIN monitor_environments AS e
                ON e.project_id = s.project_id AND e.slug = s.slug AND e.environment = s.environment
            LEFT JOIN broken_monitors AS b ON b.recovered_at IS NULL
                AND b.project_id = s.project_id AND b.slug = s.slug AND b.environment = s.environment
            WINDOW w AS (PARTITION BY s.status = 'error' ORDER BY s.since)
        ),
        groups AS (
            SELECT *, CASE WHEN status = 'error' THEN
                sum(is_first::INT) OVER (PARTITION BY status = 'error' ORDER BY since) END AS place
            FROM states
        )
        SELECT * EXCLUDE (is_first, place),
            CASE WHEN place IS NOT NULL AND count(*) OVER g > 1 THEN min(since) OVER g END AS began,
            CASE WHEN place IS NOT NULL AND count(*) OVER g > 1 THEN count(*) OVER g END AS together
        FROM groups WINDOW g AS (PARTITION BY place)
        """,
        "status <> 'error', together DESC NULLS LAST, began, CASE status WHEN 'error' THEN since END, project_id, "
        "slug, environment",
        moment="since",
        optional=(
            "owner",
            "schedule",
            "last_run",
            "next_expected",
            "project_id",
            "overdue_by",
            "notes",
            "since",
        ),
        heading=("began", "together"),
    ),
    "incidents": Question(
        "incidents, newest first; with --open only those that are not resolved",
        """
        SELECT project_id, slug, environment, starting_timestamp AS since, resolving_timestamp AS resolved,
            lasted, incident_id
        FROM incident_durations
        WHERE is_open OR NOT $flag::BOOLEAN
        """,
        "since DESC, project_id, slug, environment",
        flag="--open",
        moment="since",
        optional=("resolved", "project_id", "lasted", "environment"),
    ),
    "uptime": Question(
        "how much of the last days (30) each environment was well, worst first",
        """
        SELECT project_id, slug, environment, round(100 * uptime, 3) AS uptime_percent, ok, failing, unknown,
            incidents
        FROM uptime(event_clock() - to_hours(24 * $days::INTEGER), event_clock())
        """,
        "uptime_percent NULLS LAST, failing DESC, project_id, slug, environment",
        days=30,
    ),
    "mttr": Question(
        "mean time to recovery by environment and week, newest week first",
        "SELECT * FROM mttr",
        "week DESC, mttr DESC, project_id, slug, environment",
    ),
    "mtbf": Question(
        "mean time between failures by environment and week, newest week first",
        "SELECT * FROM mtbf",
        "week DESC, failures DESC, mtbf, project_id, slug, environment",
    ),
    "durations": Question(
        "how long runs of the last week took against the four weeks before, slowest first",
        """
        SELECT project_id, slug, environment, runs, round(p50_ms)::BIGINT AS p50_ms, round(p95_ms)::BIGINT AS p95_ms,
            max_ms, runs_before, round(p50_ms_before)::BIGINT AS p50_ms_before, round(trend, 2) AS trend
        FROM run_durations
        """,
        "p95_ms DESC, project_id, slug, environment",
        optional=("p50_ms_before", "runs_before", "max_ms", "project_id", "runs"),
    ),
    "late": Question(
        "how late runs of the last week began, latest first",
        """
        SELECT project_id, slug, environment, runs, late_runs, p50_late, p95_late, max_late, checkin_margin
        FROM late_starts
        WHERE late_runs > 0
        """,
        "late_runs DESC, max_late DESC, project_id, slug, environment",
    ),
    "unexpected": Question(
        "runs of the last week that the schedule does not ask for, newest first",
        "SELECT * FROM unexpected_runs",
        "date_added DESC, project_id, slug, environment, check_in_id",
    ),
    "flapping": Question(
        "environments with three or more incidents in the last week",
        "SELECT * FROM flapping",
        "incidents DESC, project_id, slug, environment",
    ),
    "never-recovered": Question(
        "open incidents without a single ok since they began, oldest first",
        "SELECT * FROM never_recovered",
        "starting_timestamp, project_id, slug, environment",
    ),
    "noisiest": Question(
        "who caused most messages in the last week",
        """
        SELECT * REPLACE (round(share, 4) AS share) FROM noisiest
        """,
        "messages DESC, project_id, slug, environment",
    ),
    "errors": Question(
        "why messages were rejected: how many of each type and project, from when to when, and one of them",
        """
        SELECT error_type, project_id, messages, last_day, monitors, first_received, last_received, latest_slug
        FROM error_summary
        """,
        "messages DESC, error_type, project_id",
        parameter=None,
        optional=("last_day", "monitors", "first_received", "latest_slug"),
    ),
    "timeline": Question(
        "everything that happened to a monitor in the last days (1), in order",
        """
        SELECT * FROM timeline(
            $project::UBIGINT, $slug::VARCHAR, event_clock() - to_hours(24 * $days::INTEGER), event_clock()
        )
        """,
        is_required=True,
        days=1,
        takes_slug=True,
    ),
    "checkins": Question(
        "the newest 50 check-ins, of all monitors or of one",
        """
        SELECT date_added, project_id, slug, environment, status, duration_ms, check_in_id
        FROM check_ins
        """,
        "date_added DESC, project_id, slug, environment, check_in_id",
        limit=50,
        moment="date_added",
        optional=("duration_ms", "project_id"),
    ),
    "rules": Question(
        "sampling rules, active ones first",
        """
        SELECT organization_id, rule_id, is_active, project_ids, condition, kept, num_samples, sample_rate,
            start, "end"
        FROM sampling_rules
        """,
        "NOT is_active, organization_id, rule_id, start",
        parameter=None,
    ),
    "samples": Question(
        "the newest 50 payloads that were kept of a monitor",
        """
        SELECT received_at, project_id, slug, environment, rule_id, sample_rate, payload
        FROM check_in_samples
        """,
        "received_at DESC, project_id, slug, payload",
        is_required=True,
        limit=50,
        moment="received_at",
    ),
    "muted": Question(
        "what is muted or disabled, since when, and what failed there meanwhile",
        """
        SELECT s.project_id, s.slug, s.environment, s.status, s.is_muted, h.changed_at AS muted_since,
            h.is_by_person, s.open_incident_id, s.owner
        FROM monitor_status AS s
        LEFT JOIN (
            SELECT project_id, slug, environment, max(changed_at) AS changed_at,
                arg_max(is_muted, changed_at) AS is_muted, arg_max(is_by_person, changed_at) AS is_by_person
            FROM mute_history GROUP BY project_id, slug, environment
        ) AS h ON h.project_id = s.project_id AND h.slug = s.slug AND h.environment IN (s.environment, '')
            AND h.is_muted
        WHERE s.is_muted OR s.status = 'disabled'
        """,
        "muted_since NULLS LAST, project_id, slug, environment",
        optional=("owner", "is_by_person", "open_incident_id"),
    ),
    "silences": Question(
        "snoozes and maintenances that are not over, with the window that holds now or comes next",
        """
        SELECT s.silence_id, s.kind, s.project_id, s.slug, s.environment, s.owner, p.began_at, p.ended_at,
            p.began_at < event_clock() + INTERVAL 1 MINUTE AS holds_now, s.misses_count, s.rrule, s.over_at, s.who,
            s.note
        FROM silences AS s
        JOIN silence_periods AS p ON p.silence_id = s.silence_id AND p.ended_at > event_clock()
        QUALIFY row_number() OVER (PARTITION BY s.silence_id ORDER BY p.began_at) = 1
        """,
        "NOT holds_now, began_at, silence_id",
        moment="began_at",
        optional=("over_at", "note", "owner", "rrule", "environment"),
    ),
    "notifications": Question(
        "whom the notifier has asked to be notified of what, and what came of it; the newest 50",
        """
        SELECT sent_at, target, does, project_id, slug, environment, outcome, attempt, detail, route, incident_id,
            owner, message
        FROM notifications
        """,
        "sent_at DESC, target, message, attempt DESC",
        limit=50,
        moment="sent_at",
        optional=("message", "incident_id", "route", "owner", "detail", "environment"),
    ),
    "together": Question(
        "incidents that began together, none more than two minutes after the one before; the newest groups first",
        """
        WITH starts AS (
            SELECT i.*, m.owner, coalesce(starting_timestamp > INTERVAL 2 MINUTE
                + lag(starting_timestamp) OVER (ORDER BY starting_timestamp), true) AS is_first
            FROM incidents AS i LEFT JOIN monitors AS m ON m.project_id = i.project_id AND m.slug = i.slug
        ),
        groups AS (SELECT *, sum(is_first::INT) OVER (ORDER BY starting_timestamp) AS place FROM starts)
        SELECT min(starting_timestamp) AS began, count(*) AS incidents,
            count(*) FILTER (resolving_timestamp IS NULL) AS open,
            list(DISTINCT project_id ORDER BY project_id) AS projects,
            list(DISTINCT owner ORDER BY owner) FILTER (owner IS NOT NULL) AS owners,
            list(DISTINCT project_id || '/' || slug ORDER BY project_id || '/' || slug) AS monitors
        FROM groups GROUP BY place HAVING count(*) > 1
        """,
        "began DESC, incidents DESC",
        parameter=None,
        moment="began",
        optional=("projects", "owners"),
    ),
    "overlaps": Question(
        "runs of the last week that began while the run before was still going on",
        """
        WITH runs AS (
            SELECT project_id, slug, environment, check_in_id, date_added AS began,
                CASE WHEN status <> 'in_progress' THEN date_updated END AS ended,
                lag(date_added) OVER w AS before_began,
                lag(CASE WHEN status <> 'in_progress' THEN date_updated ELSE 'infinity'::TIMESTAMPTZ END) OVER w
                    AS before_ended
            FROM check_ins
            WHERE status NOT IN ('missed', 'unknown') AND date_added >= event_clock() - INTERVAL 7 DAY
            WINDOW w AS (PARTITION BY project_id, slug, environment ORDER BY date_added, check_in_id)
        )
        SELECT project_id, slug, environment, began, before_began,
            CASE WHEN isfinite(before_ended) THEN before_ended END AS before_ended, check_in_id
        FROM runs WHERE before_ended > began
        """,
        "began DESC, project_id, slug, environment",
        moment="began",
        optional=("check_in_id",),
    ),
    "changes": Question(
        "what was changed, and by what: configs, mutes, monitors created, deleted, disabled or reset, newest first",
        """
        WITH configs AS (
            SELECT c.project_id, c.slug, c.replaced_at,
                nullif(concat_ws(' of ', c.replaced_by, c.replaced_by_environment), '') AS by_what, [
                    concat_ws(' ', c.schedule_type, c.schedule), c.timezone,
                    'margin ' || coalesce(c.checkin_margin::VARCHAR, '1 (default)'),
                    'runtime ' || coalesce(c.max_runtime::VARCHAR, '30 (default)'),
                    'failures ' || coalesce(c.failure_issue_threshold::VARCHAR, '1 (default)'),
                    'recoveries ' || coalesce(c.recovery_threshold::VARCHAR, '1 (default)'),
                    'name ' || coalesce(c.name, m.name),
                    coalesce('owner ' || CASE WHEN c.name IS NULL THEN m.owner ELSE c.owner END, 'no owner')
                ] AS parts
            FROM (
                SELECT * FROM monitor_config_history
                UNION ALL BY NAME SELECT project_id, slug, schedule_type, schedule, timezone, checkin_margin,
                    max_runtime, failure_issue_threshold, recovery_threshold, name, owner FROM monitors
            ) AS c
            JOIN monitors AS m ON m.project_id = c.project_id AND m.slug = c.slug
        ),
        pairs AS (
            SELECT *, lead(parts) OVER (PARTITION BY project_id, slug ORDER BY replaced_at NULLS LAST) AS others
            FROM configs
        )
        SELECT replaced_at AS changed_at, project_id, slug, NULL AS environment, 'config' AS what,
            array_to_string([parts[i] FOR i IN range(1, 9) IF parts[i] <> others[i]], ', ') AS was,
            array_to_string([others[i] FOR i IN range(1, 9) IF parts[i] <> others[i]], ', ') AS now_is, by_what
        FROM pairs WHERE replaced_at IS NOT NULL
        UNION ALL SELECT changed_at, project_id, slug, nullif(environment, ''), 'mute', NULL,
            CASE WHEN is_muted THEN 'muted' ELSE 'unmuted' END, CASE WHEN is_by_person THEN 'control' ELSE 'flow' END
        FROM mute_history
        UNION ALL SELECT changed_at, project_id, slug, NULL, 'status', NULL, status, NULL FROM monitor_status_history
        UNION ALL SELECT created_at, project_id, slug, NULL, 'created', NULL, status, NULL FROM monitors
        UNION ALL SELECT received_at, project_id, slug, environment, type, NULL, NULL, 'control' FROM controls
        WHERE type IN ('delete_monitor', 'reset', 'set_killswitch', 'set_seats')
        """,
        "changed_at DESC, project_id, slug, what",
        limit=200,
        moment="changed_at",
        optional=("by_what", "project_id"),
    ),
    "lag": Question(
        "how far each input partition has been read, slowest clock first",
        """
        SELECT p.topic, p."partition", p.position, p.clock, event_clock() AS event_clock
        FROM (SELECT unnest(positions, recursive := true) FROM snapshot_info) AS p
        """,
        'clock NULLS FIRST, topic, "partition"',
        parameter=None,
    ),
}
