-- What held from when to when, in one form: began_at, ended_at (NULL: it still holds), lasted_seconds (up to the event
-- clock where it still holds).

CREATE OR REPLACE VIEW snapshot_age AS
SELECT published_at, event_clock, seconds_between(published_at, now()) AS age_seconds,
    seconds_between(event_clock, now()) AS clock_age_seconds
FROM snapshot_info;
COMMENT ON VIEW snapshot_age IS
    'How old what is read here is, by the clock of the machine that asks. A reader that keeps a connection open keeps its old snapshot.';
COMMENT ON COLUMN snapshot_age.published_at IS 'When the snapshot was published.';
COMMENT ON COLUMN snapshot_age.event_clock IS 'The snapshot''s "now".';
COMMENT ON COLUMN snapshot_age.age_seconds IS 'Seconds since it was published.';
COMMENT ON COLUMN snapshot_age.clock_age_seconds IS 'Seconds since the event clock.';

CREATE OR REPLACE VIEW config_periods AS
WITH configs AS (
    SELECT h.project_id, h.slug, h.replaced_at AS ended_at, h.replaced_by, coalesce(h.name, m.name) AS name,
        CASE WHEN h.name IS NULL THEN m.owner ELSE h.owner END AS owner, h.schedule_type, h.schedule,
        h.timezone, h.checkin_margin, h.max_runtime, h.failure_issue_threshold, h.recovery_threshold
    FROM monitor_config_history AS h
    JOIN monitors AS m ON m.project_id = h.project_id AND m.slug = h.slug
    UNION ALL
    SELECT m.project_id, m.slug, NULL, NULL, m.name, m.owner, m.schedule_type, m.schedule,
        m.timezone, m.checkin_margin, m.max_runtime, m.failure_issue_threshold, m.recovery_threshold
    FROM monitors AS m
),
ordered AS (
    SELECT c.*, lag(c.ended_at) OVER by_time AS set_at, lag(c.replaced_by) OVER by_time AS set_by,
        row_number() OVER by_time AS number
    FROM configs AS c
    WINDOW by_time AS (PARTITION BY c.project_id, c.slug ORDER BY c.ended_at NULLS LAST)
)
SELECT o.project_id, o.slug, m.organization_id, o.name, o.owner, o.number, coalesce(o.set_at, m.created_at) AS began_at,
    o.ended_at, seconds_between(coalesce(o.set_at, m.created_at), coalesce(o.ended_at, event_clock())) AS lasted_seconds,
    o.set_by, o.schedule_type, o.schedule, o.timezone, coalesce(o.checkin_margin, 1) AS checkin_margin,
    coalesce(o.max_runtime, 30) AS max_runtime, coalesce(o.failure_issue_threshold, 1) AS failure_issue_threshold,
    coalesce(o.recovery_threshold, 1) AS recovery_threshold
FROM ordered AS o
JOIN monitors AS m ON m.project_id = o.project_id AND m.slug = o.slug;
COMMENT ON VIEW config_periods IS
    'What was asked of monitors, and whose they were, from when to when: one row a period between two changes of config, name or owner.';
-- keys of config_periods: project_id, slug, organization_id
COMMENT ON COLUMN config_periods.name IS 'The monitor''s name for people, then.';
COMMENT ON COLUMN config_periods.owner IS
    'user:... or team:..., then; NULL if nobody owned the monitor. Where an earlier release did not keep it, as now.';
COMMENT ON COLUMN config_periods.number IS 'The how many-th period of the monitor, from 1.';
COMMENT ON COLUMN config_periods.began_at IS 'From here; of the first period, the creation of the monitor.';
COMMENT ON COLUMN config_periods.ended_at IS 'To here; NULL: it still holds.';
COMMENT ON COLUMN config_periods.lasted_seconds IS 'From began_at to ended_at or the event clock, in seconds.';
COMMENT ON COLUMN config_periods.set_by IS
    'What changed it at began_at: check_in (the config that a job sent along) or control; NULL for the first period.';
