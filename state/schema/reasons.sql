-- What explains the state of a monitor beside its check-ins and incidents (`./run.sh sql why`). Since version 3.

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

CREATE TABLE monitor_config_history (
    project_id UBIGINT,
    slug VARCHAR,
    replaced_at TIMESTAMPTZ,
    schedule_type VARCHAR,
    schedule VARCHAR,
    timezone VARCHAR,
    checkin_margin BIGINT,
    max_runtime BIGINT,
    failure_issue_threshold BIGINT,
    recovery_threshold BIGINT
);
COMMENT ON TABLE monitor_config_history IS
    'What was asked of monitors before it was changed: one row a change. What holds now is in monitors.';
COMMENT ON COLUMN monitor_config_history.project_id IS 'The project that the monitor belongs to.';
COMMENT ON COLUMN monitor_config_history.slug IS 'The monitor.';
COMMENT ON COLUMN monitor_config_history.replaced_at IS 'Until when this config held (event time).';
COMMENT ON COLUMN monitor_config_history.schedule_type IS 'As in monitors, like all that follows.';
COMMENT ON COLUMN monitor_config_history.schedule IS 'When the job was due.';
COMMENT ON COLUMN monitor_config_history.timezone IS 'IANA name of the time zone that the schedule was read in.';
COMMENT ON COLUMN monitor_config_history.checkin_margin IS
    'How many minutes late a check-in might be before it counted as missed; NULL: the default, 1.';
COMMENT ON COLUMN monitor_config_history.max_runtime IS
    'After how many minutes in progress a check-in counted as timed out; NULL: the default, 30.';
COMMENT ON COLUMN monitor_config_history.failure_issue_threshold IS
    'So many consecutive failing check-ins opened an incident; NULL: the default, 1.';
COMMENT ON COLUMN monitor_config_history.recovery_threshold IS
    'So many consecutive ok check-ins resolved it; NULL: the default, 1.';

CREATE TABLE mute_history (
    project_id UBIGINT,
    slug VARCHAR,
    environment VARCHAR,
    changed_at TIMESTAMPTZ,
    is_muted BOOLEAN,
    is_by_person BOOLEAN
);
COMMENT ON TABLE mute_history IS 'Since when monitors and environments were muted, and since when no more: one row a change.';
COMMENT ON COLUMN mute_history.project_id IS 'The project that the monitor belongs to.';
COMMENT ON COLUMN mute_history.slug IS 'The monitor.';
COMMENT ON COLUMN mute_history.environment IS 'The environment; empty: the monitor in all of them.';
COMMENT ON COLUMN mute_history.changed_at IS 'When that changed (event time).';
COMMENT ON COLUMN mute_history.is_muted IS 'True: muted from then on.';
COMMENT ON COLUMN mute_history.is_by_person IS
    'True: by a control. False: because the monitor was broken, or is no longer (broken_monitors).';
