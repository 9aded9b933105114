-- What was decided about the volume of check-ins (docs/anomalies.md). Since version 3.

CREATE TABLE clock_ticks (
    minute TIMESTAMPTZ,
    volume BIGINT,
    expected DOUBLE,
    deviation DOUBLE,
    decision VARCHAR,
    decided_at TIMESTAMPTZ
);
COMMENT ON TABLE clock_ticks IS 'Minutes that the event clock has reached, and whether what was missing then was really missing. Minutes in which nothing came, nor ever comes, have no row.';
COMMENT ON COLUMN clock_ticks.minute IS
    'The tick: misses and time-outs that are due in this minute fire at it. It is decided by the check-ins of the minute before.';
COMMENT ON COLUMN clock_ticks.volume IS 'How many check-ins came in the minute before this one.';
COMMENT ON COLUMN clock_ticks.expected IS
    'How many come in that minute on other days: the median; NULL with fewer than 3 days to compare with.';
COMMENT ON COLUMN clock_ticks.deviation IS
    'By how many per cent the volume is above that (below: negative); NULL where nothing is expected.';
COMMENT ON COLUMN clock_ticks.decision IS
    'normal: what is missing is missing. incident: check-ins are being lost, what is missing may have happened. abnormal, recovering: pending, it will be one of the other two.';
COMMENT ON COLUMN clock_ticks.decided_at IS
    'The tick at which that was decided; NULL while pending. Later than minute: misses and time-outs waited until then.';

CREATE TABLE system_incident_spans (
    system_incident_id VARCHAR,
    start TIMESTAMPTZ,
    "end" TIMESTAMPTZ,
    detected_at TIMESTAMPTZ,
    ended_at TIMESTAMPTZ,
    volume BIGINT,
    expected DOUBLE
);
COMMENT ON TABLE system_incident_spans IS 'Internal: system_incidents without what they cost.';
COMMENT ON COLUMN system_incident_spans.system_incident_id IS '32 hex digits, derived from its first minute.';
COMMENT ON COLUMN system_incident_spans.start IS 'The first minute that lacks check-ins.';
COMMENT ON COLUMN system_incident_spans."end" IS
    'The first minute that has as many as usual again; NULL while it goes on.';
COMMENT ON COLUMN system_incident_spans.detected_at IS 'The tick at which that was decided, and told.';
COMMENT ON COLUMN system_incident_spans.ended_at IS 'The tick at which its end was decided, and told.';
COMMENT ON COLUMN system_incident_spans.volume IS 'Check-ins in the minute that decided it.';
COMMENT ON COLUMN system_incident_spans.expected IS 'How many come in that minute on other days.';

CREATE TABLE system_incident_losses (
    system_incident_id VARCHAR,
    key_group BIGINT,
    held BIGINT,
    dropped BIGINT,
    in_progress BIGINT
);
COMMENT ON TABLE system_incident_losses IS
    'Internal: what system incidents cost, by key group of monitors (system_incidents adds it up).';
COMMENT ON COLUMN system_incident_losses.system_incident_id IS 'The system incident.';
COMMENT ON COLUMN system_incident_losses.key_group IS 'The key group.';
COMMENT ON COLUMN system_incident_losses.held IS
    'Misses and time-outs that waited for the decision and then became unknown.';
COMMENT ON COLUMN system_incident_losses.dropped IS
    'All misses and time-outs that became unknown, those that were held among them.';
COMMENT ON COLUMN system_incident_losses.in_progress IS 'Check-ins in progress that became unknown, and whose end has not come after all.';