COMMENT ON COLUMN config_periods.schedule_type IS 'crontab or interval.';
COMMENT ON COLUMN config_periods.schedule IS 'When the job was due, as in monitors.schedule.';
COMMENT ON COLUMN config_periods.timezone IS 'IANA name of the time zone that the schedule was read in.';
COMMENT ON COLUMN config_periods.checkin_margin IS 'How many minutes late a check-in might be before it counted as missed.';
COMMENT ON COLUMN config_periods.max_runtime IS 'After how many minutes in progress a check-in counted as timed out.';
COMMENT ON COLUMN config_periods.failure_issue_threshold IS 'How many consecutive failing check-ins opened an incident.';
COMMENT ON COLUMN config_periods.recovery_threshold IS 'How many consecutive ok check-ins resolved it.';

-- A change of status that came out of order leaves no period open that is over.
CREATE OR REPLACE VIEW disabled_periods AS
WITH changes AS (
    SELECT h.project_id, h.slug, h.status, h.changed_at, m.organization_id, m.name, m.owner, m.status AS status_now,
        lead(h.changed_at) OVER (PARTITION BY h.project_id, h.slug ORDER BY h.changed_at) AS changed_next
    FROM monitor_status_history AS h
    JOIN monitors AS m ON m.project_id = h.project_id AND m.slug = h.slug
),
periods AS (
    SELECT c.*, CASE WHEN c.changed_next IS NULL AND c.status_now = 'active' THEN c.changed_at ELSE c.changed_next
        END AS ended_at
    FROM changes AS c
    WHERE c.status = 'disabled'
)
SELECT p.project_id, p.slug, p.organization_id, p.name, p.owner, p.changed_at AS began_at, p.ended_at,
    seconds_between(p.changed_at, coalesce(p.ended_at, event_clock())) AS lasted_seconds
FROM periods AS p;
COMMENT ON VIEW disabled_periods IS
    'When monitors were disabled: nothing was expected of them, and nothing counts as up or down.';
-- keys of disabled_periods: project_id, slug, organization_id, name, owner
COMMENT ON COLUMN disabled_periods.began_at IS 'From here.';
COMMENT ON COLUMN disabled_periods.ended_at IS 'To here; NULL: it still is.';
COMMENT ON COLUMN disabled_periods.lasted_seconds IS 'From began_at to ended_at or the event clock, in seconds.';

CREATE OR REPLACE VIEW mute_periods AS
WITH changes AS (
    SELECT h.*, lead(h.changed_at) OVER by_time AS changed_next,
        coalesce(lag(h.is_muted) OVER by_time, false) AS was_muted
    FROM mute_history AS h
    WINDOW by_time AS (PARTITION BY h.project_id, h.slug, h.environment ORDER BY h.changed_at)
),
-- Muted again while muted (by a person, what the flow had muted) begins no period of its own.
begun AS (
    SELECT c.*, lead(c.changed_at) OVER (
            PARTITION BY c.project_id, c.slug, c.environment ORDER BY c.changed_at
        ) AS turned_at
    FROM changes AS c
    WHERE c.is_muted <> c.was_muted
)
SELECT b.project_id, b.slug, nullif(b.environment, '') AS environment, m.organization_id, m.name, m.owner,
    b.changed_at AS began_at, b.turned_at AS ended_at,
    seconds_between(b.changed_at, coalesce(b.turned_at, event_clock())) AS lasted_seconds, b.is_by_person
FROM begun AS b
JOIN monitors AS m ON m.project_id = b.project_id AND m.slug = b.slug
WHERE b.is_muted;
COMMENT ON VIEW mute_periods IS
    'When monitors and environments were muted: failures opened incidents, but no occurrence was sent.';
-- keys of mute_periods: project_id, slug, organization_id, name, owner
COMMENT ON COLUMN mute_periods.environment IS 'The environment; NULL: the monitor, in all of them.';
COMMENT ON COLUMN mute_periods.began_at IS 'From here.';
COMMENT ON COLUMN mute_periods.ended_at IS 'To here; NULL: it still is, until somebody unmutes it.';
COMMENT ON COLUMN mute_periods.lasted_seconds IS 'From began_at to ended_at or the event clock, in seconds.';
COMMENT ON COLUMN mute_periods.is_by_person IS 'True: by a control. False: because the monitor was broken (broken_monitors).';

