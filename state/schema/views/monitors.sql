-- Which monitors came, and which are gone.

CREATE OR REPLACE VIEW monitor_lifetimes AS
WITH first_runs AS (
    SELECT c.project_id, c.slug, min(c.date_added) AS first_run_at
    FROM check_ins AS c
    WHERE c.status <> 'missed'
    GROUP BY ALL
)
SELECT m.project_id, m.slug, m.organization_id, m.name, m.owner, m.created_at, f.first_run_at,
    NULL::TIMESTAMPTZ AS deleted_at, NULL::VARCHAR AS deleted_by, false AS is_deleted
FROM monitors AS m
LEFT JOIN first_runs AS f ON f.project_id = m.project_id AND f.slug = m.slug
UNION ALL
SELECT d.project_id, d.slug, d.organization_id, NULL, NULL, NULL, NULL, d.received_at, 'control', true
FROM controls AS d
WHERE d.type = 'delete_monitor' AND d.environment IS NULL;
COMMENT ON VIEW monitor_lifetimes IS
    'When monitors came and went: one row a monitor, and one for each that was deleted; a slug that was used again has several.';
-- keys of monitor_lifetimes: project_id, slug, organization_id, name, owner
COMMENT ON COLUMN monitor_lifetimes.created_at IS 'When it was created: by its first check-in, or by a control; NULL if it was deleted.';
COMMENT ON COLUMN monitor_lifetimes.first_run_at IS
    'When the first of its runs that are kept began; NULL if it never ran, or was deleted.';
COMMENT ON COLUMN monitor_lifetimes.deleted_at IS 'When it was deleted; NULL: it is there.';
COMMENT ON COLUMN monitor_lifetimes.deleted_by IS 'What deleted it: a control (controls has it).';
COMMENT ON COLUMN monitor_lifetimes.is_deleted IS 'True: it is gone.';
