-- When monitoring itself was blind.

CREATE OR REPLACE VIEW system_incidents AS
SELECT span.system_incident_id, span.start, span."end", span.detected_at, span.ended_at, span.volume, span.expected,
    coalesce(sum(loss.held), 0)::BIGINT AS held, coalesce(sum(loss.dropped), 0)::BIGINT AS dropped,
    coalesce(sum(loss.in_progress), 0)::BIGINT AS in_progress
FROM system_incident_spans AS span LEFT JOIN system_incident_losses AS loss USING (system_incident_id)
GROUP BY ALL
ORDER BY span.start;
COMMENT ON VIEW system_incidents IS
    'Stretches of time in which check-ins were lost on their way here: what was due then is unknown, and was not told.';
COMMENT ON COLUMN system_incidents.system_incident_id IS '32 hex digits, derived from its first minute.';
COMMENT ON COLUMN system_incidents.start IS 'The first minute that lacks check-ins.';
COMMENT ON COLUMN system_incidents."end" IS
    'The first minute that has as many as usual again; NULL while it goes on.';
COMMENT ON COLUMN system_incidents.detected_at IS 'The tick at which that was decided, and told.';
COMMENT ON COLUMN system_incidents.ended_at IS 'The tick at which its end was decided, and told.';
COMMENT ON COLUMN system_incidents.volume IS 'Check-ins in the minute that decided it.';
COMMENT ON COLUMN system_incidents.expected IS 'How many come in that minute on other days.';
COMMENT ON COLUMN system_incidents.held IS
    'Misses and time-outs that waited for the decision and then became unknown.';
COMMENT ON COLUMN system_incidents.dropped IS
    'All misses and time-outs that became unknown, those that were held among them.';
COMMENT ON COLUMN system_incidents.in_progress IS 'Check-ins in progress that became unknown, and whose end has not come after all.';