CREATE OR REPLACE VIEW silence_periods AS
SELECT s.silence_id, s.kind, s.organization_id, s.project_id, s.slug, s.environment, s.owner, s.misses_count,
    greatest(w.starts_at, s.announced_at) AS began_at, least(w.ends_at, s.ended_at) AS ended_at, s.rrule, s.who, s.note
FROM silences AS s
JOIN silence_windows AS w ON w.silence_id = s.silence_id
WHERE greatest(w.starts_at, s.announced_at) < least(w.ends_at, s.ended_at);
COMMENT ON VIEW silence_periods IS
    'From when to when nobody was, is or will be notified, one row a window: not before it was announced, and not after it was ended. silenced_environments has what each is about.';
COMMENT ON COLUMN silence_periods.silence_id IS 'As in silences, like all that has no other comment here.';
COMMENT ON COLUMN silence_periods.kind IS 'snooze or maintenance.';
COMMENT ON COLUMN silence_periods.organization_id IS 'The organization.';
COMMENT ON COLUMN silence_periods.project_id IS 'The project; NULL: all of the organization.';
COMMENT ON COLUMN silence_periods.slug IS 'The monitor, or a glob; NULL: all.';
COMMENT ON COLUMN silence_periods.environment IS 'The environment, or a glob; NULL: all.';
COMMENT ON COLUMN silence_periods.owner IS 'The owner, or a glob; NULL: whoever it is.';
COMMENT ON COLUMN silence_periods.misses_count IS 'False: misses and time-outs in it become unknown.';
COMMENT ON COLUMN silence_periods.began_at IS 'From here.';
COMMENT ON COLUMN silence_periods.ended_at IS 'To here.';
COMMENT ON COLUMN silence_periods.rrule IS 'When it recurs; NULL: it does not.';
COMMENT ON COLUMN silence_periods.who IS 'Who announced it.';
COMMENT ON COLUMN silence_periods.note IS 'What for.';

CREATE OR REPLACE VIEW silenced_environments AS
SELECT e.project_id, e.slug, e.environment, m.organization_id, m.name, m.owner, p.silence_id, p.kind, p.misses_count,
    p.began_at, p.ended_at, p.who, p.note
FROM silence_periods AS p
JOIN monitors AS m ON m.organization_id = p.organization_id AND (p.project_id IS NULL OR m.project_id = p.project_id)
    AND (p.slug IS NULL OR m.slug GLOB p.slug) AND (p.owner IS NULL OR coalesce(m.owner, '') GLOB p.owner)
JOIN monitor_environments AS e ON e.project_id = m.project_id AND e.slug = m.slug
    AND (p.environment IS NULL OR e.environment GLOB p.environment)
WHERE p.began_at < event_clock() + INTERVAL 1 MINUTE AND p.ended_at > event_clock();
COMMENT ON VIEW silenced_environments IS
    'Of which environments nobody is notified in the minute of the event clock, by which silence and until when: one row an environment and silence.';
-- keys of silenced_environments: project_id, slug, environment, organization_id, name, owner
COMMENT ON COLUMN silenced_environments.silence_id IS 'The silence (silences.silence_id).';
COMMENT ON COLUMN silenced_environments.kind IS 'snooze or maintenance.';
COMMENT ON COLUMN silenced_environments.misses_count IS 'False: misses and time-outs become unknown.';
COMMENT ON COLUMN silenced_environments.began_at IS 'Since when.';
COMMENT ON COLUMN silenced_environments.ended_at IS 'Until when.';
COMMENT ON COLUMN silenced_environments.who IS 'Who announced it.';
COMMENT ON COLUMN silenced_environments.note IS 'What for.';

