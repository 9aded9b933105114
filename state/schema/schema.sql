-- The tables that analysts see. No primary keys: the writer keeps rows unique by identity (state/schema/catalogue.py), and an
-- index would cost more than all the rest of a commit. Times are in UTC; `event time` is the broker's time of messages,
-- not the time at which they were worked on.

CREATE TABLE schema_info (
    version INTEGER,
    shard INTEGER,
    shards INTEGER
);
COMMENT ON TABLE schema_info IS 'Which layout this file has. One row.';
COMMENT ON COLUMN schema_info.version IS
    'Number of the layout; a newer number means that a newer Cronwax wrote the file.';
COMMENT ON COLUMN schema_info.shard IS 'Which shard of the state this file holds, from 0.';
COMMENT ON COLUMN schema_info.shards IS 'Into how many shards the state of this data folder is split.';

CREATE TABLE snapshot_info (
    published_at TIMESTAMPTZ,
    event_clock TIMESTAMPTZ,
    positions STRUCT(topic VARCHAR, "partition" BIGINT, "position" BIGINT, clock TIMESTAMPTZ)[],
    publish_seconds DOUBLE,
    size_bytes BIGINT
);
COMMENT ON TABLE snapshot_info IS 'What this snapshot covers. One row, rewritten whenever a snapshot is published.';
COMMENT ON COLUMN snapshot_info.published_at IS
    'When the snapshot was published, by the publishing machine''s clock.';
COMMENT ON COLUMN snapshot_info.event_clock IS
    'The event clock: every check-in that was received before this minute is in here, and every deadline up to it has fired. The slowest input partition''s clock; NULL as long as no partition has one.';
COMMENT ON COLUMN snapshot_info.positions IS
    'Input partitions by topic and number: the offset (Kafka) or line (file) read next, and the partition''s own clock.';
COMMENT ON COLUMN snapshot_info.publish_seconds IS
    'How long it took to write this snapshot, up to putting it in its place, in seconds.';
COMMENT ON COLUMN snapshot_info.size_bytes IS
    'The size of this file in bytes; the Parquet files of the history are not in it.';

CREATE TABLE monitors (
    project_id UBIGINT,
    organization_id UBIGINT,
    slug VARCHAR,
    monitor_id UUID,
    name VARCHAR,
    status VARCHAR,
    is_muted BOOLEAN,
    owner VARCHAR,
    schedule_type VARCHAR,
    schedule VARCHAR,
    timezone VARCHAR,
    checkin_margin BIGINT,
    max_runtime BIGINT,
    failure_issue_threshold BIGINT,
    recovery_threshold BIGINT,
    created_at TIMESTAMPTZ,
    updated_at TIMESTAMPTZ
);
COMMENT ON TABLE monitors IS 'Watched jobs: one row per project and slug, as configured last.';
COMMENT ON COLUMN monitors.project_id IS 'The project that the monitor belongs to.';
COMMENT ON COLUMN monitors.organization_id IS 'The organization of the project.';
COMMENT ON COLUMN monitors.slug IS 'The monitor''s name within its project, as jobs send it (slugified).';
COMMENT ON COLUMN monitors.monitor_id IS 'The monitor''s id, derived from project and slug.';
COMMENT ON COLUMN monitors.name IS 'The monitor''s name for people.';
COMMENT ON COLUMN monitors.status IS
    'active, or disabled: its check-ins are rejected, and no misses or time-outs are detected.';
COMMENT ON COLUMN monitors.is_muted IS 'True: failures still open incidents, but no occurrence is sent.';
COMMENT ON COLUMN monitors.owner IS 'user:... or team:..., NULL if nobody owns it.';
COMMENT ON COLUMN monitors.schedule_type IS 'crontab or interval.';
COMMENT ON COLUMN monitors.schedule IS
    'When the job is due: ''*/5 * * * *'' for a crontab, ''10 minute'' for an interval.';
COMMENT ON COLUMN monitors.timezone IS 'IANA name of the time zone that the schedule is read in.';
COMMENT ON COLUMN monitors.checkin_margin IS 'How many minutes late a check-in may be before it counts as missed.';
COMMENT ON COLUMN monitors.max_runtime IS 'After how many minutes in progress a check-in counts as timed out.';
COMMENT ON COLUMN monitors.failure_issue_threshold IS 'So many consecutive failing check-ins open an incident.';
COMMENT ON COLUMN monitors.recovery_threshold IS 'So many consecutive ok check-ins resolve it.';
COMMENT ON COLUMN monitors.created_at IS 'When the monitor was created (event time).';
COMMENT ON COLUMN monitors.updated_at IS 'When monitor or config changed last (event time).';

