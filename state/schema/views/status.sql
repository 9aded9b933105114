-- How every monitor environment is doing, and how much of a time it was well.

CREATE OR REPLACE VIEW monitor_status AS
WITH resolved AS (
    SELECT project_id, slug, environment, max(resolving_timestamp) AS resolving_timestamp
    FROM incidents
    GROUP BY project_id, slug, environment
),
states AS (
    SELECT e.project_id, e.slug, e.environment, m.organization_id, m.name, m.owner, m.schedule, m.timezone,
        coalesce(m.checkin_margin, 1) AS checkin_margin,
        m.is_muted OR e.is_muted AS is_muted, e.last_checkin, e.open_incident_id, o.starting_timestamp,
        CASE WHEN m.status = 'disabled' THEN 'disabled' ELSE e.status END AS status,
        CASE WHEN m.status <> 'disabled' THEN e.next_checkin END AS next_checkin,
        greatest(r.resolving_timestamp, m.created_at) AS settled_at,
        coalesce(d.began_at, m.updated_at) AS disabled_at,
        event_clock() AS now_at
    FROM monitor_environments AS e
    JOIN monitors AS m ON m.project_id = e.project_id AND m.slug = e.slug
    LEFT JOIN incidents AS o ON o.incident_id = e.open_incident_id
    LEFT JOIN resolved AS r
        ON r.project_id = e.project_id AND r.slug = e.slug AND r.environment = e.environment
    LEFT JOIN disabled_periods AS d
        ON d.project_id = e.project_id AND d.slug = e.slug AND d.ended_at IS NULL
),
never_came AS (
    SELECT e.project_id, e.slug, e.environment, min(c.date_added) AS first_missed
    FROM monitor_environments AS e
    JOIN check_ins AS c ON c.project_id = e.project_id AND c.slug = e.slug AND c.environment = e.environment
    WHERE c.status = 'missed' AND c.date_added > coalesce(e.last_checkin, '-infinity'::TIMESTAMPTZ)
    GROUP BY e.project_id, e.slug, e.environment
),
missing AS (
    SELECT s.*, CASE
        WHEN s.status = 'disabled' THEN NULL
        WHEN s.starting_timestamp > coalesce(s.last_checkin, '-infinity'::TIMESTAMPTZ) THEN s.starting_timestamp
        ELSE least(n.first_missed, s.next_checkin)
    END AS due_at
    FROM states AS s
    LEFT JOIN never_came AS n
        ON n.project_id = s.project_id AND n.slug = s.slug AND n.environment = s.environment
),
quiet AS (
    SELECT q.project_id, q.slug, q.environment, max(q.ended_at) AS silenced_until,
        arg_max(q.silence_id, q.ended_at) AS silence_id
    FROM silenced_environments AS q
    GROUP BY ALL
),
known AS (
    SELECT k.incident_id, k.acknowledged_at FROM incident_acknowledgements AS k
)
SELECT m.project_id, m.slug, m.environment, name, status,
    CASE status WHEN 'disabled' THEN disabled_at WHEN 'error' THEN starting_timestamp ELSE settled_at END AS since,
    last_checkin AS last_run,
    next_checkin AS next_expected,
    CASE WHEN due_at < now_at THEN span(due_at, now_at) END AS overdue_by,
    open_incident_id, owner, is_muted, schedule, timezone, organization_id,
    seconds_between(CASE status WHEN 'disabled' THEN disabled_at WHEN 'error' THEN starting_timestamp ELSE settled_at END,
        now_at) AS since_seconds,
    CASE WHEN due_at < now_at THEN seconds_between(due_at, now_at) END AS overdue_seconds,
    CASE WHEN due_at < now_at THEN greatest(seconds_between(due_at, now_at) - 60 * checkin_margin, 0) END
        AS beyond_margin_seconds,
    now_at AS event_clock, a.published_at, a.age_seconds, q.silenced_until, q.silence_id, k.acknowledged_at