CREATE OR REPLACE VIEW incident_acknowledgements AS
SELECT a.project_id, a.slug, a.environment, a.incident_id, m.organization_id, m.name, m.owner,
    max(a.changed_at) AS acknowledged_at, arg_max(a.who, a.changed_at) AS acknowledged_by,
    arg_max(a.note, a.changed_at) AS note
FROM acknowledgements AS a
JOIN monitors AS m ON m.project_id = a.project_id AND m.slug = a.slug
GROUP BY ALL
HAVING arg_max(a.is_acknowledged, a.changed_at);
COMMENT ON VIEW incident_acknowledgements IS
    'Incidents that somebody has acknowledged, one row each, by the newest that was said; acknowledgements has all. What was taken back is not in it.';
-- keys of incident_acknowledgements: project_id, slug, environment, organization_id, name, owner, incident_id
COMMENT ON COLUMN incident_acknowledgements.acknowledged_at IS 'When.';
COMMENT ON COLUMN incident_acknowledgements.acknowledged_by IS 'By whom.';
COMMENT ON COLUMN incident_acknowledgements.note IS 'What they said.';

-- By the owner then, as the flow judges it. The pieces of a window touch where a config changed in it.
CREATE OR REPLACE VIEW maintenance_periods AS
WITH changed AS (
    SELECT h.project_id, h.slug, max(h.replaced_at) AS changed_at FROM monitor_config_history AS h GROUP BY ALL
),
held AS (
    SELECT m.project_id, m.slug, m.organization_id, m.name, m.owner,
        coalesce(h.changed_at, '-infinity'::TIMESTAMPTZ) AS held_from, 'infinity'::TIMESTAMPTZ AS held_until
    FROM monitors AS m
    LEFT JOIN changed AS h ON h.project_id = m.project_id AND h.slug = m.slug
    UNION ALL
    SELECT m.project_id, m.slug, m.organization_id, coalesce(h.name, m.name),
        CASE WHEN h.name IS NULL THEN m.owner ELSE h.owner END, h.covers_from, h.covers_until
    FROM cronwax_former_configs() AS h
    JOIN monitors AS m ON m.project_id = h.project_id AND m.slug = h.slug
),
covered AS (
    SELECT s.silence_id, e.project_id, e.slug, e.environment, g.organization_id, g.name, g.owner,
        greatest(s.announced_at, g.held_from) AS covers_from,
        least(coalesce(s.ended_at, 'infinity'::TIMESTAMPTZ), g.held_until) AS covers_until
    FROM silences AS s
    JOIN held AS g ON g.organization_id = s.organization_id
        AND (s.project_id IS NULL OR g.project_id = s.project_id)
        AND (s.slug IS NULL OR g.slug GLOB s.slug)
        AND (s.owner IS NULL OR coalesce(g.owner, '') GLOB s.owner)
    JOIN monitor_environments AS e ON e.project_id = g.project_id AND e.slug = g.slug
        AND (s.environment IS NULL OR e.environment GLOB s.environment)
    WHERE NOT s.misses_count
)
SELECT c.project_id, c.slug, c.environment, c.organization_id, c.name, c.owner, c.silence_id,
    greatest(w.starts_at, c.covers_from) AS began_at, least(w.ends_at, c.covers_until) AS ended_at
FROM covered AS c
JOIN silence_windows AS w ON w.silence_id = c.silence_id AND w.starts_at < c.covers_until
    AND w.ends_at > c.covers_from
WHERE c.covers_from < c.covers_until;
COMMENT ON VIEW maintenance_periods IS
    'From when to when each environment is in a maintenance in which misses and time-outs do not count: neither up nor down. Windows to come are in it, too.';
-- keys of maintenance_periods: project_id, slug, environment, organization_id
COMMENT ON COLUMN maintenance_periods.name IS 'The monitor''s name for people, then.';
COMMENT ON COLUMN maintenance_periods.owner IS 'user:... or team:..., then; NULL if nobody owned the monitor.';
COMMENT ON COLUMN maintenance_periods.silence_id IS 'The maintenance (silences.silence_id).';
COMMENT ON COLUMN maintenance_periods.began_at IS 'From here.';
COMMENT ON COLUMN maintenance_periods.ended_at IS 'To here.';

