-- Time without a time zone: what a view says must not depend on the session that asks. DuckDB's own difference of two
-- TIMESTAMPTZ counts days, and date_trunc weeks, in the session's zone.
--
-- A macro's arguments are pasted in as text: in a scalar macro without a subquery they mean what the caller meant. A
-- macro with a FROM binds them first, in a CTE, where no other names are in scope than such as begin with cronwax_: else
-- a column of a table inside would be taken for the caller's column of the same name. DuckDB 1.2 binds a CTE where it is
-- used: so whatever stands before such a CTE in a FROM has names that begin with cronwax_, too. (AS MATERIALIZED would
-- do, but is lost when the macro is stored.)

CREATE OR REPLACE MACRO span(from_time, to_time) AS to_microseconds(epoch_us(to_time) - epoch_us(from_time));
COMMENT ON MACRO span IS 'The time from one moment to another as an INTERVAL of hours, minutes and seconds.';

CREATE OR REPLACE MACRO seconds_between(from_time, to_time) AS (epoch_us(to_time) - epoch_us(from_time)) / 1000000;
COMMENT ON MACRO seconds_between IS 'The seconds from one moment to another, DOUBLE.';

CREATE OR REPLACE MACRO day_of(moment) AS make_timestamp(epoch_us(moment))::DATE;
COMMENT ON MACRO day_of IS 'The day, in UTC, that a moment falls into.';

CREATE OR REPLACE MACRO week_of(moment) AS date_trunc('week', make_timestamp(epoch_us(moment)))::DATE;
COMMENT ON MACRO week_of IS 'The Monday, in UTC, of the week that a moment falls into.';

-- A tick ends what it gives up in a whole minute. A heartbeat says how long a run has taken so far.
CREATE OR REPLACE MACRO final_ms(status, duration_ms, date_added, date_updated) AS CASE
    WHEN status IN ('ok', 'error') THEN duration_ms
    WHEN status = 'timeout' AND NOT (epoch_us(date_updated) % 60000000 = 0
        AND epoch_us(date_added) + 1000 * duration_ms < epoch_us(date_updated)) THEN duration_ms
END;
COMMENT ON MACRO final_ms IS
    'Of a check-in: how long the run took, in milliseconds; NULL if its end is not known, as while in progress, and of a time-out that never ended.';

-- A miss that became unknown began at the very time at which it was due; a run begins at some second of it.
CREATE OR REPLACE MACRO never_began(status, date_added, expected_time) AS
    status = 'missed' OR (status = 'unknown' AND coalesce(date_added = expected_time, false));
COMMENT ON MACRO never_began IS 'Of a check-in: true if it stands for a run that never came.';

CREATE OR REPLACE MACRO event_clock() AS (SELECT max(event_clock) FROM snapshot_info);
COMMENT ON MACRO event_clock IS 'The snapshot''s "now": snapshot_info.event_clock. The wall clock is never asked.';