CREATE TABLE monitor_status_history (
    project_id UBIGINT,
    slug VARCHAR,
    changed_at TIMESTAMPTZ,
    status VARCHAR
);
COMMENT ON TABLE monitor_status_history IS
    'Since when monitors were disabled, and since when no more: one row a change. One that has always been active has none.';
COMMENT ON COLUMN monitor_status_history.project_id IS 'The project that the monitor belongs to.';
COMMENT ON COLUMN monitor_status_history.slug IS 'The monitor.';
COMMENT ON COLUMN monitor_status_history.changed_at IS 'When its status became this (event time).';
COMMENT ON COLUMN monitor_status_history.status IS 'As in monitors.status: active or disabled.';

CREATE TABLE monitor_environments (
    project_id UBIGINT,
    slug VARCHAR,
    environment VARCHAR,
    status VARCHAR,
    is_muted BOOLEAN,
    last_checkin TIMESTAMPTZ,
    next_checkin TIMESTAMPTZ,
    next_checkin_latest TIMESTAMPTZ,
    open_incident_id VARCHAR,
    updated_at TIMESTAMPTZ,
    is_flapping BOOLEAN
);
COMMENT ON TABLE monitor_environments IS 'The running state of each monitor in each environment.';
COMMENT ON COLUMN monitor_environments.project_id IS 'The project that the monitor belongs to.';
COMMENT ON COLUMN monitor_environments.slug IS 'The monitor.';
COMMENT ON COLUMN monitor_environments.environment IS 'The environment; production unless the job named another.';
COMMENT ON COLUMN monitor_environments.status IS 'active: nothing finished yet. ok. error: an incident is open.';
COMMENT ON COLUMN monitor_environments.is_muted IS 'True: failures still open incidents, but no occurrence is sent.';
COMMENT ON COLUMN monitor_environments.last_checkin IS
    'When the latest run that counts began; misses do not move it.';
COMMENT ON COLUMN monitor_environments.next_checkin IS 'When the job is due next.';
COMMENT ON COLUMN monitor_environments.next_checkin_latest IS
    'From this minute on it counts as missed: next_checkin and the margin.';
COMMENT ON COLUMN monitor_environments.open_incident_id IS
    'The incident that is open now (incidents.incident_id); NULL if none is.';
COMMENT ON COLUMN monitor_environments.updated_at IS 'When this state changed last (event time).';
COMMENT ON COLUMN monitor_environments.is_flapping IS
    'True: it has changed between ok and error too often of late (CRONWAX_FLAPPING_CHANGES); messages wait until it is calm.';

CREATE TABLE check_ins (
    check_in_id UUID,
    project_id UBIGINT,
    slug VARCHAR,
    environment VARCHAR,
    status VARCHAR,
    duration_ms BIGINT,
    date_added TIMESTAMPTZ,
    date_updated TIMESTAMPTZ,
    expected_time TIMESTAMPTZ,
    timeout_at TIMESTAMPTZ,
    trace_id UUID
);
COMMENT ON TABLE check_ins IS 'Runs of jobs, one row each: as reported, and the misses that were detected.';
COMMENT ON COLUMN check_ins.check_in_id IS
    'The check-in''s guid; that of a miss is derived from monitor, environment and expected time.';
COMMENT ON COLUMN check_ins.project_id IS 'The project that the monitor belongs to.';
COMMENT ON COLUMN check_ins.slug IS 'The monitor.';
COMMENT ON COLUMN check_ins.environment IS 'The environment.';
COMMENT ON COLUMN check_ins.status IS
    'in_progress, ok, error (both reported by the job), missed, timeout, or unknown (was due or in progress while check-ins were being lost, or in progress while the monitor was disabled).';
COMMENT ON COLUMN check_ins.duration_ms IS 'How long the run took, in milliseconds; NULL while in progress.';
COMMENT ON COLUMN check_ins.date_added IS 'When the run began; of a miss: when it should have begun.';
COMMENT ON COLUMN check_ins.date_updated IS 'When the check-in changed last (event time).';
COMMENT ON COLUMN check_ins.expected_time IS 'When the job was due; NULL for the first run of an environment.';
COMMENT ON COLUMN check_ins.timeout_at IS 'When the run will count as timed out; NULL once finished.';
COMMENT ON COLUMN check_ins.trace_id IS 'The trace that the job sent along; NULL if none.';

