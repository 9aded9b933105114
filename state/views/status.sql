-- How every monitor environment is doing.
--
-- "Now" is the snapshot's event clock, never the wall clock. Spans of time are computed in µs and made intervals at
-- the end: DuckDB's own difference of two TIMESTAMPTZ counts days in the session's time zone.

CREATE OR REPLACE VIEW monitor_status AS
WITH resolved AS (
    SELECT project_id, slug, environment, max(resolving_timestamp) AS resolving_timestamp
    FROM incidents
    GROUP BY project_id, slug, environment
),
states AS (
    SELECT e.project_id, e.slug, e.environment, m.name, m.owner, m.schedule, m.timezone, m.updated_at,
        m.is_muted OR e.is_muted AS is_muted, e.last_checkin, e.open_incident_id, o.starting_timestamp,
        CASE WHEN m.status = 'disabled' THEN 'disabled' ELSE e.status END AS status,
        CASE WHEN m.status <> 'disabled' THEN e.next_checkin END AS next_checkin,
        greatest(r.resolving_timestamp, m.created_at) AS settled_at,
        (SELECT max(event_clock) FROM snapshot_info) AS event_clock
    FROM monitor_environments AS e
    JOIN monitors AS m ON m.project_id = e.project_id AND m.slug = e.slug
    LEFT JOIN incidents AS o ON o.incident_id = e.open_incident_id
    LEFT JOIN resolved AS r
        ON r.project_id = e.project_id AND r.slug = e.slug AND r.environment = e.environment
),
missing AS (
    SELECT *, CASE
        WHEN status = 'disabled' THEN NULL
        WHEN starting_timestamp > coalesce(last_checkin, '-infinity'::TIMESTAMPTZ) THEN starting_timestamp
        ELSE next_checkin
    END AS due_at
    FROM states
)
SELECT project_id, slug, environment, name, status,
    CASE status WHEN 'disabled' THEN updated_at WHEN 'error' THEN starting_timestamp ELSE settled_at END AS since,
    last_checkin AS last_run,
    next_checkin AS next_expected,
    CASE WHEN due_at < event_clock
        THEN to_microseconds(epoch_us(event_clock) - epoch_us(due_at)) END AS overdue_by,
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
    'Since when. error: the first of the failing check-ins. ok: the resolution of the last incident; without one, as of active, the creation of the monitor. disabled: the last change of the monitor.';
COMMENT ON COLUMN monitor_status.last_run IS 'When the latest run began that counts; misses are no runs.';
COMMENT ON COLUMN monitor_status.next_expected IS 'When the job is due next; NULL while disabled.';
COMMENT ON COLUMN monitor_status.overdue_by IS
    'How long a run has been due at the event clock: since the open incident began if that was with a miss and nothing has run since, else since next_expected. NULL if none is overdue.';
COMMENT ON COLUMN monitor_status.open_incident_id IS 'The incident that is open now; NULL if none is.';
COMMENT ON COLUMN monitor_status.owner IS 'user:... or team:..., NULL if nobody owns the monitor.';
COMMENT ON COLUMN monitor_status.is_muted IS 'True: monitor or environment is muted, no occurrence is sent.';
COMMENT ON COLUMN monitor_status.schedule IS 'When the job is due, as in monitors.schedule.';
COMMENT ON COLUMN monitor_status.timezone IS 'IANA name of the time zone that the schedule is read in.';
