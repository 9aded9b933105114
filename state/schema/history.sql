-- What is in the history (state/history/history_tables.py says how these tables work together). Internal: analysts need none of it.

CREATE TABLE history_files (
    table_name VARCHAR,
    shard INTEGER,
    file_id BIGINT,
    path VARCHAR,
    day TIMESTAMPTZ,
    is_whole_day BOOLEAN,
    "rows" BIGINT,
    size_bytes BIGINT,
    superseded_at TIMESTAMPTZ
);
COMMENT ON TABLE history_files IS 'Internal: the Parquet files of the history. Files not listed here do not count.';
COMMENT ON COLUMN history_files.table_name IS 'The table whose rows it holds.';
COMMENT ON COLUMN history_files.shard IS 'The shard of the state that wrote it.';
COMMENT ON COLUMN history_files.file_id IS 'Number of the file, growing within table and shard.';
COMMENT ON COLUMN history_files.path IS 'Where it is below the data folder.';
COMMENT ON COLUMN history_files.day IS 'The day, in UTC, that all of its rows belong to.';
COMMENT ON COLUMN history_files.is_whole_day IS 'True: made by compacting the day.';
COMMENT ON COLUMN history_files."rows" IS 'How many rows it holds.';
COMMENT ON COLUMN history_files.size_bytes IS 'Its size in bytes.';
COMMENT ON COLUMN history_files.superseded_at IS
    'When it ceased to be part of the history, by the machine''s clock; it stays for a while for readers of older snapshots. NULL: it is live.';

CREATE TABLE history_progress (
    table_name VARCHAR,
    shard INTEGER,
    moved_until TIMESTAMPTZ,
    next_file_id BIGINT
);
COMMENT ON TABLE history_progress IS 'Internal: how far each table has been moved to Parquet files.';
COMMENT ON COLUMN history_progress.table_name IS 'The table.';
COMMENT ON COLUMN history_progress.shard IS 'The shard of the state.';
COMMENT ON COLUMN history_progress.moved_until IS 'Rows from before may be in files.';
COMMENT ON COLUMN history_progress.next_file_id IS 'The number of the next file.';

CREATE TABLE late_check_ins (
    shard INTEGER,
    project_id UBIGINT,
    slug VARCHAR,
    environment VARCHAR,
    check_in_id UUID,
    date_added TIMESTAMPTZ
);
COMMENT ON TABLE late_check_ins IS 'Internal: check-ins that changed after they had been moved to a Parquet file.';
COMMENT ON COLUMN late_check_ins.shard IS 'The shard of the state.';
COMMENT ON COLUMN late_check_ins.project_id IS 'As in check_ins.';
COMMENT ON COLUMN late_check_ins.slug IS 'As in check_ins.';
COMMENT ON COLUMN late_check_ins.environment IS 'As in check_ins.';
COMMENT ON COLUMN late_check_ins.check_in_id IS 'As in check_ins.';
COMMENT ON COLUMN late_check_ins.date_added IS 'As in check_ins.';

CREATE TABLE late_status_changes (
    shard INTEGER,
    message_id VARCHAR,
    created_at TIMESTAMPTZ
);
COMMENT ON TABLE late_status_changes IS
    'Internal: messages that were written again after they had been moved to a Parquet file.';
COMMENT ON COLUMN late_status_changes.shard IS 'The shard of the state.';
COMMENT ON COLUMN late_status_changes.message_id IS 'As in status_changes.';
COMMENT ON COLUMN late_status_changes.created_at IS 'As in status_changes.';

CREATE TABLE late_processing_errors (
    shard INTEGER,
    error_id UUID,
    received_at TIMESTAMPTZ
);
COMMENT ON TABLE late_processing_errors IS
    'Internal: errors that were written again after they had been moved to a Parquet file.';
COMMENT ON COLUMN late_processing_errors.shard IS 'The shard of the state.';
COMMENT ON COLUMN late_processing_errors.error_id IS 'As in processing_errors.';
COMMENT ON COLUMN late_processing_errors.received_at IS 'As in processing_errors.';

CREATE TABLE deleted_check_ins (
    shard INTEGER,
    up_to_file BIGINT,
    project_id UBIGINT,
    slug VARCHAR,
    environment VARCHAR,
    check_in_id UUID
);
COMMENT ON TABLE deleted_check_ins IS
    'Internal: check-ins that were deleted, with their monitor or environment, after they may have been moved.';
COMMENT ON COLUMN deleted_check_ins.shard IS 'The shard of the state.';
COMMENT ON COLUMN deleted_check_ins.up_to_file IS 'Files with higher numbers were written later: they are not meant.';
COMMENT ON COLUMN deleted_check_ins.project_id IS 'As in check_ins.';
COMMENT ON COLUMN deleted_check_ins.slug IS 'As in check_ins; NULL, as the next ones: all.';
COMMENT ON COLUMN deleted_check_ins.environment IS 'As in check_ins.';
COMMENT ON COLUMN deleted_check_ins.check_in_id IS 'As in check_ins.';

CREATE TABLE deleted_status_changes (
    shard INTEGER,
    up_to_file BIGINT,
    message_id VARCHAR
);
COMMENT ON TABLE deleted_status_changes IS 'Internal: messages that were deleted after they may have been moved.';
COMMENT ON COLUMN deleted_status_changes.shard IS 'The shard of the state.';
COMMENT ON COLUMN deleted_status_changes.up_to_file IS
    'Files with higher numbers were written later: they are not meant.';
COMMENT ON COLUMN deleted_status_changes.message_id IS 'As in status_changes.';

CREATE TABLE deleted_processing_errors (
    shard INTEGER,
    up_to_file BIGINT,
    error_id UUID
);
COMMENT ON TABLE deleted_processing_errors IS 'Internal: errors that were deleted after they may have been moved.';
COMMENT ON COLUMN deleted_processing_errors.shard IS 'The shard of the state.';
COMMENT ON COLUMN deleted_processing_errors.up_to_file IS
    'Files with higher numbers were written later: they are not meant.';
COMMENT ON COLUMN deleted_processing_errors.error_id IS 'As in processing_errors.';
