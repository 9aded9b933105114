-- How long jobs run, how late they begin, and which of their runs nobody asked for.

CREATE OR REPLACE VIEW runs AS
WITH known AS (
    SELECT c.*, never_began(c.status, c.date_added, c.expected_time) AS is_absent,
        final_ms(c.status, c.duration_ms, c.date_added, c.date_updated) AS took_ms,
        CASE WHEN c.status <> 'in_progress' THEN c.date_updated END AS ended_at
    FROM check_ins AS c
),
ordered AS (
    SELECT k.*, lag(k.is_absent) OVER by_start AS follows_absence, lag(k.date_added) OVER by_start AS absent_at,
        max(CASE WHEN NOT k.is_absent THEN coalesce(k.ended_at, 'infinity'::TIMESTAMPTZ) END) OVER (
            by_start ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS busy_until
    FROM known AS k
    WINDOW by_start AS (
        PARTITION BY k.project_id, k.slug, k.environment ORDER BY k.date_added, NOT k.is_absent, k.check_in_id
    )
),
due AS (
    SELECT o.*, CASE
            WHEN NOT o.is_absent AND o.follows_absence AND o.date_added < o.expected_time THEN o.absent_at
            ELSE o.expected_time
        END AS due_at
    FROM ordered AS o
),
holders AS (
    SELECT m.project_id, m.slug, m.organization_id, m.name, m.owner, z.name AS zone
    FROM monitors AS m
    LEFT JOIN pg_timezone_names() AS z ON z.name = m.timezone
),
former AS (
    SELECT h.*, z.name AS zone
    FROM cronwax_former_configs() AS h
    LEFT JOIN pg_timezone_names() AS z ON z.name = h.timezone
),
owned AS (
    SELECT d.*, m.organization_id, coalesce(h.name, m.name) AS name,
        CASE WHEN h.name IS NULL THEN m.owner ELSE h.owner END AS owner,
        CASE WHEN h.slug IS NULL THEN m.zone ELSE h.zone END AS zone
    FROM due AS d
    LEFT JOIN holders AS m ON m.project_id = d.project_id AND m.slug = d.slug
    LEFT JOIN former AS h ON h.project_id = d.project_id AND h.slug = d.slug
        AND d.date_added >= h.covers_from AND d.date_added < h.covers_until
),
resolving AS (
    SELECT d.project_id, d.slug, d.environment, d.check_in_id, d.incident_id
    FROM run_decisions AS d
    WHERE d.verdict = 'success' AND d.incident_id IS NOT NULL
)
SELECT r.project_id, r.slug, r.environment, r.check_in_id, r.organization_id, r.name, r.owner, r.status,
    r.status IN ('error', 'missed', 'timeout') AS is_failure, r.due_at,
    CASE WHEN NOT r.is_absent THEN r.date_added END AS started_at,
    CASE WHEN NOT r.is_absent THEN r.ended_at END AS finished_at,
    day_of(r.date_added) AS day,
    CASE WHEN NOT r.is_absent THEN make_timestamp(epoch_us(r.date_added)) END AS started_utc,
    CASE WHEN NOT r.is_absent AND r.zone IS NOT NULL THEN timezone(r.zone, r.date_added) END AS started_local,
    CASE
        WHEN NOT r.is_absent AND r.date_added > r.due_at - INTERVAL 1 MINUTE
            THEN greatest(seconds_between(r.due_at, r.date_added), 0)
    END AS late_seconds,
    r.took_ms / 1000 AS duration_seconds,
    CASE WHEN r.is_absent THEN false ELSE coalesce(r.busy_until > r.date_added, false) END AS is_overlapping,
    coalesce(f.incident_id, s.incident_id) AS incident_id,
    CASE WHEN r.status IN ('error', 'missed', 'timeout') AND coalesce(f.incident_id, s.incident_id) IS NULL
        THEN coalesce(f.no_incident_because, 'its decision is not kept') END AS no_incident_because
FROM owned AS r
LEFT JOIN incident_failures AS f ON f.project_id = r.project_id AND f.slug = r.slug AND f.environment = r.environment
    AND f.check_in_id = r.check_in_id
LEFT JOIN resolving AS s ON s.project_id = r.project_id AND s.slug = r.slug AND s.environment = r.environment
    AND s.check_in_id = r.check_in_id;
COMMENT ON VIEW runs IS
    'Each run, and each that did not come, with what follows from the rules: when it was due and how late it was, when it ended, whether it failed, in which incident, and whose it was. One row a check-in.';
-- keys of runs: project_id, slug, environment, check_in_id, organization_id
COMMENT ON COLUMN runs.name IS 'The monitor''s name for people, then.';
COMMENT ON COLUMN runs.owner IS 'user:... or team:..., then; NULL if nobody owned the monitor.';
COMMENT ON COLUMN runs.status IS 'As in check_ins.status.';
COMMENT ON COLUMN runs.is_failure IS 'True: error, missed or timeout.';
COMMENT ON COLUMN runs.due_at IS
    'When it was due; NULL if nothing was. The first run after a miss, ahead of the next scheduled time, is the one that was missed.';
COMMENT ON COLUMN runs.started_at IS 'When it began; NULL if it never did.';
COMMENT ON COLUMN runs.finished_at IS
    'When its end was reported; of a time-out that never ended, when it was given up. NULL while in progress, and if it never began.';
COMMENT ON COLUMN runs.day IS 'The day, in UTC, on which it began or should have.';
COMMENT ON COLUMN runs.started_utc IS 'started_at as a plain TIMESTAMP in UTC: hour() and dayname() of it depend on no session.';
COMMENT ON COLUMN runs.started_local IS 'started_at on the clocks of the time zone that the monitor had then.';
COMMENT ON COLUMN runs.late_seconds IS
    'How late it began, in seconds; 0 up to a minute before its time. NULL: it never began, nothing was due, or it began earlier than that.';
COMMENT ON COLUMN runs.duration_seconds IS
    'How long it took, in seconds, as the job said or from its messages; NULL if its end, or how long it took, is not known.';
COMMENT ON COLUMN runs.is_overlapping IS 'True: a run of the same environment that had begun before was still going on.';
COMMENT ON COLUMN runs.incident_id IS
    'The incident that it led up to, opened, belongs to or resolved (incidents.incident_id); NULL if none.';
COMMENT ON COLUMN runs.no_incident_because IS 'Of a failure without incident: why.';

CREATE OR REPLACE VIEW runs_daily AS
SELECT r.project_id, r.slug, r.environment, any_value(r.organization_id) AS organization_id, r.name, r.owner, r.day,
    day_of(event_clock()) - r.day AS days_ago, count(*) AS check_ins, count(r.started_at) AS runs,
    count(*) FILTER (WHERE r.is_failure) AS failures,
    count(*) FILTER (WHERE r.status IN ('ok', 'error', 'missed', 'timeout')) AS judged,
    count(*) FILTER (WHERE r.status = 'ok') AS oks, count(*) FILTER (WHERE r.status = 'error') AS errors,
    count(*) FILTER (WHERE r.status = 'missed') AS misses, count(*) FILTER (WHERE r.status = 'timeout') AS timeouts,
    count(*) FILTER (WHERE r.status = 'unknown') AS unknowns,
    count(*) FILTER (WHERE r.late_seconds >= 60) AS late_runs, sum(r.late_seconds) AS late_seconds,
    max(r.late_seconds) AS max_late_seconds, sum(r.duration_seconds) AS duration_seconds,
    max(r.duration_seconds) AS max_duration_seconds, count(*) FILTER (WHERE r.is_overlapping) AS overlapping_runs
FROM runs AS r
GROUP BY r.project_id, r.slug, r.environment, r.name, r.owner, r.day;
COMMENT ON VIEW runs_daily IS
    'How the runs of each day went, one row an environment and day (two on a day on which owner or name changed): what can be summed over any range and group. The share of failures is sum(failures) / sum(judged).';
-- keys of runs_daily: project_id, slug, environment, organization_id, day, days_ago
COMMENT ON COLUMN runs_daily.name IS 'The monitor''s name for people, then.';
COMMENT ON COLUMN runs_daily.owner IS 'user:... or team:..., then; NULL if nobody owned the monitor.';
COMMENT ON COLUMN runs_daily.check_ins IS 'How many runs began, or should have.';
COMMENT ON COLUMN runs_daily.runs IS 'How many of them began.';
COMMENT ON COLUMN runs_daily.failures IS 'How many failed: error, missed or timeout.';
COMMENT ON COLUMN runs_daily.judged IS 'How many are ok, error, missed or timeout: neither unknown nor in progress.';
COMMENT ON COLUMN runs_daily.oks IS 'How many are ok.';
COMMENT ON COLUMN runs_daily.errors IS 'How many the job reported as failed.';
COMMENT ON COLUMN runs_daily.misses IS 'How many never came.';
COMMENT ON COLUMN runs_daily.timeouts IS 'How many took too long.';
COMMENT ON COLUMN runs_daily.unknowns IS 'How many are unknown.';
COMMENT ON COLUMN runs_daily.late_runs IS 'How many began a minute late or more.';
COMMENT ON COLUMN runs_daily.late_seconds IS 'How late they began together, in seconds.';
COMMENT ON COLUMN runs_daily.max_late_seconds IS 'How late the latest of them began, in seconds.';
COMMENT ON COLUMN runs_daily.duration_seconds IS 'How long they took together, as far as known, in seconds.';
COMMENT ON COLUMN runs_daily.max_duration_seconds IS 'How long the longest of them took, in seconds.';
COMMENT ON COLUMN runs_daily.overlapping_runs IS 'How many began while a run before was still going on.';

CREATE OR REPLACE VIEW concurrency AS
WITH started AS (
    SELECT c.date_added AS began_at, CASE WHEN c.status <> 'in_progress' THEN c.date_updated END AS ended_at
    FROM check_ins AS c
    WHERE NOT never_began(c.status, c.date_added, c.expected_time)
),
turns AS (
    SELECT s.began_at AS moment, 1 AS turn
    FROM started AS s
    WHERE s.began_at < coalesce(s.ended_at, 'infinity'::TIMESTAMPTZ)
    UNION ALL
    SELECT s.ended_at, -1
    FROM started AS s
    WHERE s.began_at < s.ended_at
),
counted AS (
    SELECT t.moment, t.turn, sum(t.turn) OVER (ORDER BY t.moment, t.turn ROWS UNBOUNDED PRECEDING) AS running
    FROM turns AS t
)
SELECT c.moment, max(c.running)::BIGINT AS running FROM counted AS c WHERE c.turn = 1 GROUP BY c.moment;
COMMENT ON VIEW concurrency IS
    'How many runs were going on, at each moment at which one began. A run without duration takes no time and is not in here.';
COMMENT ON COLUMN concurrency.moment IS 'When a run began.';
COMMENT ON COLUMN concurrency.running IS 'How many were going on from then on, that one among them.';

-- The arguments are pasted in where only names that begin with cronwax_ can be meant (see helpers.sql), and as a filter
-- right over the scan: so files of other days are not read.
CREATE OR REPLACE MACRO durations(from_time, to_time) AS TABLE
WITH cronwax_runs AS (
    SELECT cronwax_scan.*
    FROM (
        SELECT c.project_id AS cronwax_project_id, c.slug AS cronwax_slug, c.environment AS cronwax_environment,
            c.status AS cronwax_status, c.date_added AS cronwax_date_added,
            final_ms(c.status, c.duration_ms, c.date_added, c.date_updated) AS cronwax_duration_ms
        FROM check_ins AS c
        WHERE c.duration_ms IS NOT NULL OR c.status = 'timeout'
    ) AS cronwax_scan
    WHERE cronwax_scan.cronwax_date_added >= from_time::TIMESTAMPTZ
        AND cronwax_scan.cronwax_date_added < to_time::TIMESTAMPTZ
),
cronwax_figures AS (
    SELECT c.cronwax_project_id AS project_id, c.cronwax_slug AS slug, c.cronwax_environment AS environment,
        count(c.cronwax_duration_ms) AS runs, quantile_cont(c.cronwax_duration_ms, [0.5, 0.95]) AS quantiles,
        max(c.cronwax_duration_ms) AS max_ms, count(*) FILTER (WHERE c.cronwax_status = 'timeout') AS timeouts
    FROM cronwax_runs AS c
    WHERE c.cronwax_duration_ms IS NOT NULL OR c.cronwax_status = 'timeout'
    GROUP BY c.cronwax_project_id, c.cronwax_slug, c.cronwax_environment
)
SELECT f.project_id, f.slug, f.environment, f.runs, f.quantiles[1] AS p50_ms, f.quantiles[2] AS p95_ms, f.max_ms,
    f.timeouts, m.organization_id, m.name, m.owner
FROM cronwax_figures AS f
LEFT JOIN monitors AS m ON m.project_id = f.project_id AND m.slug = f.slug;
COMMENT ON MACRO TABLE durations IS
    'durations(from_time, to_time): how long the runs took that began from from_time to just before to_time, one row an environment. runs: those whose duration is known, however they ended. p50_ms, p95_ms and max_ms: median, 95th percentile (both interpolated) and longest of them, in milliseconds. timeouts: how many runs timed out, whether their end came later (then they are among runs) or never did.';

CREATE OR REPLACE VIEW run_durations AS
SELECT r.project_id, r.slug, r.environment, r.runs, r.p50_ms, r.p95_ms, r.max_ms,
    coalesce(b.runs, 0) AS runs_before, b.p50_ms AS p50_ms_before,
    CASE WHEN b.p50_ms > 0 THEN r.p50_ms / b.p50_ms END AS trend, r.timeouts, r.organization_id, r.name, r.owner
FROM durations(event_clock() - INTERVAL 168 HOUR, 'infinity') AS r
LEFT JOIN durations(event_clock() - INTERVAL 840 HOUR, event_clock() - INTERVAL 168 HOUR) AS b
    ON b.project_id = r.project_id AND b.slug = r.slug AND b.environment = r.environment;
COMMENT ON VIEW run_durations IS
    'How long runs that began in the 7 days before the event clock took, against the four weeks before those: one row an environment. All whose duration is known count, time-outs that ended later among them.';
-- keys of run_durations: project_id, slug, environment, organization_id, name, owner
COMMENT ON COLUMN run_durations.runs IS 'Of how many runs of the 7 days the duration is known.';
COMMENT ON COLUMN run_durations.p50_ms IS 'Their median duration in milliseconds, interpolated.';
COMMENT ON COLUMN run_durations.p95_ms IS '95 % of them took at most this many milliseconds, interpolated.';
COMMENT ON COLUMN run_durations.max_ms IS 'What the longest of them took, in milliseconds.';
COMMENT ON COLUMN run_durations.runs_before IS 'How many runs of the four weeks before count.';
COMMENT ON COLUMN run_durations.p50_ms_before IS
    'The median of the four weeks before, in milliseconds; NULL if nothing ran.';
COMMENT ON COLUMN run_durations.trend IS
    'p50_ms divided by p50_ms_before: 1.2 is 20 % slower than before. NULL without runs before.';
COMMENT ON COLUMN run_durations.timeouts IS 'How many runs of the 7 days timed out, whether their end came later or never did.';

-- Most runs are held against their own expected time. Only of environments with runs ahead of it, and with misses, it is
-- looked at what came before, up to 31 days back: for as long as the flow itself owes misses.
CREATE OR REPLACE MACRO lateness(from_time, to_time) AS TABLE
WITH cronwax_runs AS (
    SELECT cronwax_scan.*
    FROM (
        SELECT c.project_id AS cronwax_project_id, c.slug AS cronwax_slug, c.environment AS cronwax_environment,
            c.check_in_id AS cronwax_check_in_id, c.date_added AS cronwax_date_added,
            c.expected_time AS cronwax_expected_time
        FROM check_ins AS c
        WHERE NOT never_began(c.status, c.date_added, c.expected_time)
    ) AS cronwax_scan
    WHERE cronwax_scan.cronwax_date_added >= from_time::TIMESTAMPTZ
        AND cronwax_scan.cronwax_date_added < to_time::TIMESTAMPTZ
),
cronwax_missed AS (
    SELECT DISTINCT cronwax_scan.cronwax_project_id, cronwax_scan.cronwax_slug, cronwax_scan.cronwax_environment
    FROM (
        SELECT c.project_id AS cronwax_project_id, c.slug AS cronwax_slug, c.environment AS cronwax_environment,
            c.date_added AS cronwax_date_added
        FROM check_ins AS c
        WHERE c.status IN ('missed', 'unknown')
    ) AS cronwax_scan
    WHERE cronwax_scan.cronwax_date_added >= from_time::TIMESTAMPTZ - INTERVAL 744 HOUR
        AND cronwax_scan.cronwax_date_added < to_time::TIMESTAMPTZ
),
cronwax_ahead AS (
    SELECT DISTINCT cronwax_r.cronwax_project_id, cronwax_r.cronwax_slug, cronwax_r.cronwax_environment
    FROM cronwax_runs AS cronwax_r
    JOIN cronwax_missed AS cronwax_m ON cronwax_m.cronwax_project_id = cronwax_r.cronwax_project_id
        AND cronwax_m.cronwax_slug = cronwax_r.cronwax_slug
        AND cronwax_m.cronwax_environment = cronwax_r.cronwax_environment
    WHERE cronwax_r.cronwax_date_added < cronwax_r.cronwax_expected_time
),
cronwax_around AS (
    SELECT cronwax_scan.*
    FROM (
        SELECT c.project_id AS cronwax_project_id, c.slug AS cronwax_slug, c.environment AS cronwax_environment,
            c.check_in_id AS cronwax_check_in_id, c.date_added AS cronwax_date_added,
            never_began(c.status, c.date_added, c.expected_time) AS cronwax_is_absent
        FROM check_ins AS c
    ) AS cronwax_scan
    JOIN cronwax_ahead AS cronwax_a ON cronwax_a.cronwax_project_id = cronwax_scan.cronwax_project_id
        AND cronwax_a.cronwax_slug = cronwax_scan.cronwax_slug
        AND cronwax_a.cronwax_environment = cronwax_scan.cronwax_environment
    WHERE cronwax_scan.cronwax_date_added >= from_time::TIMESTAMPTZ - INTERVAL 744 HOUR
        AND cronwax_scan.cronwax_date_added < to_time::TIMESTAMPTZ
),
cronwax_before AS (
    SELECT cronwax_n.cronwax_project_id, cronwax_n.cronwax_slug, cronwax_n.cronwax_environment,
        cronwax_n.cronwax_check_in_id, lag(cronwax_n.cronwax_is_absent) OVER cronwax_by_start AS cronwax_follows_absence,
        lag(cronwax_n.cronwax_date_added) OVER cronwax_by_start AS cronwax_absent_at
    FROM cronwax_around AS cronwax_n
    WINDOW cronwax_by_start AS (
        PARTITION BY cronwax_n.cronwax_project_id, cronwax_n.cronwax_slug, cronwax_n.cronwax_environment
        ORDER BY cronwax_n.cronwax_date_added, NOT cronwax_n.cronwax_is_absent, cronwax_n.cronwax_check_in_id
    )
),
cronwax_due AS (
    SELECT cronwax_r.cronwax_project_id, cronwax_r.cronwax_slug, cronwax_r.cronwax_environment,
        cronwax_r.cronwax_date_added, cronwax_r.cronwax_expected_time AS cronwax_due_at
    FROM cronwax_runs AS cronwax_r
    WHERE cronwax_r.cronwax_date_added >= cronwax_r.cronwax_expected_time
    UNION ALL
    SELECT cronwax_r.cronwax_project_id, cronwax_r.cronwax_slug, cronwax_r.cronwax_environment,
        cronwax_r.cronwax_date_added, coalesce(cronwax_b.cronwax_absent_at, cronwax_r.cronwax_expected_time)
    FROM cronwax_runs AS cronwax_r
    LEFT JOIN cronwax_before AS cronwax_b ON cronwax_b.cronwax_project_id = cronwax_r.cronwax_project_id
        AND cronwax_b.cronwax_slug = cronwax_r.cronwax_slug
        AND cronwax_b.cronwax_environment = cronwax_r.cronwax_environment
        AND cronwax_b.cronwax_check_in_id = cronwax_r.cronwax_check_in_id
        AND cronwax_b.cronwax_follows_absence
    WHERE cronwax_r.cronwax_date_added < cronwax_r.cronwax_expected_time
),
cronwax_late AS (
    SELECT d.cronwax_project_id AS project_id, d.cronwax_slug AS slug, d.cronwax_environment AS environment,
        greatest(epoch_us(d.cronwax_date_added) - epoch_us(d.cronwax_due_at), 0) AS late_us
    FROM cronwax_due AS d
    WHERE d.cronwax_date_added > d.cronwax_due_at - INTERVAL 1 MINUTE
),
cronwax_figures AS (
    SELECT l.project_id, l.slug, l.environment, count(*) AS runs, count(*) FILTER (WHERE l.late_us >= 60000000) AS late_runs,
        quantile_cont(l.late_us, [0.5, 0.95]) AS quantiles, max(l.late_us) AS max_us
    FROM cronwax_late AS l
    GROUP BY l.project_id, l.slug, l.environment
)
SELECT f.project_id, f.slug, f.environment, f.runs, f.late_runs, f.quantiles[1] / 1000000 AS p50_late_seconds,
    f.quantiles[2] / 1000000 AS p95_late_seconds, f.max_us / 1000000 AS max_late_seconds,
    coalesce(m.checkin_margin, 1) AS checkin_margin, m.organization_id, m.name, m.owner
FROM cronwax_figures AS f
LEFT JOIN monitors AS m ON m.project_id = f.project_id AND m.slug = f.slug;
COMMENT ON MACRO TABLE lateness IS
    'lateness(from_time, to_time): how late runs that began from from_time to just before to_time were against their schedule, one row an environment. A run that came after its time had counted as missed is held against the time that it missed. A run more than a minute before its time is not in here, one less than that is not late. late_runs: a minute late or more. p50_late_seconds, p95_late_seconds (interpolated), max_late_seconds: median, 95th percentile and latest. checkin_margin: how many minutes late it may be before it counts as missed.';

CREATE OR REPLACE VIEW late_starts AS
SELECT l.project_id, l.slug, l.environment, l.runs, l.late_runs,
    to_microseconds(round(l.p50_late_seconds * 1000000)::BIGINT) AS p50_late,
    to_microseconds(round(l.p95_late_seconds * 1000000)::BIGINT) AS p95_late,
    to_microseconds(round(l.max_late_seconds * 1000000)::BIGINT) AS max_late, l.checkin_margin,
    l.p50_late_seconds, l.p95_late_seconds, l.max_late_seconds, l.organization_id, l.name, l.owner
FROM lateness(event_clock() - INTERVAL 168 HOUR, 'infinity') AS l;
COMMENT ON VIEW late_starts IS
    'How late runs of the 7 days before the event clock began against their schedule: one row an environment. A run that came after its time had counted as missed is held against the time that it missed.';
-- keys of late_starts: project_id, slug, environment, organization_id, name, owner
COMMENT ON COLUMN late_starts.runs IS 'How many runs began when they were due, less than a minute before, or later.';
COMMENT ON COLUMN late_starts.late_runs IS 'How many of them began a minute late or more.';
COMMENT ON COLUMN late_starts.p50_late IS 'The median of how late they began; a run before its time is not late.';
COMMENT ON COLUMN late_starts.p95_late IS '95 % of them began at most this late.';
COMMENT ON COLUMN late_starts.max_late IS 'How late the latest of them began.';
COMMENT ON COLUMN late_starts.checkin_margin IS
    'How many minutes late it may be before it counts as missed (monitors.checkin_margin).';
COMMENT ON COLUMN late_starts.p50_late_seconds IS 'p50_late in seconds.';
COMMENT ON COLUMN late_starts.p95_late_seconds IS 'p95_late in seconds.';
COMMENT ON COLUMN late_starts.max_late_seconds IS 'max_late in seconds.';

-- Only environments that have a run before its time are looked at whole: they are few. An interval is counted from the
-- end of a run (its last report), so a job that starts every so often is early by as much as it runs: what counts is
-- the time from start to start.
CREATE OR REPLACE VIEW unexpected_runs AS
WITH early AS (
    SELECT DISTINCT project_id, slug, environment
    FROM check_ins
    WHERE status <> 'missed' AND date_added < expected_time AND date_added >= event_clock() - INTERVAL 168 HOUR
),
runs AS (
    SELECT c.project_id, c.slug, c.environment, c.check_in_id, c.status, c.date_added, c.expected_time,
        lag(c.status) OVER by_start AS status_before,
        lag(c.status, 2) OVER by_start AS status_two_before,
        lag(c.date_added) OVER by_start AS added_before,
        lag(c.date_updated) OVER by_start AS updated_before,
        row_number() OVER (
            PARTITION BY c.project_id, c.slug, c.environment, c.expected_time, c.status = 'missed'
            ORDER BY c.date_added DESC, c.check_in_id DESC
        ) AS place_from_last
    FROM check_ins AS c
    JOIN early AS e ON e.project_id = c.project_id AND e.slug = c.slug AND e.environment = c.environment
    WHERE c.date_added >= event_clock() - INTERVAL 168 HOUR
    WINDOW by_start AS (
        PARTITION BY c.project_id, c.slug, c.environment
        ORDER BY c.date_added, c.status <> 'missed', c.check_in_id
    )
),
early_runs AS (
    SELECT r.*, m.schedule_type, m.checkin_margin, m.organization_id, m.name, m.owner,
        epoch_us(r.expected_time) - epoch_us(r.date_added) - CASE
        WHEN m.schedule_type = 'interval' AND r.updated_before <= r.date_added
            THEN epoch_us(r.updated_before) - epoch_us(r.added_before)
        ELSE 0
    END AS early_us
    FROM runs AS r
    JOIN monitors AS m ON m.project_id = r.project_id AND m.slug = r.slug
    WHERE r.status <> 'missed' AND r.date_added < r.expected_time
        AND coalesce(r.status_before, 'ok') NOT IN ('missed', 'timeout')
        AND NOT (m.schedule_type = 'interval' AND coalesce(r.status_two_before, 'ok') IN ('missed', 'timeout'))
)
SELECT project_id, slug, environment, check_in_id, status, date_added, expected_time,
    to_microseconds(early_us) AS early_by, early_us / 1000000 AS early_seconds, organization_id, name, owner
FROM early_runs
WHERE CASE schedule_type
    WHEN 'interval' THEN early_us > coalesce(checkin_margin, 1) * 60000000
    ELSE place_from_last > 1
END;
COMMENT ON VIEW unexpected_runs IS
    'Runs beyond what the schedule asks for, of the 7 days before the event clock: a job that runs twice is a fault too. Crontab: a run before its time, with another one for the same time after it. Interval: one that began sooner after the start of the one before than interval and margin allow. The first run after a miss or a time-out makes good for it and is none, nor is the one after it where an interval is on its way back to its hours.';
-- keys of unexpected_runs: project_id, slug, environment, check_in_id, organization_id, name, owner
COMMENT ON COLUMN unexpected_runs.status IS 'How it ended, as in check_ins.status.';
COMMENT ON COLUMN unexpected_runs.date_added IS 'When it began.';
COMMENT ON COLUMN unexpected_runs.expected_time IS 'When the job was due next.';
COMMENT ON COLUMN unexpected_runs.early_by IS
    'Crontab: how long before that it began. Interval: how much less than the interval lies between its start and that of the run before.';
COMMENT ON COLUMN unexpected_runs.early_seconds IS 'early_by in seconds.';
