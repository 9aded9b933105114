-- When monitoring itself was blind, and how much comes in.

CREATE OR REPLACE VIEW system_incidents AS
SELECT span.system_incident_id, span.start, span."end", span.detected_at, span.ended_at, span.volume, span.expected,
    coalesce(sum(loss.held), 0)::BIGINT AS held, coalesce(sum(loss.dropped), 0)::BIGINT AS dropped,
    coalesce(sum(loss.in_progress), 0)::BIGINT AS in_progress
FROM internal.system_incident_spans AS span
LEFT JOIN internal.system_incident_losses AS loss ON loss.system_incident_id = span.system_incident_id
GROUP BY ALL
ORDER BY span.start;
COMMENT ON VIEW system_incidents IS
    'Stretches of time in which check-ins were lost on their way here: what was due then is unknown, and was not reported.';
COMMENT ON COLUMN system_incidents.system_incident_id IS '32 hex digits, derived from its first minute.';
COMMENT ON COLUMN system_incidents.start IS 'The first minute that lacks check-ins.';
COMMENT ON COLUMN system_incidents."end" IS
    'The first minute that has as many as usual again; NULL while it goes on.';
COMMENT ON COLUMN system_incidents.detected_at IS 'The tick at which that was decided, and reported.';
COMMENT ON COLUMN system_incidents.ended_at IS 'The tick at which its end was decided, and reported.';
COMMENT ON COLUMN system_incidents.volume IS 'Check-ins in the minute that decided it.';
COMMENT ON COLUMN system_incidents.expected IS 'How many come in that minute on other days.';
COMMENT ON COLUMN system_incidents.held IS
    'Misses and time-outs that waited for the decision and then became unknown.';
COMMENT ON COLUMN system_incidents.dropped IS
    'All misses and time-outs that became unknown, those that were held among them.';
COMMENT ON COLUMN system_incidents.in_progress IS 'Check-ins in progress that became unknown, and whose end has not come after all.';

CREATE OR REPLACE VIEW input_gaps AS
WITH minutes AS (
    SELECT t.minute, t.minute - INTERVAL 1 MINUTE AS received_from,
        lag(t.minute) OVER (ORDER BY t.minute) AS received_until
    FROM clock_ticks AS t
    WHERE t.volume > 0
)
SELECT m.received_until AS began_at, m.received_from AS ended_at,
    seconds_between(m.received_until, m.received_from) AS lasted_seconds
FROM minutes AS m
WHERE m.received_from > m.received_until;
COMMENT ON VIEW input_gaps IS
    'Whole minutes in which no check-in was let in at all, in a row: one row a gap between two minutes in which some were.';
COMMENT ON COLUMN input_gaps.began_at IS 'The first minute without any.';
COMMENT ON COLUMN input_gaps.ended_at IS 'The first minute with some again.';
COMMENT ON COLUMN input_gaps.lasted_seconds IS 'From began_at to ended_at, in seconds.';

CREATE OR REPLACE VIEW volume_daily AS
SELECT day_of(t.minute - INTERVAL 1 MINUTE) AS day, sum(t.volume)::BIGINT AS check_ins, max(t.volume) AS peak,
    arg_max(t.minute - INTERVAL 1 MINUTE, {'volume': t.volume, 'earlier': -epoch_us(t.minute)}) AS peak_minute
FROM clock_ticks AS t
GROUP BY ALL;
COMMENT ON VIEW volume_daily IS
    'How many check-ins were let in on each day, and in its fullest minute. Growth by week is a sum over week_of(day).';
COMMENT ON COLUMN volume_daily.day IS 'The day, in UTC, on which they came.';
COMMENT ON COLUMN volume_daily.check_ins IS 'How many came.';
COMMENT ON COLUMN volume_daily.peak IS 'How many came in the minute in which most came.';
COMMENT ON COLUMN volume_daily.peak_minute IS 'That minute; of several the first.';
