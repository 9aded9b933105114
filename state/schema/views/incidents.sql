-- How long incidents last, how often they come, and which ones stay.
--
-- An outage lasts until the run that resolved it began, where that is later than its own beginning.

CREATE OR REPLACE VIEW incident_durations AS
SELECT i.project_id, i.slug, i.environment, i.incident_id, i.starting_timestamp, i.resolving_timestamp,
    i.resolving_timestamp IS NULL AS is_open,
    greatest(span(i.starting_timestamp, coalesce(i.resolving_timestamp, event_clock())), to_microseconds(0)) AS lasted,
    greatest(seconds_between(i.starting_timestamp, coalesce(i.resolving_timestamp, event_clock())), 0) AS lasted_seconds,
    m.organization_id, m.name, m.owner
FROM incidents AS i
LEFT JOIN monitors AS m ON m.project_id = i.project_id AND m.slug = i.slug;
COMMENT ON VIEW incident_durations IS 'Incidents and how long they lasted; open ones up to the event clock. incident_details says more.';
-- keys of incident_durations: project_id, slug, environment, organization_id, name, owner, incident_id
COMMENT ON COLUMN incident_durations.starting_timestamp IS 'When the first of its failing check-ins began.';
COMMENT ON COLUMN incident_durations.resolving_timestamp IS
    'When the check-in began that resolved it; NULL while open.';
COMMENT ON COLUMN incident_durations.is_open IS 'True: not resolved yet.';
COMMENT ON COLUMN incident_durations.lasted IS
    'From start to resolution, or to the event clock while open; zero where the resolving run began before the incident.';
COMMENT ON COLUMN incident_durations.lasted_seconds IS 'lasted in seconds.';

-- The failing check-ins of an incident: those that were judged while it was open, and those that led up to it. Theirs
-- are the failures that counted from that of its first check-in to the one that opened it.
CREATE OR REPLACE VIEW incident_failures AS
WITH failures AS (
    SELECT d.project_id, d.slug, d.environment, d.check_in_id, d.date_added, d.noticed_at, d.counted, d.overruled_by,
        d.incident_id, d.message
    FROM run_decisions AS d
    WHERE d.verdict = 'failure' AND d.system_incident_id IS NULL AND d.silence_id IS NULL
),
opened AS (
    SELECT f.incident_id, min(f.noticed_at) AS opened_at
    FROM failures AS f
    WHERE f.incident_id IS NOT NULL
    GROUP BY f.incident_id
),
led_up AS (
    SELECT i.project_id, i.slug, i.environment, i.incident_id, f.noticed_at AS first_noticed_at, o.opened_at, true AS leads
    FROM incidents AS i
    JOIN opened AS o ON o.incident_id = i.incident_id
    JOIN failures AS f ON f.project_id = i.project_id AND f.slug = i.slug AND f.environment = i.environment
        AND f.check_in_id = i.starting_check_in_id
    WHERE f.incident_id IS NULL
)
SELECT f.project_id, f.slug, f.environment, f.check_in_id, f.date_added, f.noticed_at, f.message,
    coalesce(f.incident_id, l.incident_id) AS incident_id,
    CASE
        WHEN coalesce(f.incident_id, l.incident_id) IS NOT NULL THEN NULL
        WHEN f.counted IS NULL THEN 'its tick is not decided yet'
        WHEN f.overruled_by IS NOT NULL THEN 'a run that began later had succeeded'
        ELSE 'too few failed in a row'
    END AS no_incident_because
FROM failures AS f
LEFT JOIN led_up AS l ON l.project_id = f.project_id AND l.slug = f.slug AND l.environment = f.environment
    AND f.noticed_at >= l.first_noticed_at AND f.noticed_at <= l.opened_at
    AND coalesce(f.counted AND f.incident_id IS NULL, false) = l.leads;
COMMENT ON VIEW incident_failures IS
    'Failing check-ins and the incident that each opened, led up to or belongs to; or why it belongs to none. One row a check-in that was judged as a failure, however it ended afterwards.';
-- keys of incident_failures: project_id, slug, environment, check_in_id
COMMENT ON COLUMN incident_failures.date_added IS 'When the run began, or should have.';
COMMENT ON COLUMN incident_failures.noticed_at IS
    'When it was noticed: the tick that found a miss or a time-out, or when the message came that reported it.';
COMMENT ON COLUMN incident_failures.message IS
    'What became of the message about it: sent, muted, or flapping; NULL if none was due.';