FROM missing AS m
CROSS JOIN snapshot_age AS a
LEFT JOIN quiet AS q ON q.project_id = m.project_id AND q.slug = m.slug AND q.environment = m.environment
LEFT JOIN known AS k ON k.incident_id = m.open_incident_id;
COMMENT ON VIEW monitor_status IS 'How each monitor is doing now, in each of its environments: one row an environment.';
-- keys of monitor_status: project_id, slug, environment, name, owner, organization_id, event_clock, published_at, age_seconds
COMMENT ON COLUMN monitor_status.status IS
    'active: nothing finished yet. ok. error: an incident is open. disabled: the monitor is switched off.';
COMMENT ON COLUMN monitor_status.since IS
    'Since when. error: the first of the failing check-ins. ok: the resolution of the last incident; without one, as of active, the creation of the monitor. disabled: when it was disabled.';
COMMENT ON COLUMN monitor_status.last_run IS 'When the latest run began that counts; misses are no runs.';
COMMENT ON COLUMN monitor_status.next_expected IS 'When the job is due next; NULL while disabled.';
COMMENT ON COLUMN monitor_status.overdue_by IS
    'How long a run has been due at the event clock: since the first one that never came after the last run, else since next_expected. NULL if none is overdue.';
COMMENT ON COLUMN monitor_status.open_incident_id IS 'The incident that is open now; NULL if none is.';
COMMENT ON COLUMN monitor_status.is_muted IS 'True: monitor or environment is muted, no occurrence is sent.';
COMMENT ON COLUMN monitor_status.schedule IS 'When the job is due, as in monitors.schedule.';
COMMENT ON COLUMN monitor_status.timezone IS 'IANA name of the time zone that the schedule is read in.';
COMMENT ON COLUMN monitor_status.silenced_until IS
    'Until when nobody is notified of it (silenced_environments); NULL if it is not silenced.';
COMMENT ON COLUMN monitor_status.silence_id IS 'By which silence: the one that ends last.';
COMMENT ON COLUMN monitor_status.acknowledged_at IS 'When somebody acknowledged the open incident; NULL if nobody has.';
COMMENT ON COLUMN monitor_status.since_seconds IS 'For how many seconds: from since to the event clock.';
COMMENT ON COLUMN monitor_status.overdue_seconds IS 'overdue_by in seconds.';
COMMENT ON COLUMN monitor_status.beyond_margin_seconds IS
    'By how many seconds it is overdue beyond its margin; 0 within it, NULL if none is overdue.';

