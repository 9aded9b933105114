-- What several views are made of, as macros, which clients do not list among what is for people.
--
-- A published file has the tables that are not for people in a schema of their own. Where a view asks one of them, a
-- writer's file has a view of this name over it, whose place the table takes when it is published (PUT_AWAY in layout.py).
CREATE SCHEMA IF NOT EXISTS internal;

CREATE OR REPLACE VIEW internal.system_incident_spans AS SELECT * FROM main.system_incident_spans;
CREATE OR REPLACE VIEW internal.system_incident_losses AS SELECT * FROM main.system_incident_losses;

-- Most monitors have never been changed: what held earlier is looked up in these few rows, and else is what holds now.
CREATE OR REPLACE MACRO cronwax_former_configs() AS TABLE
SELECT h.project_id, h.slug, coalesce(lag(h.replaced_at) OVER by_time, '-infinity'::TIMESTAMPTZ) AS covers_from,
    h.replaced_at AS covers_until, h.name, h.owner, h.timezone
FROM monitor_config_history AS h
WINDOW by_time AS (PARTITION BY h.project_id, h.slug ORDER BY h.replaced_at);
COMMENT ON MACRO TABLE cronwax_former_configs IS
    'Internal: what monitors were called, whose they were and in which zone, from covers_from to just before covers_until. name NULL: not kept, as now.';

-- Monitors to which anything happened but that they began. What is asked about time (state_periods, uptime, uptime_daily)
-- is worked out for these; of the others, the quiet ones, it follows from when they began.
CREATE OR REPLACE MACRO cronwax_eventful_monitors() AS TABLE
SELECT i.project_id, i.slug FROM incidents AS i
UNION
SELECT h.project_id, h.slug FROM monitor_status_history AS h
UNION
SELECT h.project_id, h.slug FROM mute_history AS h
UNION
SELECT h.project_id, h.slug FROM monitor_config_history AS h
UNION
SELECT m.project_id, m.slug
FROM silences AS s
JOIN monitors AS m ON m.organization_id = s.organization_id AND (s.project_id IS NULL OR m.project_id = s.project_id)
    AND (s.slug IS NULL OR m.slug GLOB s.slug)
WHERE NOT s.misses_count;
COMMENT ON MACRO TABLE cronwax_eventful_monitors IS
    'Internal: monitors that had an incident, were disabled, muted or changed at any time, or may be in a maintenance.';

-- From when on something is known of each environment: NULL if nothing has finished yet.
CREATE OR REPLACE MACRO cronwax_known_environments() AS TABLE
WITH first_runs AS (
    SELECT c.project_id, c.slug, c.environment, min(c.date_added) AS first_run
    FROM check_ins AS c
    WHERE c.expected_time IS NULL
    GROUP BY ALL
),
first_failures AS (
    SELECT i.project_id, i.slug, i.environment, min(i.starting_timestamp) AS first_failure
    FROM incidents AS i
    GROUP BY ALL
),
known AS (
    SELECT e.project_id, e.slug, e.environment, m.organization_id, m.name, m.owner, m.created_at, CASE
            WHEN e.status = 'active' AND f.first_failure IS NULL THEN NULL
            ELSE least(coalesce(r.first_run, m.created_at), f.first_failure)
        END AS known_at
    FROM monitor_environments AS e
    JOIN monitors AS m ON m.project_id = e.project_id AND m.slug = e.slug
    LEFT JOIN first_runs AS r
        ON r.project_id = e.project_id AND r.slug = e.slug AND r.environment = e.environment
    LEFT JOIN first_failures AS f
        ON f.project_id = e.project_id AND f.slug = e.slug AND f.environment = e.environment
)
SELECT k.project_id, k.slug, k.environment, k.organization_id, k.name, k.owner, v.slug IS NOT NULL AS is_eventful,
    epoch_us(least(k.created_at, k.known_at)) AS starts_us, epoch_us(k.known_at) AS known_us
FROM known AS k
LEFT JOIN cronwax_eventful_monitors() AS v ON v.project_id = k.project_id AND v.slug = k.slug;
COMMENT ON MACRO TABLE cronwax_known_environments IS
    'Internal: environments, since when they are there (starts_us), and since when something is known of them (known_us).';

-- From when to when check-ins were being lost, and were not: the same for all monitors.
CREATE OR REPLACE MACRO cronwax_blind_stretches() AS TABLE
WITH turns AS (
    SELECT 0::BIGINT AS moment_us, 0 AS turn
    UNION ALL
    SELECT epoch_us(s.start), 1 FROM internal.system_incident_spans AS s
    UNION ALL
    SELECT epoch_us(s."end"), -1 FROM internal.system_incident_spans AS s WHERE s."end" IS NOT NULL
),
stretches AS (
    SELECT t.moment_us AS begins_us, lead(t.moment_us, 1, 9000000000000000000) OVER (ORDER BY t.moment_us) AS ends_us,
        sum(t.turn) OVER (ORDER BY t.moment_us) > 0 AS is_blind
    FROM turns AS t
)
SELECT s.begins_us, s.ends_us, s.is_blind, coalesce(sum(CASE WHEN s.is_blind THEN s.ends_us - s.begins_us END) OVER (
        ORDER BY s.begins_us ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ), 0)::BIGINT AS blind_before_us
FROM stretches AS s
WHERE s.begins_us < s.ends_us;
COMMENT ON MACRO TABLE cronwax_blind_stretches IS
    'Internal: stretches of time in which check-ins were being lost, or were not, and how much had been lost in before.';