COMMENT ON COLUMN incident_failures.incident_id IS 'The incident (incidents.incident_id); NULL if it belongs to none.';
COMMENT ON COLUMN incident_failures.no_incident_because IS 'Why it belongs to none; NULL if it does.';

CREATE OR REPLACE VIEW incident_details AS
WITH kinds AS (
    SELECT f.incident_id, count(*) AS failures, count(*) FILTER (WHERE c.status = 'error') AS errors,
        count(*) FILTER (WHERE c.status = 'missed') AS misses, count(*) FILTER (WHERE c.status = 'timeout') AS timeouts
    FROM incident_failures AS f
    JOIN check_ins AS c ON c.project_id = f.project_id AND c.slug = f.slug AND c.environment = f.environment
        AND c.check_in_id = f.check_in_id
    WHERE f.incident_id IS NOT NULL AND c.status IN ('error', 'missed', 'timeout')
    GROUP BY f.incident_id
),
opened AS (
    SELECT d.incident_id, min(d.noticed_at) AS opened_at
    FROM run_decisions AS d
    WHERE d.verdict = 'failure' AND d.incident_id IS NOT NULL
    GROUP BY d.incident_id
),
ended AS (
    SELECT d.incident_id, d.check_in_id, d.noticed_at
    FROM run_decisions AS d
    WHERE d.verdict = 'success' AND d.incident_id IS NOT NULL
),
sent AS (
    SELECT s.incident_id, min(s.created_at) FILTER (WHERE s.payload_type = 'occurrence') AS sent_at,
        count(*) AS messages
    FROM status_changes AS s
    WHERE s.incident_id IS NOT NULL
    GROUP BY s.incident_id
),
in_order AS (
    SELECT i.*, lag(greatest(i.starting_timestamp, i.resolving_timestamp)) OVER (
            PARTITION BY i.project_id, i.slug, i.environment ORDER BY i.starting_timestamp, i.incident_id
        ) AS well_since
    FROM incidents AS i
)
SELECT i.project_id, i.slug, i.environment, i.incident_id, m.organization_id, coalesce(h.name, m.name) AS name,
    CASE WHEN h.name IS NULL THEN m.owner ELSE h.owner END AS owner,
    i.resolving_timestamp IS NULL AS is_open, i.starting_timestamp, i.resolving_timestamp,
    greatest(seconds_between(i.starting_timestamp, coalesce(i.resolving_timestamp, event_clock())), 0) AS lasted_seconds,
    o.opened_at, t.sent_at, coalesce(e.noticed_at, CASE WHEN i.resolving_check_in_id IS NULL THEN i.resolving_timestamp END)
        AS resolved_at,
    seconds_between(i.starting_timestamp, t.sent_at) AS silent_seconds,
    seconds_between(o.opened_at, t.sent_at) AS sent_after_seconds,
    CASE WHEN i.well_since IS NOT NULL THEN greatest(seconds_between(i.well_since, i.starting_timestamp), 0) END
        AS well_before_seconds,
    coalesce(k.failures, 0) AS failures, coalesce(k.errors, 0) AS errors, coalesce(k.misses, 0) AS misses,
    coalesce(k.timeouts, 0) AS timeouts, coalesce(t.messages, 0) AS messages, i.starting_check_in_id,
    i.resolving_check_in_id, a.event_clock, a.published_at, a.age_seconds, n.acknowledged_at, n.acknowledged_by
FROM in_order AS i
CROSS JOIN snapshot_age AS a
LEFT JOIN monitors AS m ON m.project_id = i.project_id AND m.slug = i.slug
LEFT JOIN cronwax_former_configs() AS h ON h.project_id = i.project_id AND h.slug = i.slug
    AND i.starting_timestamp >= h.covers_from AND i.starting_timestamp < h.covers_until
LEFT JOIN opened AS o ON o.incident_id = i.incident_id
LEFT JOIN ended AS e ON e.incident_id = i.incident_id AND e.check_in_id = i.resolving_check_in_id
LEFT JOIN sent AS t ON t.incident_id = i.incident_id
LEFT JOIN incident_acknowledgements AS n ON n.incident_id = i.incident_id
LEFT JOIN kinds AS k ON k.incident_id = i.incident_id;
COMMENT ON VIEW incident_details IS
    'Everything about each incident, one row each: when it began, was noticed, sent and resolved, how long it lasted, and which failures it is made of.';
