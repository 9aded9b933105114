-- How every monitor environment is doing, and how much of a time it was well.

-- A change of status that came out of order leaves no period open that is over.
CREATE OR REPLACE VIEW disabled_periods AS
WITH changes AS (
    SELECT h.project_id, h.slug, h.status, h.changed_at,
        lead(h.changed_at) OVER (PARTITION BY h.project_id, h.slug ORDER BY h.changed_at) AS changed_next,
        m.status AS status_now
    FROM monitor_status_history AS h
    JOIN monitors AS m ON m.project_id = h.project_id AND m.slug = h.slug
)
SELECT project_id, slug, changed_at AS disabled_at,
    CASE WHEN changed_next IS NULL AND status_now = 'active' THEN changed_at ELSE changed_next END AS enabled_at
FROM changes
WHERE status = 'disabled';
COMMENT ON VIEW disabled_periods IS
    'When monitors were disabled: nothing was expected of them, and nothing counts as up or down.';
COMMENT ON COLUMN disabled_periods.project_id IS 'The project that the monitor belongs to.';
COMMENT ON COLUMN disabled_periods.slug IS 'The monitor.';
COMMENT ON COLUMN disabled_periods.disabled_at IS 'From here.';
COMMENT ON COLUMN disabled_periods.enabled_at IS 'To here; NULL: it still is.';

CREATE OR REPLACE VIEW monitor_status AS
WITH resolved AS (
    SELECT project_id, slug, environment, max(resolving_timestamp) AS resolving_timestamp
    FROM incidents
    GROUP BY project_id, slug, environment
),
states AS (
    SELECT e.project_id, e.slug, e.environment, m.name, m.owner, m.schedule, m.timezone,
        m.is_muted OR e.is_muted AS is_muted, e.last_checkin, e.open_incident_id, o.starting_timestamp,
        CASE WHEN m.status = 'disabled' THEN 'disabled' ELSE e.status END AS status,
        CASE WHEN m.status <> 'disabled' THEN e.next_checkin END AS next_checkin,
        greatest(r.resolving_timestamp, m.created_at) AS settled_at,
        coalesce(d.disabled_at, m.updated_at) AS disabled_at,
        event_clock() AS now_at
    FROM monitor_environments AS e
    JOIN monitors AS m ON m.project_id = e.project_id AND m.slug = e.slug
    LEFT JOIN incidents AS o ON o.incident_id = e.open_incident_id
    LEFT JOIN resolved AS r
        ON r.project_id = e.project_id AND r.slug = e.slug AND r.environment = e.environment
    LEFT JOIN disabled_periods AS d
        ON d.project_id = e.project_id AND d.slug = e.slug AND d.enabled_at IS NULL
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
)
SELECT project_id, slug, environment, name, status,
    CASE status WHEN 'disabled' THEN disabled_at WHEN 'error' THEN starting_timestamp ELSE settled_at END AS since,
    last_checkin AS last_run,
    next_checkin AS next_expected,
    CASE WHEN due_at < now_at THEN span(due_at, now_at) END AS overdue_by,
    open_incident_id, owner, is_muted, schedule, timezone
FROM missing;
COMMENT ON VIEW monitor_status IS 'How each monitor is doing now, in each of its environments: one row an environment.';
COMMENT ON COLUMN monitor_status.project_id IS 'The project that the monitor belongs to.';
COMMENT ON COLUMN monitor_status.slug IS 'The monitor.';
COMMENT ON COLUMN monitor_status.environment IS 'The environment.';
COMMENT ON COLUMN monitor_status.name IS 'The monitor''s name for people.';
COMMENT ON COLUMN monitor_status.status IS
    'active: nothing finished yet. ok. error: an incident is open. disabled: the monitor is switched off.';
COMMENT ON COLUMN monitor_status.since IS
    'Since when. error: the first of the failing check-ins. ok: the resolution of the last incident; without one, as of active, the creation of the monitor. disabled: when it was disabled.';
COMMENT ON COLUMN monitor_status.last_run IS 'When the latest run began that counts; misses are no runs.';
COMMENT ON COLUMN monitor_status.next_expected IS 'When the job is due next; NULL while disabled.';
COMMENT ON COLUMN monitor_status.overdue_by IS
    'How long a run has been due at the event clock: since the first one that never came after the last run, else since next_expected. NULL if none is overdue.';
COMMENT ON COLUMN monitor_status.open_incident_id IS 'The incident that is open now; NULL if none is.';
COMMENT ON COLUMN monitor_status.owner IS 'user:... or team:..., NULL if nobody owns the monitor.';
COMMENT ON COLUMN monitor_status.is_muted IS 'True: monitor or environment is muted, no occurrence is sent.';
COMMENT ON COLUMN monitor_status.schedule IS 'When the job is due, as in monitors.schedule.';
COMMENT ON COLUMN monitor_status.timezone IS 'IANA name of the time zone that the schedule is read in.';