-- What an environment was. Everything that begins or ends is an edge: +1 or -1 to what it switches. What is switched on is
-- counted in one number, nine bits each, as sums over edges are what costs: there (1), known (2^9), failing (2^18), blind
-- (2^27), disabled (2^36), muted (2^45), in maintenance (2^54).
CREATE OR REPLACE MACRO cronwax_eventful_periods() AS TABLE
WITH clock AS (
    SELECT max(s.event_clock) AS now_at FROM snapshot_info AS s
),
known AS (
    SELECT k.project_id, k.slug, k.environment, make_timestamptz(k.starts_us) AS starts, make_timestamptz(k.known_us) AS known
    FROM cronwax_known_environments() AS k
    WHERE k.is_eventful
),
places AS (
    SELECT p.project_id, p.slug, p.environment
    FROM monitor_environments AS p
    SEMI JOIN cronwax_eventful_monitors() AS e ON e.project_id = p.project_id AND e.slug = p.slug
),
spans AS (
    SELECT k.project_id, k.slug, k.environment, unnest([k.starts, k.known]) AS starts, NULL::TIMESTAMPTZ AS ends,
        unnest([1, 512])::BIGINT AS switched
    FROM known AS k
    UNION ALL
    SELECT i.project_id, i.slug, i.environment, i.starting_timestamp,
        CASE WHEN i.resolving_timestamp IS NOT NULL THEN greatest(i.starting_timestamp, i.resolving_timestamp) END,
        262144
    FROM incidents AS i
    UNION ALL
    SELECT p.project_id, p.slug, p.environment, s.start, s."end", 134217728
    FROM places AS p
    CROSS JOIN internal.system_incident_spans AS s
    UNION ALL
    SELECT p.project_id, p.slug, p.environment, d.began_at, d.ended_at, 68719476736
    FROM places AS p
    JOIN disabled_periods AS d ON d.project_id = p.project_id AND d.slug = p.slug
    UNION ALL
    SELECT p.project_id, p.slug, p.environment, m.began_at, m.ended_at, 35184372088832
    FROM places AS p
    JOIN mute_periods AS m ON m.project_id = p.project_id AND m.slug = p.slug
    WHERE m.environment IS NULL OR m.environment = p.environment
    UNION ALL
    SELECT p.project_id, p.slug, p.environment, h.replaced_at, NULL, 0
    FROM places AS p
    JOIN monitor_config_history AS h ON h.project_id = p.project_id AND h.slug = p.slug
    UNION ALL
    SELECT w.project_id, w.slug, w.environment, w.began_at, w.ended_at, 18014398509481984
    FROM maintenance_periods AS w
    CROSS JOIN clock AS c
    WHERE w.began_at < c.now_at
),
edges AS (
    SELECT s.project_id, s.slug, s.environment, s.starts AS moment, s.switched FROM spans AS s WHERE s.starts IS NOT NULL
    UNION ALL
    SELECT s.project_id, s.slug, s.environment, s.ends, -s.switched FROM spans AS s WHERE s.ends IS NOT NULL
),
switched AS (
    SELECT e.project_id, e.slug, e.environment, e.moment AS began_at, lead(e.moment) OVER up_to AS changed_at,
        (sum(e.switched) OVER up_to)::BIGINT AS switched
    FROM edges AS e
    WINDOW up_to AS (PARTITION BY e.project_id, e.slug, e.environment ORDER BY e.moment)
),
periods AS (
    SELECT s.project_id, s.slug, s.environment, s.began_at, least(s.changed_at, c.now_at) AS ended_at,
        CASE
            WHEN (s.switched >> 36) & 511 > 0 THEN 'disabled'
            WHEN (s.switched >> 54) & 511 > 0 THEN 'maintenance'
            WHEN (s.switched >> 18) & 511 > 0 THEN 'failing'
            WHEN (s.switched >> 9) & 511 = 0 THEN 'unknown'
            WHEN (s.switched >> 27) & 511 > 0 THEN 'blind'
            ELSE 'ok'
        END AS state,
        (s.switched >> 45) & 511 > 0 AS is_muted
    FROM switched AS s
    CROSS JOIN clock AS c
    WHERE c.now_at IS NOT NULL AND s.switched & 511 > 0 AND s.began_at < least(s.changed_at, c.now_at)
)
SELECT p.project_id, p.slug, p.environment, m.organization_id, coalesce(f.name, m.name) AS name,
    CASE WHEN f.name IS NULL THEN m.owner ELSE f.owner END AS owner, p.state, p.is_muted, p.began_at, p.ended_at