CREATE TABLE incidents (
    incident_id VARCHAR,
    project_id UBIGINT,
    slug VARCHAR,
    environment VARCHAR,
    fingerprint VARCHAR,
    starting_check_in_id UUID,
    starting_timestamp TIMESTAMPTZ,
    resolving_check_in_id UUID,
    resolving_timestamp TIMESTAMPTZ
);
COMMENT ON TABLE incidents IS 'Stretches of failure: opened at the failure threshold, resolved at the recovery threshold.';
COMMENT ON COLUMN incidents.incident_id IS '32 hex digits, derived from the incident''s first check-in.';
COMMENT ON COLUMN incidents.project_id IS 'The project that the monitor belongs to.';
COMMENT ON COLUMN incidents.slug IS 'The monitor.';
COMMENT ON COLUMN incidents.environment IS 'The environment.';
COMMENT ON COLUMN incidents.fingerprint IS '32 hex digits: what the incident''s messages are grouped by.';
COMMENT ON COLUMN incidents.starting_check_in_id IS 'The first of the failing check-ins (check_ins.check_in_id).';
COMMENT ON COLUMN incidents.starting_timestamp IS 'When that one began (its date_added).';
COMMENT ON COLUMN incidents.resolving_check_in_id IS 'The check-in that resolved it; NULL while open.';
COMMENT ON COLUMN incidents.resolving_timestamp IS 'When that one began (its date_added); NULL while open.';

CREATE TABLE status_changes (
    message_id VARCHAR,
    payload_type VARCHAR,
    project_id UBIGINT,
    slug VARCHAR,
    environment VARCHAR,
    incident_id VARCHAR,
    check_in_id UUID,
    created_at TIMESTAMPTZ,
    payload JSON
);
COMMENT ON TABLE status_changes IS 'Every message that was sent about an incident, or a system incident.';
COMMENT ON COLUMN status_changes.message_id IS 'The message''s id, derived from what it is about.';
COMMENT ON COLUMN status_changes.payload_type IS
    'occurrence: a failure of an open incident. status_change: the incident was resolved. monitor_broken, monitor_muted, monitor_unmuted: nobody mends it (broken_monitors). system_incident_started, system_incident_ended: of no monitor, check-ins are being lost, or no longer.';
COMMENT ON COLUMN status_changes.project_id IS 'The project that the monitor belongs to; NULL if it is about none.';
COMMENT ON COLUMN status_changes.slug IS 'The monitor.';
COMMENT ON COLUMN status_changes.environment IS 'The environment.';
COMMENT ON COLUMN status_changes.incident_id IS 'The incident (incidents.incident_id).';
COMMENT ON COLUMN status_changes.check_in_id IS 'The check-in that caused the message.';
COMMENT ON COLUMN status_changes.created_at IS 'When it was caused (event time).';
COMMENT ON COLUMN status_changes.payload IS 'The message as it was sent.';

CREATE TABLE processing_errors (
    error_id UUID,
    received_at TIMESTAMPTZ,
    error_types VARCHAR[],
    errors JSON,
    payload VARCHAR,
    project_id UBIGINT,
    slug VARCHAR,
    environment VARCHAR,
    check_in_id UUID,
    topic VARCHAR,
    "partition" BIGINT,
    "offset" BIGINT
);
COMMENT ON TABLE processing_errors IS 'Every message that was rejected, and why.';
COMMENT ON COLUMN processing_errors.error_id IS 'The row''s id, derived from the message''s position.';
COMMENT ON COLUMN processing_errors.received_at IS 'When the broker received the message.';
COMMENT ON COLUMN processing_errors.error_types IS 'Why, by name: CHECKIN_FINISHED, MONITOR_NOT_FOUND, ...';
COMMENT ON COLUMN processing_errors.errors IS
    'The same with details: a list of objects with type and what belongs to it.';
COMMENT ON COLUMN processing_errors.payload IS
    'The payload as it came; bytes that are no UTF-8 are replaced (the dead letters hold them as they were).';
COMMENT ON COLUMN processing_errors.project_id IS 'The project, if the message named one.';
COMMENT ON COLUMN processing_errors.slug IS 'The monitor, if the message named one.';
COMMENT ON COLUMN processing_errors.environment IS 'The environment, if the message named one.';
COMMENT ON COLUMN processing_errors.check_in_id IS 'The guid, if the message had a valid one.';
COMMENT ON COLUMN processing_errors.topic IS 'Where the message was: topic, or file.';
COMMENT ON COLUMN processing_errors."partition" IS 'Where the message was: partition.';
COMMENT ON COLUMN processing_errors."offset" IS 'Where the message was: offset, or line of the file.';