-- What lies in a disabled period is taken off everywhere. unknown is what is left of the time: so it holds what lies
-- before the monitor was created, too.
CREATE OR REPLACE MACRO uptime(from_time, to_time) AS TABLE
WITH cronwax_given AS (
    SELECT from_time::TIMESTAMPTZ AS cronwax_from, to_time::TIMESTAMPTZ AS cronwax_to
),
cronwax_bounds AS (
    SELECT cronwax_g.cronwax_from, least(cronwax_g.cronwax_to, cronwax_s.event_clock) AS cronwax_to,
        greatest(0, coalesce(epoch_us(least(cronwax_g.cronwax_to, cronwax_s.event_clock))
            - epoch_us(cronwax_g.cronwax_from), 0)) AS cronwax_us
    FROM cronwax_given AS cronwax_g
    CROSS JOIN snapshot_info AS cronwax_s
    WHERE cronwax_s.event_clock IS NOT NULL
),
cronwax_parts AS (
    SELECT p.project_id AS cronwax_project, p.slug AS cronwax_slug, p.environment AS cronwax_environment,
        p.state AS cronwax_state, p.is_muted AS cronwax_is_muted,
        epoch_us(least(p.ended_at, cronwax_b.cronwax_to)) - epoch_us(greatest(p.began_at, cronwax_b.cronwax_from))
            AS cronwax_us
    FROM cronwax_bounds AS cronwax_b
    JOIN cronwax_eventful_periods() AS p
        ON p.began_at < cronwax_b.cronwax_to AND p.ended_at > coalesce(cronwax_b.cronwax_from, '-infinity'::TIMESTAMPTZ)
),
cronwax_sums AS (
    SELECT cronwax_p.cronwax_project, cronwax_p.cronwax_slug, cronwax_p.cronwax_environment,
        coalesce(sum(cronwax_p.cronwax_us) FILTER (WHERE cronwax_p.cronwax_state = 'ok'), 0)::BIGINT AS cronwax_ok,
        coalesce(sum(cronwax_p.cronwax_us) FILTER (WHERE cronwax_p.cronwax_state = 'failing'), 0)::BIGINT AS cronwax_failing,
        coalesce(sum(cronwax_p.cronwax_us) FILTER (WHERE cronwax_p.cronwax_state = 'blind'), 0)::BIGINT AS cronwax_blind,
        coalesce(sum(cronwax_p.cronwax_us) FILTER (WHERE cronwax_p.cronwax_state = 'disabled'), 0)::BIGINT
            AS cronwax_disabled,
        coalesce(sum(cronwax_p.cronwax_us) FILTER (WHERE cronwax_p.cronwax_state = 'maintenance'), 0)::BIGINT
            AS cronwax_maintenance,
        coalesce(sum(cronwax_p.cronwax_us) FILTER (WHERE cronwax_p.cronwax_is_muted), 0)::BIGINT AS cronwax_muted
    FROM cronwax_parts AS cronwax_p
    GROUP BY ALL
),
cronwax_outages AS (
    SELECT i.project_id AS cronwax_project, i.slug AS cronwax_slug, i.environment AS cronwax_environment,
        i.incident_id AS cronwax_incident, i.starting_timestamp AS cronwax_starts,
        CASE WHEN i.resolving_timestamp IS NULL THEN 'infinity'::TIMESTAMPTZ
            ELSE greatest(i.starting_timestamp, i.resolving_timestamp) END AS cronwax_ends
    FROM incidents AS i
),
cronwax_spans AS (
    SELECT cronwax_i.*, greatest(cronwax_i.cronwax_starts, cronwax_b.cronwax_from) AS cronwax_opened,
        least(cronwax_i.cronwax_ends, cronwax_b.cronwax_to) AS cronwax_closed
    FROM cronwax_bounds AS cronwax_b
    JOIN cronwax_outages AS cronwax_i ON cronwax_i.cronwax_starts < cronwax_b.cronwax_to
        AND cronwax_i.cronwax_ends > coalesce(cronwax_b.cronwax_from, '-infinity'::TIMESTAMPTZ)
),
cronwax_hidden AS (
    SELECT DISTINCT cronwax_o.cronwax_incident
    FROM cronwax_spans AS cronwax_o
    JOIN disabled_periods AS d ON d.project_id = cronwax_o.cronwax_project AND d.slug = cronwax_o.cronwax_slug
        AND d.began_at <= cronwax_o.cronwax_opened
        AND coalesce(d.ended_at, 'infinity'::TIMESTAMPTZ) >= cronwax_o.cronwax_closed
),
cronwax_incidents AS (
    SELECT cronwax_o.cronwax_project, cronwax_o.cronwax_slug, cronwax_o.cronwax_environment, count(*) AS cronwax_number
    FROM cronwax_spans AS cronwax_o
    LEFT JOIN cronwax_hidden AS cronwax_h ON cronwax_h.cronwax_incident = cronwax_o.cronwax_incident
    WHERE cronwax_h.cronwax_incident IS NULL
    GROUP BY ALL
),
cronwax_places AS (
    SELECT e.project_id AS cronwax_project, e.slug AS cronwax_slug, e.environment AS cronwax_environment
    FROM monitor_environments AS e
    SEMI JOIN cronwax_eventful_monitors() AS v ON v.project_id = e.project_id AND v.slug = e.slug
),
cronwax_eventful AS (
    SELECT cronwax_e.*, coalesce(cronwax_s.cronwax_ok, 0) AS cronwax_ok,
        coalesce(cronwax_s.cronwax_failing, 0) AS cronwax_failing, coalesce(cronwax_s.cronwax_blind, 0) AS cronwax_blind,
        coalesce(cronwax_s.cronwax_disabled, 0) AS cronwax_disabled,
        coalesce(cronwax_s.cronwax_maintenance, 0) AS cronwax_maintenance,
        coalesce(cronwax_s.cronwax_muted, 0) AS cronwax_muted, coalesce(cronwax_i.cronwax_number, 0) AS cronwax_number
    FROM cronwax_places AS cronwax_e
    LEFT JOIN cronwax_sums AS cronwax_s ON cronwax_s.cronwax_project = cronwax_e.cronwax_project
        AND cronwax_s.cronwax_slug = cronwax_e.cronwax_slug
        AND cronwax_s.cronwax_environment = cronwax_e.cronwax_environment
    LEFT JOIN cronwax_incidents AS cronwax_i ON cronwax_i.cronwax_project = cronwax_e.cronwax_project
        AND cronwax_i.cronwax_slug = cronwax_e.cronwax_slug
        AND cronwax_i.cronwax_environment = cronwax_e.cronwax_environment
),
-- The quiet ones were well from when they are known, or from the beginning of the time that is asked for, to its end.
cronwax_ends AS (
    SELECT cronwax_b.cronwax_us, coalesce(epoch_us(cronwax_b.cronwax_from), 0) AS cronwax_from_us,
        epoch_us(cronwax_b.cronwax_to) AS cronwax_to_us,
        cronwax_t.blind_before_us + CASE WHEN cronwax_t.is_blind THEN epoch_us(cronwax_b.cronwax_to) - cronwax_t.begins_us
            ELSE 0 END AS cronwax_blind_us
    FROM cronwax_bounds AS cronwax_b
    JOIN cronwax_blind_stretches() AS cronwax_t
        ON cronwax_t.begins_us <= epoch_us(cronwax_b.cronwax_to) AND cronwax_t.ends_us > epoch_us(cronwax_b.cronwax_to)
),
cronwax_begun AS (
    SELECT cronwax_k.project_id AS cronwax_project, cronwax_k.slug AS cronwax_slug,
        cronwax_k.environment AS cronwax_environment, greatest(cronwax_k.known_us, cronwax_b.cronwax_from_us) AS cronwax_begins,
        cronwax_b.cronwax_to_us, cronwax_b.cronwax_blind_us
    FROM cronwax_ends AS cronwax_b
    CROSS JOIN cronwax_known_environments() AS cronwax_k
    WHERE NOT cronwax_k.is_eventful AND cronwax_k.known_us < cronwax_b.cronwax_to_us
        AND cronwax_b.cronwax_from_us < cronwax_b.cronwax_to_us
),
cronwax_quiet AS (
    SELECT cronwax_q.cronwax_project, cronwax_q.cronwax_slug, cronwax_q.cronwax_environment,
        cronwax_q.cronwax_to_us - cronwax_q.cronwax_begins AS cronwax_known,
        cronwax_q.cronwax_blind_us - cronwax_t.blind_before_us
            - CASE WHEN cronwax_t.is_blind THEN cronwax_q.cronwax_begins - cronwax_t.begins_us ELSE 0 END AS cronwax_blind
    FROM cronwax_begun AS cronwax_q
    JOIN cronwax_blind_stretches() AS cronwax_t
        ON cronwax_t.begins_us <= cronwax_q.cronwax_begins AND cronwax_t.ends_us > cronwax_q.cronwax_begins
),
cronwax_measured AS (
    SELECT cronwax_e.* FROM cronwax_eventful AS cronwax_e
    UNION ALL
    SELECT cronwax_q.cronwax_project, cronwax_q.cronwax_slug, cronwax_q.cronwax_environment,
        cronwax_q.cronwax_known - cronwax_q.cronwax_blind, 0, cronwax_q.cronwax_blind, 0, 0, 0, 0
    FROM cronwax_quiet AS cronwax_q
),
cronwax_all AS (
    SELECT e.project_id AS cronwax_project, e.slug AS cronwax_slug, e.environment AS cronwax_environment,
        m.organization_id AS cronwax_organization, m.name AS cronwax_name, m.owner AS cronwax_owner
    FROM monitor_environments AS e
    JOIN monitors AS m ON m.project_id = e.project_id AND m.slug = e.slug
),
cronwax_figures AS (
    SELECT cronwax_e.*, coalesce(cronwax_s.cronwax_ok, 0) AS cronwax_ok,
        coalesce(cronwax_s.cronwax_failing, 0) AS cronwax_failing, coalesce(cronwax_s.cronwax_blind, 0) AS cronwax_blind,
        coalesce(cronwax_s.cronwax_disabled, 0) AS cronwax_disabled, coalesce(cronwax_s.cronwax_muted, 0) AS cronwax_muted,
        coalesce(cronwax_s.cronwax_maintenance, 0) AS cronwax_maintenance,
        greatest(coalesce(cronwax_s.cronwax_blind, 0), coalesce(cronwax_b.cronwax_us, 0)
            - coalesce(cronwax_s.cronwax_ok, 0) - coalesce(cronwax_s.cronwax_failing, 0)
            - coalesce(cronwax_s.cronwax_disabled, 0) - coalesce(cronwax_s.cronwax_maintenance, 0)) AS cronwax_unknown,
        coalesce(cronwax_s.cronwax_number, 0) AS cronwax_number
    FROM cronwax_all AS cronwax_e
    LEFT JOIN cronwax_bounds AS cronwax_b ON true
    LEFT JOIN cronwax_measured AS cronwax_s ON cronwax_s.cronwax_project = cronwax_e.cronwax_project
        AND cronwax_s.cronwax_slug = cronwax_e.cronwax_slug
        AND cronwax_s.cronwax_environment = cronwax_e.cronwax_environment
)
SELECT f.cronwax_project AS project_id, f.cronwax_slug AS slug, f.cronwax_environment AS environment,
    to_microseconds(f.cronwax_ok) AS ok, to_microseconds(f.cronwax_failing) AS failing,
    to_microseconds(f.cronwax_unknown) AS unknown,
    CASE WHEN f.cronwax_ok + f.cronwax_failing > 0 THEN f.cronwax_ok / (f.cronwax_ok + f.cronwax_failing) END AS uptime,
    f.cronwax_number AS incidents, f.cronwax_organization AS organization_id, f.cronwax_name AS name,
    f.cronwax_owner AS owner, f.cronwax_ok / 1000000 AS ok_seconds, f.cronwax_failing / 1000000 AS failing_seconds,
    f.cronwax_unknown / 1000000 AS unknown_seconds, f.cronwax_blind / 1000000 AS blind_seconds,
    f.cronwax_disabled / 1000000 AS disabled_seconds, f.cronwax_muted / 1000000 AS muted_seconds,
    f.cronwax_maintenance / 1000000 AS maintenance_seconds