-- Times in µs since the epoch up to the last SELECT. The first run of an environment is the one that was not due.
-- What lies in a disabled period is taken off everywhere; periods of one monitor do not overlap.
CREATE OR REPLACE MACRO uptime(from_time, to_time) AS TABLE
WITH disabled AS (
    SELECT d.project_id, d.slug, epoch_us(d.disabled_at) AS off, coalesce(epoch_us(d.enabled_at), 4611686018427387904) AS back
    FROM disabled_periods AS d
),
bounds AS (
    SELECT e.project_id, e.slug, e.environment, e.status, epoch_us(m.created_at) AS created_at,
        epoch_us(from_time::TIMESTAMPTZ) AS begins,
        greatest(epoch_us(from_time::TIMESTAMPTZ), least(
            epoch_us(to_time::TIMESTAMPTZ),
            epoch_us(event_clock())
        )) AS ends
    FROM monitor_environments AS e
    JOIN monitors AS m ON m.project_id = e.project_id AND m.slug = e.slug
),
first_runs AS (
    SELECT c.project_id, c.slug, c.environment, min(epoch_us(c.date_added)) AS first_run
    FROM check_ins AS c
    WHERE c.expected_time IS NULL AND c.date_added >= from_time::TIMESTAMPTZ
    GROUP BY c.project_id, c.slug, c.environment
),
open_times AS (
    SELECT b.project_id, b.slug, b.environment, i.incident_id, epoch_us(i.starting_timestamp) AS starts,
        epoch_us(i.starting_timestamp) < b.ends
            AND coalesce(epoch_us(i.resolving_timestamp), b.ends) > b.begins AS is_within,
        greatest(b.begins, epoch_us(i.starting_timestamp)) AS opened,
        greatest(b.begins, epoch_us(i.starting_timestamp),
            least(b.ends, coalesce(epoch_us(i.resolving_timestamp), b.ends))) AS closed
    FROM bounds AS b
    JOIN incidents AS i
        ON i.project_id = b.project_id AND i.slug = b.slug AND i.environment = b.environment
),
open_disabled AS (
    SELECT o.incident_id, sum(least(o.closed, d.back) - greatest(o.opened, d.off)) AS disabled
    FROM open_times AS o
    JOIN disabled AS d ON d.project_id = o.project_id AND d.slug = o.slug AND d.off < o.closed AND d.back > o.opened
    GROUP BY o.incident_id
),
failures AS (
    SELECT o.project_id, o.slug, o.environment, min(o.starts) AS first_failure,
        count(*) FILTER (WHERE o.is_within AND (d.disabled IS NULL OR o.closed - o.opened > d.disabled)) AS incidents,
        sum(o.closed - o.opened - coalesce(d.disabled, 0))::BIGINT AS failing
    FROM open_times AS o
    LEFT JOIN open_disabled AS d ON d.incident_id = o.incident_id
    GROUP BY o.project_id, o.slug, o.environment
),
known_times AS (
    SELECT b.project_id, b.slug, b.environment, b.begins, b.ends,
        coalesce(f.failing, 0) AS failing, coalesce(f.incidents, 0) AS incidents,
        CASE WHEN b.status = 'active' AND f.first_failure IS NULL THEN b.ends
            ELSE least(b.ends, greatest(b.begins, least(coalesce(r.first_run, b.created_at), f.first_failure)))
        END AS known
    FROM bounds AS b
    LEFT JOIN first_runs AS r
        ON r.project_id = b.project_id AND r.slug = b.slug AND r.environment = b.environment
    LEFT JOIN failures AS f
        ON f.project_id = b.project_id AND f.slug = b.slug AND f.environment = b.environment
),
known_disabled AS (
    SELECT k.project_id, k.slug, k.environment,
        sum(greatest(0, least(k.known, d.back) - greatest(k.begins, d.off))) AS unknown,
        sum(greatest(0, least(k.ends, d.back) - greatest(k.known, d.off))) AS known
    FROM known_times AS k
    JOIN disabled AS d ON d.project_id = k.project_id AND d.slug = k.slug AND d.off < k.ends AND d.back > k.begins
    GROUP BY k.project_id, k.slug, k.environment
),
parts AS (
    SELECT k.project_id, k.slug, k.environment, k.failing, k.incidents,
        (k.known - k.begins - coalesce(d.unknown, 0))::BIGINT AS unknown,
        (k.ends - k.known - coalesce(d.known, 0))::BIGINT AS known
    FROM known_times AS k
    LEFT JOIN known_disabled AS d
        ON d.project_id = k.project_id AND d.slug = k.slug AND d.environment = k.environment
)
SELECT p.project_id, p.slug, p.environment,
    to_microseconds(p.known - p.failing) AS ok,
    to_microseconds(p.failing) AS failing,
    to_microseconds(p.unknown) AS unknown,
    CASE WHEN p.known > 0 THEN (p.known - p.failing) / p.known END AS uptime,
    p.incidents
FROM parts AS p;
COMMENT ON MACRO TABLE uptime IS
    'uptime(from_time, to_time): how much of a time each environment was well, one row an environment. failing: an incident was open, counted from when its first failing check-in began until the check-in began that resolved it, where that is later. unknown: before the first run, or nothing has finished yet. ok: the rest. uptime: ok / (ok + failing), 0 to 1, NULL if both are 0. incidents: those open at some time of it. What lies after the event clock does not count, nor the time for which the monitor was disabled (disabled_periods).';