-- keys of incident_details: project_id, slug, environment, organization_id, incident_id, event_clock, published_at, age_seconds
COMMENT ON COLUMN incident_details.name IS 'The monitor''s name for people when it began.';
COMMENT ON COLUMN incident_details.owner IS 'user:... or team:... when it began; NULL if nobody owned the monitor.';
COMMENT ON COLUMN incident_details.is_open IS 'True: not resolved yet.';
COMMENT ON COLUMN incident_details.starting_timestamp IS 'When the first of its failing check-ins began.';
COMMENT ON COLUMN incident_details.resolving_timestamp IS 'When the check-in began that resolved it; NULL while open.';
COMMENT ON COLUMN incident_details.lasted_seconds IS
    'From start to resolution, or to the event clock while open; zero where the resolving run began before the incident.';
COMMENT ON COLUMN incident_details.opened_at IS
    'When it was opened: the tick or message by which the failure threshold was reached; NULL if that is not kept any more.';
COMMENT ON COLUMN incident_details.sent_at IS
    'When the flow sent the first message about a failure; NULL if it sent none (muted, flapping). Whom the notifier notified, and when: incident_notifications.';
COMMENT ON COLUMN incident_details.resolved_at IS
    'When the message came that resolved it, or the control that reset it; NULL while open, or if that is not kept any more.';
COMMENT ON COLUMN incident_details.silent_seconds IS 'From starting_timestamp to sent_at, in seconds: for how long it failed and nobody could know.';
COMMENT ON COLUMN incident_details.sent_after_seconds IS 'From opened_at to sent_at, in seconds: 0 unless the message waited.';
COMMENT ON COLUMN incident_details.acknowledged_at IS 'When somebody acknowledged it; NULL if nobody has, or it was taken back.';
COMMENT ON COLUMN incident_details.acknowledged_by IS 'Who did.';
COMMENT ON COLUMN incident_details.well_before_seconds IS
    'From the resolution of the environment''s incident before to the start of this one, in seconds; NULL for its first. Their mean is the mean time between failures.';
COMMENT ON COLUMN incident_details.failures IS 'How many failing check-ins it is made of, those that led up to it among them.';
COMMENT ON COLUMN incident_details.errors IS 'How many of them the job reported as failed.';
COMMENT ON COLUMN incident_details.misses IS 'How many of them never came.';
COMMENT ON COLUMN incident_details.timeouts IS 'How many of them took too long.';
COMMENT ON COLUMN incident_details.messages IS 'How many messages were sent about it.';
COMMENT ON COLUMN incident_details.starting_check_in_id IS 'The first of the failing check-ins (check_ins.check_in_id).';
COMMENT ON COLUMN incident_details.resolving_check_in_id IS 'The check-in that resolved it; NULL while open, or where a control did.';

CREATE OR REPLACE VIEW mttr AS
SELECT d.project_id, d.slug, d.environment, week_of(d.resolving_timestamp) AS week, count(*) AS resolved,
    to_microseconds(avg(epoch_us(d.lasted))::BIGINT) AS mttr, max(d.lasted) AS longest,
    avg(epoch_us(d.lasted)) / 1000000 AS mttr_seconds, max(d.lasted_seconds) AS longest_seconds,
    any_value(d.organization_id) AS organization_id, any_value(d.name) AS name, any_value(d.owner) AS owner
FROM incident_durations AS d
WHERE NOT d.is_open
GROUP BY d.project_id, d.slug, d.environment, week_of(d.resolving_timestamp);
COMMENT ON VIEW mttr IS
    'Mean time to recovery by monitor, environment and week, of the incidents resolved in that week. Over other groups: avg(lasted_seconds) of incident_details.';
-- keys of mttr: project_id, slug, environment, organization_id, name, owner
COMMENT ON COLUMN mttr.week IS 'Monday of the week in which they were resolved, in UTC.';
COMMENT ON COLUMN mttr.resolved IS 'How many incidents were resolved.';
COMMENT ON COLUMN mttr.mttr IS 'How long they lasted on average (incident_durations.lasted).';
COMMENT ON COLUMN mttr.longest IS 'How long the longest of them lasted.';
COMMENT ON COLUMN mttr.mttr_seconds IS 'mttr in seconds.';
COMMENT ON COLUMN mttr.longest_seconds IS 'longest in seconds.';