FROM cronwax_figures AS f;
COMMENT ON MACRO TABLE uptime IS
    'uptime(from_time, to_time): how much of a time each environment was well, one row an environment. failing: an incident was open, counted from its first failing check-in to the beginning of the run that resolved it. unknown: before the first run, nothing has finished yet, or check-ins were being lost (a system incident, while no incident of its own was open: blind_seconds, a part of unknown). ok: the rest. uptime: ok / (ok + failing), 0 to 1, NULL if both are 0. incidents: those open at some time of it. ..._seconds: the same as numbers that every tool can sum. disabled_seconds: the monitor was disabled; maintenance_seconds: it was in a maintenance in which misses do not count; both count as nothing of the others. muted_seconds: the part of all of it in which it was muted. What lies after the event clock does not count. from_time NULL: from the first run on; to_time NULL: to the event clock.';

-- A quiet environment's day is known from when the environment is, to its end or the event clock, less what was blind. Of
-- the others, days that lie within one period are a row each as they are; what is left of each period, at most its two
-- ends, is added up by day.
CREATE OR REPLACE VIEW uptime_daily AS
WITH clock AS (
    SELECT epoch_us(max(s.event_clock)) AS now_us FROM snapshot_info AS s
),
-- A day has a time at which it begins, and one at which it, or what is known of it, ends.
calendar AS (
    SELECT unnest(range((SELECT epoch_us(min(m.created_at)) // 86400000000 FROM monitors AS m) - 366,
            c.now_us // 86400000000 + 1)) AS day_number, c.now_us
    FROM clock AS c
),
days AS (
    SELECT d.day_number, d.now_us // 86400000000 - d.day_number AS days_ago, d.day_number * 86400000000 AS begins_us,
        least((d.day_number + 1) * 86400000000, d.now_us) AS ends_us
    FROM calendar AS d
),
dark_days AS (
    SELECT d.day_number, d.days_ago, d.begins_us, d.ends_us,
        b.blind_before_us + CASE WHEN b.is_blind THEN d.begins_us - b.begins_us ELSE 0 END AS blind_at_begin,
        e.blind_before_us + CASE WHEN e.is_blind THEN d.ends_us - e.begins_us ELSE 0 END AS blind_at_end
    FROM days AS d
    JOIN cronwax_blind_stretches() AS b ON b.begins_us <= d.begins_us AND b.ends_us > d.begins_us
    JOIN cronwax_blind_stretches() AS e ON e.begins_us <= d.ends_us AND e.ends_us > d.ends_us
    WHERE d.begins_us < d.ends_us
),
quiet AS (
    SELECT k.*, coalesce(b.blind_before_us + CASE WHEN b.is_blind THEN k.known_us - b.begins_us ELSE 0 END, 0) AS blind_at_known
    FROM cronwax_known_environments() AS k
    LEFT JOIN cronwax_blind_stretches() AS b ON b.begins_us <= k.known_us AND b.ends_us > k.known_us
    WHERE NOT k.is_eventful
),
quiet_days AS (
    SELECT q.project_id, q.slug, q.environment, q.organization_id, q.name, q.owner, d.day_number, d.days_ago,
        d.ends_us - greatest(d.begins_us, q.starts_us) AS there_us,
        CASE WHEN q.known_us < d.ends_us THEN d.ends_us - greatest(d.begins_us, q.known_us) ELSE 0 END AS known_us,
        CASE WHEN q.known_us < d.ends_us
            THEN d.blind_at_end - CASE WHEN q.known_us > d.begins_us THEN q.blind_at_known ELSE d.blind_at_begin END
            ELSE 0 END AS blind_us
    FROM quiet AS q
    JOIN dark_days AS d ON d.ends_us > q.starts_us
),
periods AS (
    SELECT p.*, epoch_us(p.began_at) AS began_us, epoch_us(p.ended_at) AS ended_us,
        (epoch_us(p.began_at) + 86399999999) // 86400000000 AS first_day, epoch_us(p.ended_at) // 86400000000 AS end_day
    FROM cronwax_eventful_periods() AS p
),
whole AS (
    SELECT p.project_id, p.slug, p.environment, p.organization_id, p.name, p.owner, p.state, p.is_muted,
        unnest(range(p.first_day, p.end_day)) AS day_number
    FROM periods AS p
    WHERE p.first_day < p.end_day
),
ends AS (
    SELECT p.project_id, p.slug, p.environment, p.organization_id, p.name, p.owner, p.state, p.is_muted,
        p.first_day - 1 AS day_number, least(p.ended_us, p.first_day * 86400000000) - p.began_us AS lasted_us
    FROM periods AS p
    WHERE p.began_us < p.first_day * 86400000000
    UNION ALL
    SELECT p.project_id, p.slug, p.environment, p.organization_id, p.name, p.owner, p.state, p.is_muted,
        p.end_day, p.ended_us - p.end_day * 86400000000
    FROM periods AS p
    WHERE p.end_day >= p.first_day AND p.ended_us > p.end_day * 86400000000
),
eventful_days AS (
    SELECT e.project_id, e.slug, e.environment, e.organization_id, e.name, e.owner, e.day_number,
        coalesce(sum(e.lasted_us) FILTER (WHERE e.state = 'ok'), 0)::BIGINT AS ok_us,
        coalesce(sum(e.lasted_us) FILTER (WHERE e.state = 'failing'), 0)::BIGINT AS failing_us,
        coalesce(sum(e.lasted_us) FILTER (WHERE e.state IN ('unknown', 'blind')), 0)::BIGINT AS unknown_us,
        coalesce(sum(e.lasted_us) FILTER (WHERE e.state = 'blind'), 0)::BIGINT AS blind_us,
        coalesce(sum(e.lasted_us) FILTER (WHERE e.state = 'disabled'), 0)::BIGINT AS disabled_us,
        coalesce(sum(e.lasted_us) FILTER (WHERE e.state = 'maintenance'), 0)::BIGINT AS maintenance_us,
        coalesce(sum(e.lasted_us) FILTER (WHERE e.is_muted), 0)::BIGINT AS muted_us
    FROM ends AS e
    GROUP BY e.project_id, e.slug, e.environment, e.organization_id, e.name, e.owner, e.day_number
    UNION ALL
    SELECT w.project_id, w.slug, w.environment, w.organization_id, w.name, w.owner, w.day_number,
        CASE WHEN w.state = 'ok' THEN 86400000000 ELSE 0 END, CASE WHEN w.state = 'failing' THEN 86400000000 ELSE 0 END,
        CASE WHEN w.state IN ('unknown', 'blind') THEN 86400000000 ELSE 0 END,
        CASE WHEN w.state = 'blind' THEN 86400000000 ELSE 0 END,
        CASE WHEN w.state = 'disabled' THEN 86400000000 ELSE 0 END,
        CASE WHEN w.state = 'maintenance' THEN 86400000000 ELSE 0 END, CASE WHEN w.is_muted THEN 86400000000 ELSE 0 END
    FROM whole AS w
)
SELECT q.project_id, q.slug, q.environment, q.organization_id, q.name, q.owner,
    make_timestamp(q.day_number * 86400000000)::DATE AS day, q.days_ago, (q.known_us - q.blind_us) / 1000000 AS ok_seconds,
    0::DOUBLE AS failing_seconds, (q.there_us - q.known_us + q.blind_us) / 1000000 AS unknown_seconds,
    q.blind_us / 1000000 AS blind_seconds, 0::DOUBLE AS disabled_seconds, 0::DOUBLE AS muted_seconds,
    0::DOUBLE AS maintenance_seconds
FROM quiet_days AS q
UNION ALL
SELECT e.project_id, e.slug, e.environment, e.organization_id, e.name, e.owner,
    make_timestamp(e.day_number * 86400000000)::DATE, c.now_us // 86400000000 - e.day_number, e.ok_us / 1000000,
    e.failing_us / 1000000, e.unknown_us / 1000000, e.blind_us / 1000000, e.disabled_us / 1000000, e.muted_us / 1000000,
    e.maintenance_us / 1000000
FROM eventful_days AS e
CROSS JOIN clock AS c;
COMMENT ON VIEW uptime_daily IS
    'How much of each day each environment was well: an SLA over any range and group is sum(ok_seconds) / sum(ok_seconds + failing_seconds). One row an environment and day; two on a day on which its owner or name changed. ok, failing, unknown, disabled and maintenance together are the day, from the creation of the monitor to the event clock.';
-- keys of uptime_daily: project_id, slug, environment, organization_id, day, days_ago
COMMENT ON COLUMN uptime_daily.name IS 'The monitor''s name for people, then.';
COMMENT ON COLUMN uptime_daily.owner IS 'user:... or team:..., then; NULL if nobody owned the monitor.';
COMMENT ON COLUMN uptime_daily.ok_seconds IS 'Seconds in which it was well.';
COMMENT ON COLUMN uptime_daily.failing_seconds IS
    'Seconds in which an incident was open, from its first failing check-in to the beginning of the run that resolved it.';
COMMENT ON COLUMN uptime_daily.unknown_seconds IS
    'Seconds before the first run, in which nothing had finished yet, or in which check-ins were being lost.';
COMMENT ON COLUMN uptime_daily.blind_seconds IS 'The part of unknown_seconds in which check-ins were being lost (system_incidents).';
COMMENT ON COLUMN uptime_daily.disabled_seconds IS 'Seconds in which the monitor was disabled.';
COMMENT ON COLUMN uptime_daily.maintenance_seconds IS
    'Seconds of maintenance in which misses and time-outs did not count: neither up nor down.';
COMMENT ON COLUMN uptime_daily.muted_seconds IS 'Seconds, of all of these, in which monitor or environment was muted.';

CREATE OR REPLACE MACRO working_hours(from_time, to_time, time_zone, opens, closes) AS TABLE
WITH cronwax_given AS (
    SELECT from_time::TIMESTAMPTZ AS cronwax_from, to_time::TIMESTAMPTZ AS cronwax_to, time_zone::VARCHAR AS cronwax_zone,
        opens::TIME AS cronwax_opens, closes::TIME AS cronwax_closes
),
cronwax_days AS (
    SELECT g.*, unnest(generate_series(
            timezone(g.cronwax_zone, g.cronwax_from)::DATE::TIMESTAMP, timezone(g.cronwax_zone, g.cronwax_to),
            INTERVAL 1 DAY
        ))::DATE AS cronwax_day
    FROM cronwax_given AS g
),
cronwax_hours AS (
    SELECT greatest(timezone(d.cronwax_zone, d.cronwax_day + d.cronwax_opens), d.cronwax_from) AS began_at,
        least(timezone(d.cronwax_zone, d.cronwax_day + d.cronwax_closes), d.cronwax_to) AS ended_at,
        d.cronwax_day AS day
    FROM cronwax_days AS d
    WHERE isodow(d.cronwax_day) <= 5
)
SELECT h.day, h.began_at, h.ended_at FROM cronwax_hours AS h WHERE h.began_at < h.ended_at;
COMMENT ON MACRO TABLE working_hours IS
    'working_hours(from_time, to_time, time_zone, opens, closes): from when to when it is working time, Mondays to Fridays from opens to closes (''09:00'', ''17:00'') on the clocks of an IANA time zone; one row a day. Holidays: cronwax report sla.';

CREATE OR REPLACE MACRO uptime_in_hours(from_time, to_time, time_zone, opens, closes) AS TABLE
WITH cronwax_given AS (
    SELECT from_time::TIMESTAMPTZ AS cronwax_from, to_time::TIMESTAMPTZ AS cronwax_to, time_zone::VARCHAR AS cronwax_zone,
        opens::TIME AS cronwax_opens, closes::TIME AS cronwax_closes
),
cronwax_days AS (
    SELECT g.*, unnest(generate_series(
            timezone(g.cronwax_zone, g.cronwax_from)::DATE::TIMESTAMP, timezone(g.cronwax_zone, g.cronwax_to),
            INTERVAL 1 DAY
        ))::DATE AS cronwax_day
    FROM cronwax_given AS g
),
cronwax_hours AS (
    SELECT greatest(timezone(d.cronwax_zone, d.cronwax_day + d.cronwax_opens), d.cronwax_from) AS cronwax_begins,
        least(timezone(d.cronwax_zone, d.cronwax_day + d.cronwax_closes), d.cronwax_to) AS cronwax_ends
    FROM cronwax_days AS d
    WHERE isodow(d.cronwax_day) <= 5
)
SELECT p.project_id, p.slug, p.environment, p.organization_id, p.name, p.owner,
    coalesce(sum(s.seconds) FILTER (WHERE p.state = 'ok'), 0) AS ok_seconds,
    coalesce(sum(s.seconds) FILTER (WHERE p.state = 'failing'), 0) AS failing_seconds,
    coalesce(sum(s.seconds) FILTER (WHERE p.state IN ('unknown', 'blind')), 0) AS unknown_seconds,
    coalesce(sum(s.seconds) FILTER (WHERE p.state = 'disabled'), 0) AS disabled_seconds,
    coalesce(sum(s.seconds) FILTER (WHERE p.state = 'maintenance'), 0) AS maintenance_seconds
FROM cronwax_hours AS h
JOIN state_periods AS p ON p.began_at < h.cronwax_ends AND p.ended_at > h.cronwax_begins
    AND h.cronwax_begins < h.cronwax_ends
CROSS JOIN LATERAL (
    SELECT seconds_between(greatest(p.began_at, h.cronwax_begins), least(p.ended_at, h.cronwax_ends)) AS seconds
) AS s
GROUP BY p.project_id, p.slug, p.environment, p.organization_id, p.name, p.owner;
COMMENT ON MACRO TABLE uptime_in_hours IS
    'uptime_in_hours(from_time, to_time, time_zone, opens, closes): as uptime_daily, but only within working hours (see working_hours), one row an environment and owner.';
