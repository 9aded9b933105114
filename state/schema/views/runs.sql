-- How long jobs run, how late they begin, and which of their runs nobody asked for.

CREATE OR REPLACE MACRO durations(from_time, to_time) AS TABLE
WITH figures AS (
    SELECT c.project_id, c.slug, c.environment, count(*) AS runs,
        quantile_cont(c.duration_ms, [0.5, 0.95]) AS quantiles, max(c.duration_ms) AS max_ms
    FROM check_ins AS c
    WHERE c.status IN ('ok', 'error') AND c.duration_ms IS NOT NULL
        AND c.date_added >= from_time::TIMESTAMPTZ AND c.date_added < to_time::TIMESTAMPTZ
    GROUP BY c.project_id, c.slug, c.environment
)
SELECT f.project_id, f.slug, f.environment, f.runs, f.quantiles[1] AS p50_ms, f.quantiles[2] AS p95_ms, f.max_ms
FROM figures AS f;
COMMENT ON MACRO TABLE durations IS
    'durations(from_time, to_time): how long the runs took that began from from_time to just before to_time, one row an environment. Only runs reported as ok or error count. p50_ms, p95_ms and max_ms: median, 95th percentile (both interpolated) and longest, in milliseconds.';

CREATE OR REPLACE VIEW run_durations AS
SELECT r.project_id, r.slug, r.environment, r.runs, r.p50_ms, r.p95_ms, r.max_ms,
    coalesce(b.runs, 0) AS runs_before, b.p50_ms AS p50_ms_before,
    CASE WHEN b.p50_ms > 0 THEN r.p50_ms / b.p50_ms END AS trend
FROM durations(event_clock() - INTERVAL 168 HOUR, 'infinity') AS r
LEFT JOIN durations(event_clock() - INTERVAL 840 HOUR, event_clock() - INTERVAL 168 HOUR) AS b
    ON b.project_id = r.project_id AND b.slug = r.slug AND b.environment = r.environment;
COMMENT ON VIEW run_durations IS
    'How long runs that began in the 7 days before the event clock took, against the four weeks before those: one row an environment. Only runs reported as ok or error count.';
COMMENT ON COLUMN run_durations.project_id IS 'The project that the monitor belongs to.';
COMMENT ON COLUMN run_durations.slug IS 'The monitor.';
COMMENT ON COLUMN run_durations.environment IS 'The environment.';
COMMENT ON COLUMN run_durations.runs IS 'How many runs of the 7 days count.';
COMMENT ON COLUMN run_durations.p50_ms IS 'Their median duration in milliseconds, interpolated.';
COMMENT ON COLUMN run_durations.p95_ms IS 'So many milliseconds 95 % of them took at most, interpolated.';
COMMENT ON COLUMN run_durations.max_ms IS 'What the longest of them took, in milliseconds.';
COMMENT ON COLUMN run_durations.runs_before IS 'How many runs of the four weeks before count.';
COMMENT ON COLUMN run_durations.p50_ms_before IS
    'The median of the four weeks before, in milliseconds; NULL if nothing ran.';
COMMENT ON COLUMN run_durations.trend IS
    'p50_ms divided by p50_ms_before: 1.2 is 20 % slower than before. NULL without runs before.';

CREATE OR REPLACE VIEW late_starts AS
WITH runs AS (
    SELECT project_id, slug, environment,
        greatest(epoch_us(date_added) - epoch_us(expected_time), 0) AS late_us
    FROM check_ins
    WHERE status <> 'missed' AND date_added >= event_clock() - INTERVAL 168 HOUR
        AND date_added > expected_time - INTERVAL 1 MINUTE
),
figures AS (
    SELECT project_id, slug, environment, count(*) AS runs, count(*) FILTER (WHERE late_us >= 60000000) AS late_runs,
        quantile_cont(late_us, [0.5, 0.95]) AS quantiles, max(late_us) AS max_us
    FROM runs
    GROUP BY project_id, slug, environment
)
SELECT f.project_id, f.slug, f.environment, f.runs, f.late_runs,
    to_microseconds(f.quantiles[1]::BIGINT) AS p50_late, to_microseconds(f.quantiles[2]::BIGINT) AS p95_late,
    to_microseconds(f.max_us) AS max_late, m.checkin_margin
FROM figures AS f
LEFT JOIN monitors AS m ON m.project_id = f.project_id AND m.slug = f.slug;
COMMENT ON VIEW late_starts IS
    'How late runs of the 7 days before the event clock began against their schedule: one row an environment. A run that came after its time counted as missed is held against the next time, so it is early and not in here.';
COMMENT ON COLUMN late_starts.project_id IS 'The project that the monitor belongs to.';
COMMENT ON COLUMN late_starts.slug IS 'The monitor.';
COMMENT ON COLUMN late_starts.environment IS 'The environment.';
COMMENT ON COLUMN late_starts.runs IS 'How many runs began when they were due, less than a minute before, or later.';
COMMENT ON COLUMN late_starts.late_runs IS 'How many of them began a minute late or more.';
COMMENT ON COLUMN late_starts.p50_late IS 'The median of how late they began; a run before its time is not late.';
COMMENT ON COLUMN late_starts.p95_late IS 'So late at most 95 % of them began.';
COMMENT ON COLUMN late_starts.max_late IS 'How late the latest of them began.';
COMMENT ON COLUMN late_starts.checkin_margin IS
    'How many minutes late it may be before it counts as missed (monitors.checkin_margin).';

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
    SELECT r.*, m.schedule_type, m.checkin_margin, epoch_us(r.expected_time) - epoch_us(r.date_added) - CASE
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
    to_microseconds(early_us) AS early_by
FROM early_runs
WHERE CASE schedule_type
    WHEN 'interval' THEN early_us > checkin_margin * 60000000
    ELSE place_from_last > 1
END;
COMMENT ON VIEW unexpected_runs IS
    'Runs beyond what the schedule asks for, of the 7 days before the event clock: a job that runs twice is a fault too. Crontab: a run before its time, with another one for the same time after it. Interval: one that began sooner after the start of the one before than interval and margin allow. The first run after a miss or a time-out makes good for it and is none, nor is the one after it where an interval is on its way back to its hours.';
COMMENT ON COLUMN unexpected_runs.project_id IS 'The project that the monitor belongs to.';
COMMENT ON COLUMN unexpected_runs.slug IS 'The monitor.';
COMMENT ON COLUMN unexpected_runs.environment IS 'The environment.';
COMMENT ON COLUMN unexpected_runs.check_in_id IS 'The run (check_ins.check_in_id).';
COMMENT ON COLUMN unexpected_runs.status IS 'How it ended, as in check_ins.status.';
COMMENT ON COLUMN unexpected_runs.date_added IS 'When it began.';
COMMENT ON COLUMN unexpected_runs.expected_time IS 'When the job was due next.';
COMMENT ON COLUMN unexpected_runs.early_by IS
    'Crontab: how long before that it began. Interval: how much less than the interval lies between its start and that of the run before.';
