-- Who keeps people awake, and what could not be processed.

CREATE OR REPLACE VIEW messages_daily AS
WITH owned AS (
    SELECT s.project_id, s.slug, s.environment, s.created_at, s.payload_type, m.organization_id,
        coalesce(h.name, m.name) AS name, CASE WHEN h.name IS NULL THEN m.owner ELSE h.owner END AS owner
    FROM status_changes AS s
    LEFT JOIN monitors AS m ON m.project_id = s.project_id AND m.slug = s.slug
    LEFT JOIN cronwax_former_configs() AS h ON h.project_id = s.project_id AND h.slug = s.slug
        AND s.created_at >= h.covers_from AND s.created_at < h.covers_until
    WHERE s.slug IS NOT NULL
)
SELECT o.project_id, o.slug, o.environment, o.organization_id, o.name, o.owner, day_of(o.created_at) AS day,
    day_of(event_clock()) - day_of(o.created_at) AS days_ago, count(*) AS messages,
    count(*) FILTER (WHERE o.payload_type = 'occurrence') AS occurrences,
    count(*) FILTER (WHERE o.payload_type = 'status_change') AS resolutions
FROM owned AS o
GROUP BY ALL;
COMMENT ON VIEW messages_daily IS
    'How many messages were sent about each environment on each day: noise over any range and group is a sum.';
-- keys of messages_daily: project_id, slug, environment, organization_id, day, days_ago
COMMENT ON COLUMN messages_daily.name IS 'The monitor''s name for people, then.';
COMMENT ON COLUMN messages_daily.owner IS 'user:... or team:..., then; NULL if nobody owned the monitor.';
COMMENT ON COLUMN messages_daily.messages IS 'How many messages were sent.';
COMMENT ON COLUMN messages_daily.occurrences IS 'How many of them were about a failure.';
COMMENT ON COLUMN messages_daily.resolutions IS 'How many of them said that an incident was resolved.';

CREATE OR REPLACE VIEW noisiest AS
WITH counted AS (
    SELECT s.project_id, s.slug, s.environment, count(*) AS messages,
        count(*) FILTER (WHERE s.payload_type = 'occurrence') AS occurrences,
        count(*) FILTER (WHERE s.payload_type = 'status_change') AS resolutions,
        count(DISTINCT s.incident_id) AS incidents,
        count(*) / sum(count(*)) OVER () AS share,
        max(s.created_at) AS latest
    FROM status_changes AS s
    WHERE s.created_at >= event_clock() - INTERVAL 168 HOUR AND s.slug IS NOT NULL
    GROUP BY s.project_id, s.slug, s.environment
)
SELECT c.*, m.organization_id, m.name, m.owner
FROM counted AS c
LEFT JOIN monitors AS m ON m.project_id = c.project_id AND m.slug = c.slug
ORDER BY c.messages DESC, c.project_id, c.slug, c.environment;
COMMENT ON VIEW noisiest IS
    'Environments by the number of messages sent about them in the 7 days before the event clock, most first. Other ranges: messages_daily.';
-- keys of noisiest: project_id, slug, environment, organization_id, name, owner
COMMENT ON COLUMN noisiest.messages IS 'How many messages were sent.';
COMMENT ON COLUMN noisiest.occurrences IS 'How many of them were about a failure.';
COMMENT ON COLUMN noisiest.resolutions IS 'How many of them said that an incident was resolved.';
COMMENT ON COLUMN noisiest.incidents IS 'How many incidents they were about.';
COMMENT ON COLUMN noisiest.share IS 'Its share of all messages of these days, 0 to 1.';
COMMENT ON COLUMN noisiest.latest IS 'When the latest of them was caused.';

CREATE OR REPLACE VIEW rejections AS
WITH reasons AS (
    SELECT p.*, unnest(p.error_types) AS error_type FROM processing_errors AS p
)
SELECT r.project_id, r.slug, r.environment, m.organization_id, m.name, m.owner, r.received_at,
    day_of(r.received_at) AS day, r.error_type, r.sdk, r.errors, r.payload, r.check_in_id, r.topic, r."partition", r."offset",
    r.error_id
FROM reasons AS r
LEFT JOIN monitors AS m ON m.project_id = r.project_id AND m.slug = r.slug;
COMMENT ON VIEW rejections IS
    'Rejected messages by reason: a row for each reason of each (processing_errors has one a message). Which SDK sends what is refused is a GROUP BY.';
-- keys of rejections: organization_id, name, owner
COMMENT ON COLUMN rejections.project_id IS 'The project, if the message named one.';
COMMENT ON COLUMN rejections.slug IS 'The monitor, if the message named one; there need be none of this name.';
COMMENT ON COLUMN rejections.environment IS 'The environment, if the message named one.';
COMMENT ON COLUMN rejections.received_at IS 'As in processing_errors, like all that has no other comment here.';
COMMENT ON COLUMN rejections.day IS 'The day, in UTC, on which the message came.';
COMMENT ON COLUMN rejections.error_type IS 'Why it was rejected: CHECKIN_FINISHED, MONITOR_NOT_FOUND, ...';
COMMENT ON COLUMN rejections.sdk IS 'What sent it, as far as that is known.';
COMMENT ON COLUMN rejections.errors IS 'All reasons with details.';
COMMENT ON COLUMN rejections.payload IS 'The payload as it came.';
COMMENT ON COLUMN rejections.check_in_id IS 'The guid, if the message had a valid one.';
COMMENT ON COLUMN rejections.topic IS 'Where the message was: topic, or file.';
COMMENT ON COLUMN rejections."partition" IS 'Where the message was: partition.';
COMMENT ON COLUMN rejections."offset" IS 'Where the message was: offset, or line of the file.';
COMMENT ON COLUMN rejections.error_id IS 'The message''s row in processing_errors.';

CREATE OR REPLACE VIEW error_summary AS
WITH reasons AS (
    SELECT p.project_id, p.slug, p.received_at, p.error_id, unnest(p.error_types) AS error_type
    FROM processing_errors AS p
)
SELECT r.project_id, r.error_type, count(*) AS messages,
    count(*) FILTER (WHERE r.received_at >= event_clock() - INTERVAL 24 HOUR) AS last_day,
    count(DISTINCT r.slug) AS monitors, min(r.received_at) AS first_received, max(r.received_at) AS last_received,
    arg_max(r.slug, {'at': r.received_at, 'id': r.error_id}) AS latest_slug
FROM reasons AS r
GROUP BY r.project_id, r.error_type;
COMMENT ON VIEW error_summary IS
    'Rejected messages by project and type of error; a message with several types counts under each. rejections has them one by one.';
COMMENT ON COLUMN error_summary.project_id IS 'The project; NULL for messages that name none.';
COMMENT ON COLUMN error_summary.error_type IS 'Why they were rejected: CHECKIN_FINISHED, MONITOR_NOT_FOUND, ...';
COMMENT ON COLUMN error_summary.messages IS 'How many messages were rejected.';
COMMENT ON COLUMN error_summary.last_day IS 'How many of them came in the 24 hours before the event clock.';
COMMENT ON COLUMN error_summary.monitors IS 'How many different slugs they name.';
COMMENT ON COLUMN error_summary.first_received IS 'When the broker received the first of them.';
COMMENT ON COLUMN error_summary.last_received IS 'When the broker received the latest of them.';
COMMENT ON COLUMN error_summary.latest_slug IS 'The slug that the latest one with a slug names; NULL if none does.';
