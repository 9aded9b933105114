-- Monitors that nobody mends (docs/messages.md). Since version 3.

CREATE TABLE broken_monitors (
    project_id UBIGINT,
    slug VARCHAR,
    environment VARCHAR,
    incident_id VARCHAR,
    detected_at TIMESTAMPTZ,
    muted_at TIMESTAMPTZ,
    recovered_at TIMESTAMPTZ
);
COMMENT ON TABLE broken_monitors IS 'Monitor environments whose incident was open for 14 days with at least the newest 4 check-ins failing. One row each time.';
COMMENT ON COLUMN broken_monitors.project_id IS 'The project that the monitor belongs to.';
COMMENT ON COLUMN broken_monitors.slug IS 'The monitor.';
COMMENT ON COLUMN broken_monitors.environment IS 'The environment.';
COMMENT ON COLUMN broken_monitors.incident_id IS 'The incident that was open (incidents.incident_id).';
COMMENT ON COLUMN broken_monitors.detected_at IS 'When that was noticed (event time).';
COMMENT ON COLUMN broken_monitors.muted_at IS
    'When the environment was muted for it, 14 days later; NULL if it was not. A person may have unmuted it since.';
COMMENT ON COLUMN broken_monitors.recovered_at IS
    'When a check-in succeeded, which ends this and what was muted by it; NULL while it is broken.';