FROM periods AS p
JOIN monitors AS m ON m.project_id = p.project_id AND m.slug = p.slug
LEFT JOIN cronwax_former_configs() AS f ON f.project_id = p.project_id AND f.slug = p.slug
    AND p.began_at >= f.covers_from AND p.began_at < f.covers_until;
COMMENT ON MACRO TABLE cronwax_eventful_periods IS 'Internal: state_periods of the monitors of eventful_monitors.';

CREATE OR REPLACE VIEW state_periods AS
WITH clock AS (
    SELECT epoch_us(max(s.event_clock)) AS now_us FROM snapshot_info AS s
),
phases AS (
    SELECT s.begins_us, s.ends_us, CASE WHEN s.is_blind THEN 'blind' ELSE 'ok' END AS state
    FROM cronwax_blind_stretches() AS s
    UNION ALL
    SELECT NULL, NULL, 'unknown'
),
quiet AS (
    SELECT k.project_id, k.slug, k.environment, k.organization_id, k.name, k.owner, p.state,
        CASE
            WHEN p.state = 'unknown' THEN k.starts_us
            WHEN k.known_us IS NOT NULL THEN greatest(k.known_us, p.begins_us)
        END AS began_us,
        CASE WHEN p.state = 'unknown' THEN least(k.known_us, c.now_us) ELSE least(p.ends_us, c.now_us) END AS ended_us
    FROM cronwax_known_environments() AS k
    CROSS JOIN phases AS p
    CROSS JOIN clock AS c
    WHERE NOT k.is_eventful AND c.now_us IS NOT NULL
)
SELECT q.project_id, q.slug, q.environment, q.organization_id, q.name, q.owner, q.state, false AS is_muted,
    make_timestamptz(q.began_us) AS began_at, make_timestamptz(q.ended_us) AS ended_at,
    (q.ended_us - q.began_us) / 1000000 AS lasted_seconds
FROM quiet AS q
WHERE q.began_us < q.ended_us
UNION ALL
SELECT p.project_id, p.slug, p.environment, p.organization_id, p.name, p.owner, p.state, p.is_muted, p.began_at,
    p.ended_at, seconds_between(p.began_at, p.ended_at)
FROM cronwax_eventful_periods() AS p;
COMMENT ON VIEW state_periods IS
    'What each environment was, from when to when, up to the event clock: what uptime and uptime_daily add up. A period ends where state, mute, owner or config changes.';
-- keys of state_periods: project_id, slug, environment, organization_id
COMMENT ON COLUMN state_periods.name IS 'The monitor''s name for people, then.';
COMMENT ON COLUMN state_periods.owner IS 'user:... or team:..., then; NULL if nobody owned the monitor.';
COMMENT ON COLUMN state_periods.state IS
    'disabled: nothing was expected. maintenance: misses and time-outs did not count (maintenance_periods). failing: an incident was open, from its first failing check-in to the beginning of the run that resolved it. unknown: before the first run, or nothing has finished yet. blind: check-ins were being lost (system_incidents). ok: none of these. The first that applies, in this order.';
COMMENT ON COLUMN state_periods.is_muted IS 'True: monitor or environment was muted.';
COMMENT ON COLUMN state_periods.began_at IS 'From here.';
COMMENT ON COLUMN state_periods.ended_at IS 'To here, at most the event clock.';
COMMENT ON COLUMN state_periods.lasted_seconds IS 'How long that is, in seconds.';
