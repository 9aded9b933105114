-- Time without a time zone: what a view says must not depend on the session that asks. DuckDB's own difference of two
-- TIMESTAMPTZ counts days, and date_trunc weeks, in the session's zone.

CREATE OR REPLACE MACRO span(from_time, to_time) AS to_microseconds(epoch_us(to_time) - epoch_us(from_time));
COMMENT ON MACRO span IS 'The time from one moment to another as an INTERVAL of hours, minutes and seconds.';

CREATE OR REPLACE MACRO week_of(moment) AS date_trunc('week', make_timestamp(epoch_us(moment)))::DATE;
COMMENT ON MACRO week_of IS 'The Monday, in UTC, of the week that a moment falls into.';

CREATE OR REPLACE MACRO event_clock() AS (SELECT max(event_clock) FROM snapshot_info);
COMMENT ON MACRO event_clock IS 'The snapshot''s "now": snapshot_info.event_clock. The wall clock is never asked.';
