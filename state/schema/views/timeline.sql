-- What a person looks at when something went wrong.

CREATE OR REPLACE MACRO timeline(of_project, of_slug, from_time, to_time) AS TABLE
WITH happened AS (
    SELECT c.date_added AS moment, 1 AS place, c.project_id, c.environment, 'check-in' AS event, c.status AS what, c.duration_ms,
        c.expected_time, c.check_in_id, NULL::VARCHAR AS incident_id
    FROM check_ins AS c
    WHERE (of_project IS NULL OR c.project_id = of_project) AND c.slug = of_slug
        AND c.date_added >= from_time::TIMESTAMPTZ AND c.date_added < to_time::TIMESTAMPTZ
    UNION ALL
    SELECT h.changed_at, 0, h.project_id, NULL, 'monitor', h.status, NULL, NULL, NULL, NULL
    FROM monitor_status_history AS h
    WHERE (of_project IS NULL OR h.project_id = of_project) AND h.slug = of_slug
        AND h.changed_at >= from_time::TIMESTAMPTZ AND h.changed_at < to_time::TIMESTAMPTZ
    UNION ALL
    SELECT i.starting_timestamp, 2, i.project_id, i.environment, 'incident', 'opened', NULL, NULL, i.starting_check_in_id,
        i.incident_id
    FROM incidents AS i
    WHERE (of_project IS NULL OR i.project_id = of_project) AND i.slug = of_slug
        AND i.starting_timestamp >= from_time::TIMESTAMPTZ AND i.starting_timestamp < to_time::TIMESTAMPTZ
    UNION ALL
    SELECT greatest(i.resolving_timestamp, i.starting_timestamp), 3, i.project_id, i.environment, 'incident', 'resolved', NULL, NULL, i.resolving_check_in_id,
        i.incident_id
    FROM incidents AS i
    WHERE (of_project IS NULL OR i.project_id = of_project) AND i.slug = of_slug
        AND i.resolving_timestamp >= from_time::TIMESTAMPTZ AND i.resolving_timestamp < to_time::TIMESTAMPTZ
    UNION ALL
    SELECT s.created_at, 4, s.project_id, s.environment, 'message', s.payload_type, NULL, NULL, s.check_in_id, s.incident_id
    FROM status_changes AS s
    WHERE (of_project IS NULL OR s.project_id = of_project) AND s.slug = of_slug
        AND s.created_at >= from_time::TIMESTAMPTZ AND s.created_at < to_time::TIMESTAMPTZ
    UNION ALL
    SELECT p.received_at, 5, p.project_id, p.environment, 'rejected', array_to_string(p.error_types, ', '), NULL, NULL,
        p.check_in_id, NULL
    FROM processing_errors AS p
    WHERE (of_project IS NULL OR p.project_id = of_project) AND p.slug = of_slug
        AND p.received_at >= from_time::TIMESTAMPTZ AND p.received_at < to_time::TIMESTAMPTZ
)
SELECT h.moment, h.project_id, h.environment, h.event, h.what, h.duration_ms, h.expected_time, h.check_in_id, h.incident_id
FROM happened AS h
ORDER BY h.moment, h.place, h.project_id, h.environment, h.check_in_id;
COMMENT ON MACRO TABLE timeline IS
    'timeline(of_project, of_slug, from_time, to_time): everything that happened to one monitor (of_project NULL: to those of that slug in any project), in order, from from_time to just before to_time. event and what: check-in with its status, at the time the run began or should have; incident opened or resolved (when the run that resolved it began; never before it was opened); monitor disabled or active again (in all environments, so without one); message with its payload type; rejected with the types of its errors. duration_ms and expected_time as in check_ins; check_in_id and incident_id: what it is about.';
