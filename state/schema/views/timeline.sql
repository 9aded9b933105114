-- What a person looks at when something went wrong.

-- The arguments are pasted in where only names that begin with cronwax_ can be meant (see helpers.sql), and as a filter
-- right over the scans: so files of other days are not read.
CREATE OR REPLACE MACRO timeline(of_project, of_slug, from_time, to_time) AS TABLE
WITH cronwax_happened AS (
    SELECT cronwax_event.*
    FROM (
        SELECT c.date_added AS cronwax_moment, 1 AS cronwax_place, c.project_id AS cronwax_project_id,
            c.slug AS cronwax_slug, c.environment AS cronwax_environment, 'check-in' AS cronwax_kind,
            c.status AS cronwax_what, c.duration_ms AS cronwax_duration_ms, c.expected_time AS cronwax_expected_time,
            c.check_in_id AS cronwax_check_in_id, NULL::VARCHAR AS cronwax_incident_id
        FROM check_ins AS c
        UNION ALL
        SELECT h.changed_at, 0, h.project_id, h.slug, NULL, 'monitor', h.status, NULL, NULL, NULL, NULL
        FROM monitor_status_history AS h
        UNION ALL
        SELECT i.starting_timestamp, 2, i.project_id, i.slug, i.environment, 'incident', 'opened', NULL, NULL,
            i.starting_check_in_id, i.incident_id
        FROM incidents AS i
        UNION ALL
        SELECT greatest(i.starting_timestamp, i.resolving_timestamp), 3, i.project_id, i.slug, i.environment, 'incident',
            'resolved', NULL, NULL, i.resolving_check_in_id, i.incident_id
        FROM incidents AS i
        WHERE i.resolving_timestamp IS NOT NULL
        UNION ALL
        SELECT s.created_at, 4, s.project_id, s.slug, s.environment, 'message', s.payload_type, NULL, NULL, s.check_in_id,
            s.incident_id
        FROM status_changes AS s
        UNION ALL
        SELECT p.received_at, 5, p.project_id, p.slug, p.environment, 'rejected', array_to_string(p.error_types, ', '),
            NULL, NULL, p.check_in_id, NULL
        FROM processing_errors AS p
    ) AS cronwax_event
    WHERE (of_project IS NULL OR cronwax_event.cronwax_project_id = of_project)
        AND cronwax_event.cronwax_slug = of_slug
        AND cronwax_event.cronwax_moment >= from_time::TIMESTAMPTZ
        AND cronwax_event.cronwax_moment < to_time::TIMESTAMPTZ
)
SELECT h.cronwax_moment AS moment, h.cronwax_project_id AS project_id, h.cronwax_environment AS environment,
    h.cronwax_kind AS event, h.cronwax_what AS what, h.cronwax_duration_ms AS duration_ms,
    h.cronwax_expected_time AS expected_time, h.cronwax_check_in_id AS check_in_id, h.cronwax_incident_id AS incident_id
FROM cronwax_happened AS h
ORDER BY h.cronwax_moment, h.cronwax_place, h.cronwax_project_id, h.cronwax_environment, h.cronwax_check_in_id;
COMMENT ON MACRO TABLE timeline IS
    'timeline(of_project, of_slug, from_time, to_time): everything that happened to one monitor (of_project NULL: to those of that slug in any project), in order, from from_time to just before to_time. event and what: check-in with its status, at the time the run began or should have; incident opened or resolved (when the run that resolved it began; never before it was opened); monitor disabled or active again (in all environments, so without one); message with its payload type; rejected with the types of its errors. duration_ms and expected_time as in check_ins; check_in_id and incident_id: what it is about.';
