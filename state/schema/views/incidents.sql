-- How long incidents last, how often they come, and which ones stay.

CREATE OR REPLACE VIEW incident_durations AS
SELECT project_id, slug, environment, incident_id, starting_timestamp, resolving_timestamp,
    resolving_timestamp IS NULL AS is_open,
    greatest(span(starting_timestamp, coalesce(resolving_timestamp, event_clock())), to_microseconds(0))
        AS lasted
FROM incidents;
COMMENT ON VIEW incident_durations IS 'Incidents and how long they lasted; open ones up to the event clock.';
COMMENT ON COLUMN incident_durations.project_id IS 'The project that the monitor belongs to.';
COMMENT ON COLUMN incident_durations.slug IS 'The monitor.';
COMMENT ON COLUMN incident_durations.environment IS 'The environment.';
COMMENT ON COLUMN incident_durations.incident_id IS 'The incident (incidents.incident_id).';
COMMENT ON COLUMN incident_durations.starting_timestamp IS 'When the first of its failing check-ins began.';
COMMENT ON COLUMN incident_durations.resolving_timestamp IS
    'When the check-in began that resolved it; NULL while open.';
COMMENT ON COLUMN incident_durations.is_open IS 'True: not resolved yet.';
COMMENT ON COLUMN incident_durations.lasted IS
    'From when the first failing check-in began until the check-in began that resolved it, where that is later: zero for a time-out that ended well after all. While open, up to the event clock.';

CREATE OR REPLACE VIEW mttr AS
SELECT project_id, slug, environment, week_of(resolving_timestamp) AS week, count(*) AS resolved,
    to_microseconds(avg(epoch_us(lasted))::BIGINT) AS mttr,
    max(lasted) AS longest
FROM incident_durations
WHERE NOT is_open
GROUP BY ALL;
COMMENT ON VIEW mttr IS
    'Mean time to recovery by monitor, environment and week, of the incidents resolved in that week.';
COMMENT ON COLUMN mttr.project_id IS 'The project that the monitor belongs to.';
COMMENT ON COLUMN mttr.slug IS 'The monitor.';
COMMENT ON COLUMN mttr.environment IS 'The environment.';
COMMENT ON COLUMN mttr.week IS 'Monday of the week in which they were resolved, in UTC.';
COMMENT ON COLUMN mttr.resolved IS 'How many incidents were resolved.';
COMMENT ON COLUMN mttr.mttr IS 'How long they lasted on average (incident_durations.lasted).';
COMMENT ON COLUMN mttr.longest IS 'How long the longest of them lasted.';

CREATE OR REPLACE VIEW mtbf AS
WITH incidents_in_order AS (
    SELECT project_id, slug, environment, starting_timestamp,
        lag(greatest(starting_timestamp, resolving_timestamp)) OVER (
            PARTITION BY project_id, slug, environment ORDER BY starting_timestamp, incident_id
        ) AS well_since
    FROM incidents
)
SELECT project_id, slug, environment, week_of(starting_timestamp) AS week, count(*) AS failures,
    to_microseconds(avg(greatest(epoch_us(starting_timestamp) - epoch_us(well_since), 0))
        FILTER (WHERE well_since IS NOT NULL)::BIGINT) AS mtbf
FROM incidents_in_order
GROUP BY ALL;
COMMENT ON VIEW mtbf IS
    'Mean time between failures by monitor, environment and week, of the incidents that began in that week.';
COMMENT ON COLUMN mtbf.project_id IS 'The project that the monitor belongs to.';
COMMENT ON COLUMN mtbf.slug IS 'The monitor.';
COMMENT ON COLUMN mtbf.environment IS 'The environment.';
COMMENT ON COLUMN mtbf.week IS 'Monday of the week in which they began, in UTC.';
COMMENT ON COLUMN mtbf.failures IS 'How many incidents began.';
COMMENT ON COLUMN mtbf.mtbf IS
    'Mean time from the resolution of the incident before to the start of these; an environment''s first incident has none before it and does not count, NULL if no other began.';

CREATE OR REPLACE VIEW flapping AS
SELECT project_id, slug, environment, count(*) AS incidents, max(lasted) AS longest,
    to_microseconds(sum(epoch_us(lasted))::BIGINT) AS failing,
    min(starting_timestamp) AS first_start, max(starting_timestamp) AS latest_start, bool_or(is_open) AS is_open
FROM incident_durations
WHERE starting_timestamp >= event_clock() - INTERVAL 168 HOUR
GROUP BY ALL
HAVING count(*) >= 3;
COMMENT ON VIEW flapping IS
    'Environments that go back and forth: three or more incidents began in the 7 days before the event clock.';
COMMENT ON COLUMN flapping.project_id IS 'The project that the monitor belongs to.';
COMMENT ON COLUMN flapping.slug IS 'The monitor.';
COMMENT ON COLUMN flapping.environment IS 'The environment.';
COMMENT ON COLUMN flapping.incidents IS 'How many incidents began.';
COMMENT ON COLUMN flapping.longest IS 'How long the longest of them lasted.';
COMMENT ON COLUMN flapping.failing IS 'How long they lasted together.';
COMMENT ON COLUMN flapping.first_start IS 'When the first of them began.';
COMMENT ON COLUMN flapping.latest_start IS 'When the latest of them began.';
COMMENT ON COLUMN flapping.is_open IS 'True: one of them is open now.';

CREATE OR REPLACE VIEW never_recovered AS
WITH seen AS (
    SELECT i.incident_id,
        count(*) FILTER (WHERE c.status IN ('error', 'missed', 'timeout')) AS failures,
        max(c.date_added) FILTER (WHERE c.status <> 'missed') AS last_run
    FROM incidents AS i
    JOIN check_ins AS c ON c.project_id = i.project_id AND c.slug = i.slug AND c.environment = i.environment
    WHERE i.resolving_timestamp IS NULL AND c.date_added >= i.starting_timestamp
    GROUP BY i.incident_id
    HAVING count(*) FILTER (WHERE c.status = 'ok') = 0
)
SELECT i.project_id, i.slug, i.environment, i.incident_id, i.starting_timestamp,
    greatest(span(i.starting_timestamp, event_clock()), to_microseconds(0)) AS lasted, seen.failures, seen.last_run, m.owner
FROM incidents AS i
JOIN seen ON seen.incident_id = i.incident_id
LEFT JOIN monitors AS m ON m.project_id = i.project_id AND m.slug = i.slug;
COMMENT ON VIEW never_recovered IS
    'Open incidents in which not a single run has been ok since they began: broken, or given up and forgotten.';
COMMENT ON COLUMN never_recovered.project_id IS 'The project that the monitor belongs to.';
COMMENT ON COLUMN never_recovered.slug IS 'The monitor.';
COMMENT ON COLUMN never_recovered.environment IS 'The environment.';
COMMENT ON COLUMN never_recovered.incident_id IS 'The incident (incidents.incident_id).';
COMMENT ON COLUMN never_recovered.starting_timestamp IS 'When the first of its failing check-ins began.';
COMMENT ON COLUMN never_recovered.lasted IS 'How long it has been open at the event clock.';
COMMENT ON COLUMN never_recovered.failures IS 'How many check-ins were error, missed or timeout since it began.';
COMMENT ON COLUMN never_recovered.last_run IS
    'When the latest run of them began; NULL if all were missed.';
COMMENT ON COLUMN never_recovered.owner IS 'user:... or team:..., NULL if nobody owns the monitor.';