CREATE OR REPLACE VIEW mtbf AS
WITH incidents_in_order AS (
    SELECT i.project_id, i.slug, i.environment, i.starting_timestamp,
        lag(greatest(i.starting_timestamp, i.resolving_timestamp)) OVER (
            PARTITION BY i.project_id, i.slug, i.environment ORDER BY i.starting_timestamp, i.incident_id
        ) AS well_since
    FROM incidents AS i
),
weekly AS (
    SELECT o.project_id, o.slug, o.environment, week_of(o.starting_timestamp) AS week, count(*) AS failures,
        avg(greatest(epoch_us(o.starting_timestamp) - epoch_us(o.well_since), 0))
            FILTER (WHERE o.well_since IS NOT NULL) AS mtbf_us
    FROM incidents_in_order AS o
    GROUP BY o.project_id, o.slug, o.environment, week_of(o.starting_timestamp)
)
SELECT w.project_id, w.slug, w.environment, w.week, w.failures, to_microseconds(w.mtbf_us::BIGINT) AS mtbf,
    w.mtbf_us / 1000000 AS mtbf_seconds, m.organization_id, m.name, m.owner
FROM weekly AS w
LEFT JOIN monitors AS m ON m.project_id = w.project_id AND m.slug = w.slug;
COMMENT ON VIEW mtbf IS
    'Mean time between failures by monitor, environment and week, of the incidents that began in that week. Over other groups: avg(well_before_seconds) of incident_details.';
-- keys of mtbf: project_id, slug, environment, organization_id, name, owner
COMMENT ON COLUMN mtbf.week IS 'Monday of the week in which they began, in UTC.';
COMMENT ON COLUMN mtbf.failures IS 'How many incidents began.';
COMMENT ON COLUMN mtbf.mtbf IS
    'Mean time from the resolution of the incident before to the start of these; an environment''s first incident has none before it and does not count, NULL if no other began.';
COMMENT ON COLUMN mtbf.mtbf_seconds IS 'mtbf in seconds.';

CREATE OR REPLACE VIEW flapping AS
SELECT d.project_id, d.slug, d.environment, count(*) AS incidents, max(d.lasted) AS longest,
    to_microseconds(sum(epoch_us(d.lasted))::BIGINT) AS failing,
    min(d.starting_timestamp) AS first_start, max(d.starting_timestamp) AS latest_start, bool_or(d.is_open) AS is_open,
    max(d.lasted_seconds) AS longest_seconds, sum(d.lasted_seconds) AS failing_seconds,
    any_value(d.organization_id) AS organization_id, any_value(d.name) AS name, any_value(d.owner) AS owner
FROM incident_durations AS d
WHERE d.starting_timestamp >= event_clock() - INTERVAL 168 HOUR
GROUP BY d.project_id, d.slug, d.environment
HAVING count(*) >= 3;
COMMENT ON VIEW flapping IS
    'Environments that go back and forth: three or more incidents began in the 7 days before the event clock.';
-- keys of flapping: project_id, slug, environment, organization_id, name, owner
COMMENT ON COLUMN flapping.incidents IS 'How many incidents began.';
COMMENT ON COLUMN flapping.longest IS 'How long the longest of them lasted.';
COMMENT ON COLUMN flapping.failing IS 'How long they lasted together.';
COMMENT ON COLUMN flapping.first_start IS 'When the first of them began.';
COMMENT ON COLUMN flapping.latest_start IS 'When the latest of them began.';
COMMENT ON COLUMN flapping.is_open IS 'True: one of them is open now.';
COMMENT ON COLUMN flapping.longest_seconds IS 'longest in seconds.';
COMMENT ON COLUMN flapping.failing_seconds IS 'failing in seconds.';

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
    span(i.starting_timestamp, event_clock()) AS lasted, seen.failures, seen.last_run, m.owner,
    seconds_between(i.starting_timestamp, event_clock()) AS lasted_seconds, m.organization_id, m.name
FROM incidents AS i
JOIN seen ON seen.incident_id = i.incident_id
LEFT JOIN monitors AS m ON m.project_id = i.project_id AND m.slug = i.slug;
COMMENT ON VIEW never_recovered IS
    'Open incidents in which not a single run has been ok since they began: broken, or given up and forgotten.';
-- keys of never_recovered: project_id, slug, environment, organization_id, name, owner, incident_id
COMMENT ON COLUMN never_recovered.starting_timestamp IS 'When the first of its failing check-ins began.';
COMMENT ON COLUMN never_recovered.lasted IS 'How long it has been open at the event clock.';
COMMENT ON COLUMN never_recovered.failures IS 'How many check-ins were error, missed or timeout since it began.';
COMMENT ON COLUMN never_recovered.last_run IS
    'When the latest run of them began; NULL if all were missed.';
COMMENT ON COLUMN never_recovered.lasted_seconds IS 'lasted in seconds.';