CREATE TABLE sampling_rules (
    organization_id UBIGINT,
    rule_id BIGINT,
    external_rule_id BIGINT,
    project_ids JSON,
    condition JSON,
    condition_hash VARCHAR,
    "start" TIMESTAMPTZ,
    "end" TIMESTAMPTZ,
    num_samples BIGINT,
    sample_rate DOUBLE,
    kept BIGINT,
    is_active BOOLEAN,
    is_org_level BOOLEAN,
    query VARCHAR,
    created_by_id BIGINT,
    created_at TIMESTAMPTZ
);
COMMENT ON TABLE sampling_rules IS 'Rules that say which payloads are kept in check_in_samples.';
COMMENT ON COLUMN sampling_rules.organization_id IS 'The organization that the rule belongs to.';
COMMENT ON COLUMN sampling_rules.rule_id IS
    'The rule''s number within the organization, from 1; given again once the rule is inactive.';
COMMENT ON COLUMN sampling_rules.external_rule_id IS '3000 + rule_id.';
COMMENT ON COLUMN sampling_rules.project_ids IS
    'List of the projects that it holds for; empty: all of the organization.';
COMMENT ON COLUMN sampling_rules.condition IS 'Which check-ins it matches.';
COMMENT ON COLUMN sampling_rules.condition_hash IS 'Equal for conditions and projects that mean the same.';
COMMENT ON COLUMN sampling_rules."start" IS 'The rule holds from here.';
COMMENT ON COLUMN sampling_rules."end" IS 'The rule holds until just before.';
COMMENT ON COLUMN sampling_rules.num_samples IS 'How many payloads to keep at most.';
COMMENT ON COLUMN sampling_rules.sample_rate IS 'The share of matching check-ins to keep, 0 to 1.';
COMMENT ON COLUMN sampling_rules.kept IS 'How many payloads it has kept.';
COMMENT ON COLUMN sampling_rules.is_active IS 'False once it has ended.';
COMMENT ON COLUMN sampling_rules.is_org_level IS 'True: it holds for all projects.';
COMMENT ON COLUMN sampling_rules.query IS 'The condition as whoever made the rule wrote it.';
COMMENT ON COLUMN sampling_rules.created_by_id IS 'The user who made it; NULL if Cronwax did.';
COMMENT ON COLUMN sampling_rules.created_at IS 'When it was created (event time).';

CREATE TABLE check_in_samples (
    check_in_id UUID,
    project_id UBIGINT,
    slug VARCHAR,
    environment VARCHAR,
    rule_id BIGINT,
    sample_rate DOUBLE,
    received_at TIMESTAMPTZ,
    payload JSON,
    topic VARCHAR,
    "partition" BIGINT,
    "offset" BIGINT
);
COMMENT ON TABLE check_in_samples IS 'Payloads of check-ins that were kept whole.';
COMMENT ON COLUMN check_in_samples.check_in_id IS 'The check-in''s guid.';
COMMENT ON COLUMN check_in_samples.project_id IS 'The project that the monitor belongs to.';
COMMENT ON COLUMN check_in_samples.slug IS 'The monitor.';
COMMENT ON COLUMN check_in_samples.environment IS 'The environment.';
COMMENT ON COLUMN check_in_samples.rule_id IS
    'The rule that kept it (sampling_rules.rule_id); NULL: the base rate did.';
COMMENT ON COLUMN check_in_samples.sample_rate IS 'The rate at which it was kept, 0 to 1.';
COMMENT ON COLUMN check_in_samples.received_at IS 'When the broker received it.';
COMMENT ON COLUMN check_in_samples.payload IS 'The payload as it came.';
COMMENT ON COLUMN check_in_samples.topic IS 'Where the message was: topic, or file.';
COMMENT ON COLUMN check_in_samples."partition" IS 'Where the message was: partition.';
COMMENT ON COLUMN check_in_samples."offset" IS 'Where the message was: offset, or line of the file.';

CREATE TABLE partitions (
    topic VARCHAR,
    "partition" BIGINT,
    "position" BIGINT,
    clock TIMESTAMPTZ
);
COMMENT ON TABLE partitions IS 'Internal: how far each input partition has been written to this file.';
COMMENT ON COLUMN partitions.topic IS 'Topic, or file.';
COMMENT ON COLUMN partitions."partition" IS 'Number of the partition.';
COMMENT ON COLUMN partitions."position" IS
    'The offset or line that is read next; never goes back while an input is read again.';
COMMENT ON COLUMN partitions.clock IS 'The partition''s clock: its newest broker timestamp (less CRONWAX_CLOCK_DELAY_SECONDS), cut to the minute.';
