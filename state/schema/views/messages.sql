-- Who keeps people awake, and what could not be processed.

CREATE OR REPLACE VIEW noisiest AS
SELECT project_id, slug, environment, count(*) AS messages,
    count(*) FILTER (WHERE payload_type = 'occurrence') AS occurrences,
    count(*) FILTER (WHERE payload_type = 'status_change') AS resolutions,
    count(DISTINCT incident_id) AS incidents,
    count(*) / sum(count(*)) OVER () AS share,
    max(created_at) AS latest
FROM status_changes
WHERE created_at >= event_clock() - INTERVAL 168 HOUR AND slug IS NOT NULL
GROUP BY project_id, slug, environment
ORDER BY messages DESC, project_id, slug, environment;
COMMENT ON VIEW noisiest IS
    'Environments by the number of messages sent about them in the 7 days before the event clock, most first.';
COMMENT ON COLUMN noisiest.project_id IS 'The project that the monitor belongs to.';
COMMENT ON COLUMN noisiest.slug IS 'The monitor.';
COMMENT ON COLUMN noisiest.environment IS 'The environment.';
COMMENT ON COLUMN noisiest.messages IS 'How many messages were sent.';
COMMENT ON COLUMN noisiest.occurrences IS 'How many of them told of a failure.';
COMMENT ON COLUMN noisiest.resolutions IS 'How many of them told that an incident was resolved.';
COMMENT ON COLUMN noisiest.incidents IS 'How many incidents they were about.';
COMMENT ON COLUMN noisiest.share IS 'Its share of all messages of these days, 0 to 1.';
COMMENT ON COLUMN noisiest.latest IS 'When the latest of them was caused.';

CREATE OR REPLACE VIEW error_summary AS
WITH reasons AS (
    SELECT project_id, slug, received_at, error_id, unnest(error_types) AS error_type
    FROM processing_errors
)
SELECT project_id, error_type, count(*) AS messages,
    count(*) FILTER (WHERE received_at >= event_clock() - INTERVAL 24 HOUR) AS last_day,
    count(DISTINCT slug) AS monitors, min(received_at) AS first_received, max(received_at) AS last_received,
    arg_max(slug, {'at': received_at, 'id': error_id}) AS latest_slug
FROM reasons
GROUP BY project_id, error_type;
COMMENT ON VIEW error_summary IS
    'Rejected messages by project and type of error; a message with several types counts under each.';
COMMENT ON COLUMN error_summary.project_id IS 'The project; NULL for messages that name none.';
COMMENT ON COLUMN error_summary.error_type IS 'Why they were rejected: CHECKIN_FINISHED, MONITOR_NOT_FOUND, ...';
COMMENT ON COLUMN error_summary.messages IS 'How many messages were rejected.';
COMMENT ON COLUMN error_summary.last_day IS 'How many of them came in the 24 hours before the event clock.';
COMMENT ON COLUMN error_summary.monitors IS 'How many different slugs they name.';
COMMENT ON COLUMN error_summary.first_received IS 'When the broker received the first of them.';
COMMENT ON COLUMN error_summary.last_received IS 'When the broker received the latest of them.';
COMMENT ON COLUMN error_summary.latest_slug IS 'The slug that the latest one with a slug names; NULL if none does.';
