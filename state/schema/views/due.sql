-- When jobs are due: the rules of docs/schedules.md in SQL, over the few different schedules that monitors share.
--
-- A crontab's fields become numbers, its days are compared with the calendar, and its times with what the clocks of
-- its zone show in each minute (wall). Of fixed times a minute stands for all that the clocks had not shown before: so
-- what they skip is due when the gap is over, and what they show twice is due once. Of elapsed time (minute or hour
-- begins with *) it stands for what they show then.

CREATE OR REPLACE MACRO crontab_numbers() AS TABLE
WITH schedules AS (
    SELECT DISTINCT m.schedule FROM monitors AS m WHERE m.schedule_type = 'crontab'
),
fields AS (
    SELECT s.schedule, f.place, regexp_split_to_array(upper(s.schedule), '\s+')[f.place] AS field, f.low, f.high
    FROM schedules AS s
    CROSS JOIN (VALUES (1, 0, 59), (2, 0, 23), (3, 1, 31), (4, 1, 12), (5, 0, 7)) AS f(place, low, high)
),
items AS (
    SELECT f.*, unnest(string_split(f.field, ',')) AS item FROM fields AS f
),
words AS (
    SELECT i.*, string_split(string_split(i.item, '/')[1], '-') AS ends, string_split(i.item, '/')[2] AS step,
        ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'] AS months,
        ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'] AS weekdays
    FROM items AS i
    WHERE NOT regexp_matches(i.item, '#|L$|^LW|^L/')
),
bounds AS (
    SELECT w.*,
        CASE WHEN w.ends[1] = '*' THEN w.low ELSE coalesce(try_cast(w.ends[1] AS INTEGER),
            CASE w.place WHEN 4 THEN list_position(w.months, w.ends[1][1:3])
                ELSE list_position(w.weekdays, w.ends[1][1:3]) - 1 END) END AS first,
        CASE WHEN w.ends[2] IS NOT NULL THEN coalesce(try_cast(w.ends[2] AS INTEGER),
            CASE w.place WHEN 4 THEN list_position(w.months, w.ends[2][1:3])
                ELSE list_position(w.weekdays, w.ends[2][1:3]) - 1 END) END AS last
    FROM words AS w
),
ranges AS (
    SELECT b.schedule, b.place, b.first, coalesce(try_cast(b.step AS INTEGER), 1) AS step,
        CASE
            WHEN b.ends[1] = '*' THEN b.high
            WHEN b.step IS NOT NULL AND coalesce(b.last, b.first) = b.first THEN b.high
            ELSE coalesce(b.last, b.first)
        END AS last
    FROM bounds AS b
),
numbers AS (
    SELECT r.schedule, r.place, unnest(generate_series(r.first, r.last, r.step)) AS number FROM ranges AS r
)
SELECT DISTINCT n.schedule, n.place, CASE n.place WHEN 5 THEN n.number % 7 ELSE n.number END AS number
FROM numbers AS n;
COMMENT ON MACRO TABLE crontab_numbers IS
    'crontab_numbers(): the plain numbers of all crontabs in use. place: 1 minute, 2 hour, 3 day of month, 4 month, 5 day of week (0 is Sunday).';

CREATE OR REPLACE MACRO crontab_days(from_day, days) AS TABLE
WITH cronwax_given AS (
    SELECT from_day::DATE AS cronwax_from, days::BIGINT AS cronwax_days
),
cronwax_dates AS (
    SELECT unnest(generate_series(g.cronwax_from::TIMESTAMP,
            g.cronwax_from::TIMESTAMP + to_days((g.cronwax_days - 1)::INTEGER), INTERVAL 1 DAY))::DATE AS day
    FROM cronwax_given AS g
),
cronwax_calendar AS (
    SELECT d.day, day(d.day) AS number, month(d.day) AS month, isodow(d.day) % 7 AS weekday,
        day(last_day(d.day)) AS last, day(last_day(d.day)) - greatest(0, isodow(last_day(d.day)) - 5) AS last_workday
    FROM cronwax_dates AS d
),
cronwax_schedules AS (
    SELECT DISTINCT m.schedule, upper(m.schedule) AS text FROM monitors AS m WHERE m.schedule_type = 'crontab'
),
cronwax_fields AS (
    SELECT s.schedule, regexp_split_to_array(s.text, '\s+') AS fields FROM cronwax_schedules AS s
),
cronwax_days_of AS (
    SELECT f.schedule, unnest(string_split(f.fields[3], ',')) AS item FROM cronwax_fields AS f
),
cronwax_weekdays_of AS (
    SELECT f.schedule, unnest(string_split(f.fields[5], ',')) AS item FROM cronwax_fields AS f
),
cronwax_numbers AS (
    SELECT n.schedule, n.place, n.number FROM crontab_numbers() AS n WHERE n.place IN (3, 4, 5)
),
-- Of each schedule the days of month and the days of week that it names.
cronwax_by_day AS (
    SELECT n.schedule AS cronwax_schedule, c.day AS cronwax_day
    FROM cronwax_calendar AS c JOIN cronwax_numbers AS n ON n.place = 3 AND c.number = n.number
    UNION
    SELECT s.schedule, c.day FROM cronwax_calendar AS c JOIN cronwax_days_of AS s ON c.number = CASE
        WHEN regexp_matches(s.item, '^LW(/\d+)?$') THEN c.last_workday
        WHEN regexp_matches(s.item, '^L(/\d+)?$') THEN c.last
    END
),
cronwax_by_weekday AS (
    SELECT n.schedule AS cronwax_schedule, c.day AS cronwax_day
    FROM cronwax_calendar AS c JOIN cronwax_numbers AS n ON n.place = 5 AND c.weekday = n.number
    UNION
    SELECT s.schedule, c.day
    FROM cronwax_calendar AS c
    JOIN cronwax_weekdays_of AS s ON c.weekday = coalesce(
            try_cast(regexp_extract(s.item, '^(\d+)(#|L$)', 1) AS INTEGER) % 7,
            list_position(['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'], regexp_extract(s.item, '^([A-Z]+)#', 1)[1:3]) - 1
        )
        AND CASE
            WHEN s.item LIKE '%#%' THEN (c.number - 1) // 7 + 1 = regexp_extract(s.item, '#(\d+)$', 1)::INTEGER
            ELSE s.item LIKE '%L' AND c.number + 7 > c.last
        END
),
cronwax_months AS (
    SELECT n.schedule AS cronwax_schedule, c.day AS cronwax_day
    FROM cronwax_calendar AS c JOIN cronwax_numbers AS n ON n.place = 4 AND c.month = n.number
)
SELECT cronwax_m.cronwax_schedule AS schedule, cronwax_m.cronwax_day AS day
FROM cronwax_months AS cronwax_m
LEFT JOIN cronwax_by_day AS cronwax_d
    ON cronwax_d.cronwax_schedule = cronwax_m.cronwax_schedule AND cronwax_d.cronwax_day = cronwax_m.cronwax_day
LEFT JOIN cronwax_by_weekday AS cronwax_w
    ON cronwax_w.cronwax_schedule = cronwax_m.cronwax_schedule AND cronwax_w.cronwax_day = cronwax_m.cronwax_day
JOIN cronwax_fields AS f ON f.schedule = cronwax_m.cronwax_schedule
WHERE CASE
    WHEN f.fields[3] LIKE '*%' OR f.fields[5] LIKE '*%'
        THEN cronwax_d.cronwax_day IS NOT NULL AND cronwax_w.cronwax_day IS NOT NULL
    ELSE cronwax_d.cronwax_day IS NOT NULL OR cronwax_w.cronwax_day IS NOT NULL
END;
COMMENT ON MACRO TABLE crontab_days IS
    'crontab_days(from_day, days): on which days, on the wall, each crontab in use is due.';

CREATE OR REPLACE VIEW schedule_periods AS
WITH times AS (
    SELECT n.schedule, count(*) FILTER (WHERE n.place = 1) * count(*) FILTER (WHERE n.place = 2) AS times_a_day
    FROM crontab_numbers() AS n
    GROUP BY n.schedule
),
years AS (
    SELECT d.schedule, count(*) AS days FROM crontab_days(day_of(event_clock()), 1461) AS d GROUP BY d.schedule
),
crontabs AS (
    SELECT t.schedule, 1461 * 86400 / (t.times_a_day * y.days) AS period_seconds
    FROM times AS t
    JOIN years AS y ON y.schedule = t.schedule
),
intervals AS (
    SELECT DISTINCT m.schedule, string_split(m.schedule, ' ')[1]::BIGINT * CASE string_split(m.schedule, ' ')[2]
            WHEN 'minute' THEN 60 WHEN 'hour' THEN 3600 WHEN 'day' THEN 86400 WHEN 'week' THEN 604800
            WHEN 'month' THEN 1461 * 86400 / 48 ELSE 1461 * 86400 / 4
        END AS period_seconds
    FROM monitors AS m
    WHERE m.schedule_type = 'interval'
)
SELECT 'crontab' AS schedule_type, c.schedule, c.period_seconds::DOUBLE AS period_seconds FROM crontabs AS c
UNION ALL
SELECT 'interval', i.schedule, i.period_seconds::DOUBLE FROM intervals AS i;
COMMENT ON VIEW schedule_periods IS
    'How far apart the times of each schedule in use are, on average over the four years from the event clock on.';
COMMENT ON COLUMN schedule_periods.schedule_type IS 'crontab or interval.';
COMMENT ON COLUMN schedule_periods.schedule IS 'As in monitors.schedule.';
COMMENT ON COLUMN schedule_periods.period_seconds IS
    'The mean time from one scheduled time to the next, in seconds; changes of daylight saving time left aside.';

CREATE OR REPLACE VIEW silence AS
SELECT s.project_id, s.slug, s.environment, s.organization_id, s.name, s.owner, s.status, s.last_run AS last_heard,
    seconds_between(s.last_run, s.event_clock) AS silent_seconds, p.period_seconds,
    seconds_between(s.last_run, s.event_clock) / p.period_seconds AS silent_periods, s.schedule, s.timezone,
    s.event_clock, s.published_at, s.age_seconds
FROM monitor_status AS s
JOIN monitors AS m ON m.project_id = s.project_id AND m.slug = s.slug
LEFT JOIN schedule_periods AS p ON p.schedule_type = m.schedule_type AND p.schedule = m.schedule;
COMMENT ON VIEW silence IS
    'For how long each environment has not been heard, against its own period: silent_periods > 3 is long for any job.';
-- keys of silence: project_id, slug, environment, organization_id, name, owner, event_clock, published_at, age_seconds
COMMENT ON COLUMN silence.status IS 'As in monitor_status.status.';
COMMENT ON COLUMN silence.last_heard IS 'When the latest run began; NULL if none did.';
COMMENT ON COLUMN silence.silent_seconds IS 'Seconds from then to the event clock; negative if it began after that.';
COMMENT ON COLUMN silence.period_seconds IS 'The mean time between its scheduled times, in seconds (schedule_periods).';
COMMENT ON COLUMN silence.silent_periods IS 'silent_seconds / period_seconds.';
COMMENT ON COLUMN silence.schedule IS 'When the job is due, as in monitors.schedule.';
COMMENT ON COLUMN silence.timezone IS 'IANA name of the time zone that the schedule is read in.';

CREATE OR REPLACE VIEW due_runs AS
WITH clock AS (
    SELECT s.event_clock AS now_at FROM snapshot_info AS s WHERE s.event_clock IS NOT NULL
),
zones AS (
    SELECT DISTINCT z.name AS zone
    FROM monitors AS m
    JOIN pg_timezone_names() AS z ON z.name = m.timezone
    WHERE m.schedule_type = 'crontab' AND m.status <> 'disabled'
),
-- From two days before, so that what the clocks have shown before is known.
minutes AS (
    SELECT z.zone, c.now_at, unnest(generate_series(-2880, 1439)) AS offset_minutes
    FROM zones AS z
    CROSS JOIN clock AS c
),
shown AS (
    SELECT m.zone, m.now_at, m.now_at + to_minutes(m.offset_minutes) AS due_at,
        epoch_us(timezone(m.zone, m.now_at + to_minutes(m.offset_minutes))) // 60000000 AS wall
    FROM minutes AS m
),
reached AS (
    SELECT s.*, max(s.wall) OVER (PARTITION BY s.zone ORDER BY s.due_at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
            AS wall_before
    FROM shown AS s
),
walls AS (
    SELECT r.zone, true AS is_fixed, r.due_at, unnest(generate_series(r.wall_before + 1, r.wall)) AS wall
    FROM reached AS r
    WHERE r.due_at >= r.now_at AND r.wall > r.wall_before
    UNION ALL
    SELECT r.zone, false, r.due_at, r.wall
    FROM reached AS r
    WHERE r.due_at >= r.now_at
),
schedules AS (
    SELECT DISTINCT m.schedule, m.timezone AS zone,
        NOT (m.schedule LIKE '*%' OR regexp_split_to_array(m.schedule, '\s+')[2] LIKE '*%') AS is_fixed
    FROM monitors AS m
    WHERE m.schedule_type = 'crontab' AND m.status <> 'disabled'
),
-- A gap can be a day long (Samoa): so a day before and one after.
days AS (
    SELECT d.schedule, d.day FROM crontab_days((SELECT day_of(c.now_at) - 2 FROM clock AS c), 6) AS d
),
named AS (
    SELECT d.schedule, epoch_us(d.day::TIMESTAMP) // 60000000 + 60 * h.number + n.number AS wall
    FROM days AS d
    JOIN crontab_numbers() AS h ON h.schedule = d.schedule AND h.place = 2
    JOIN crontab_numbers() AS n ON n.schedule = d.schedule AND n.place = 1
),
crontab_times AS (
    SELECT DISTINCT s.schedule, s.zone, w.due_at
    FROM schedules AS s
    JOIN named AS n ON n.schedule = s.schedule
    JOIN walls AS w ON w.zone = s.zone AND w.is_fixed = s.is_fixed AND w.wall = n.wall
),
environments AS (
    SELECT e.project_id, e.slug, e.environment, e.next_checkin, m.organization_id, m.name, m.owner, m.schedule_type,
        m.schedule, m.timezone, coalesce(m.checkin_margin, 1) AS checkin_margin, c.now_at
    FROM monitor_environments AS e
    JOIN monitors AS m ON m.project_id = e.project_id AND m.slug = e.slug
    CROSS JOIN clock AS c
    WHERE m.status <> 'disabled' AND e.next_checkin IS NOT NULL
),
intervals AS (
    SELECT e.*, string_split(e.schedule, ' ')[1]::BIGINT * CASE string_split(e.schedule, ' ')[2]
            WHEN 'minute' THEN 1 WHEN 'hour' THEN 60 END AS step_minutes
    FROM environments AS e
    WHERE e.schedule_type = 'interval'
),
times AS (
    SELECT e.project_id, e.slug, e.environment, t.due_at
    FROM environments AS e
    JOIN crontab_times AS t ON t.schedule = e.schedule AND t.zone = e.timezone
    WHERE e.schedule_type = 'crontab' AND t.due_at >= e.next_checkin
    UNION
    SELECT i.project_id, i.slug, i.environment, unnest(generate_series(
            i.next_checkin, i.now_at + INTERVAL 1439 MINUTE, to_minutes(coalesce(i.step_minutes, 2880))
        ))
    FROM intervals AS i
    UNION
    SELECT e.project_id, e.slug, e.environment, e.next_checkin
    FROM environments AS e
)
SELECT t.project_id, t.slug, t.environment, e.organization_id, e.name, e.owner, t.due_at,
    t.due_at + to_minutes(e.checkin_margin) AS missed_at, seconds_between(e.now_at, t.due_at) AS due_in_seconds,
    e.schedule, e.timezone, a.event_clock, a.published_at, a.age_seconds
FROM times AS t
JOIN environments AS e ON e.project_id = t.project_id AND e.slug = t.slug AND e.environment = t.environment
CROSS JOIN snapshot_age AS a
WHERE t.due_at >= e.now_at AND t.due_at < e.now_at + INTERVAL 24 HOUR;
COMMENT ON VIEW due_runs IS
    'Each scheduled time of the 24 hours from the event clock on, one row an environment and time. An interval counts from each message: its times after the next one are what they are if every run comes when it is due. A monitor whose time zone DuckDB does not know has only its next one. Disabled monitors are due at no time.';
-- keys of due_runs: project_id, slug, environment, organization_id, name, owner, event_clock, published_at, age_seconds
COMMENT ON COLUMN due_runs.due_at IS 'When it is due.';
COMMENT ON COLUMN due_runs.missed_at IS 'From this minute on it counts as missed.';
COMMENT ON COLUMN due_runs.due_in_seconds IS 'Seconds from the event clock to due_at.';
COMMENT ON COLUMN due_runs.schedule IS 'When the job is due, as in monitors.schedule.';
COMMENT ON COLUMN due_runs.timezone IS 'IANA name of the time zone that the schedule is read in.';

CREATE OR REPLACE VIEW collisions AS
WITH past AS (
    SELECT epoch_us(r.due_at) // 60000000 AS minute, count(DISTINCT (r.project_id, r.slug, r.environment)) AS due
    FROM runs AS r
    WHERE r.due_at IS NOT NULL AND r.due_at < event_clock()
    GROUP BY ALL
),
future AS (
    SELECT epoch_us(d.due_at) // 60000000 AS minute, count(*) AS due FROM due_runs AS d GROUP BY ALL
),
begun AS (
    SELECT epoch_us(r.started_at) // 60000000 AS minute, count(*) AS began
    FROM runs AS r
    WHERE r.started_at IS NOT NULL
    GROUP BY ALL
),
ended AS (
    SELECT epoch_us(r.finished_at) // 60000000 AS minute, count(*) AS ended
    FROM runs AS r
    WHERE r.finished_at IS NOT NULL
    GROUP BY ALL
),
joined AS (
    SELECT coalesce(p.minute, b.minute, e.minute) AS minute, coalesce(p.due, 0) AS due, coalesce(b.began, 0) AS began,
        coalesce(e.ended, 0) AS ended
    FROM past AS p
    FULL JOIN begun AS b ON b.minute = p.minute
    FULL JOIN ended AS e ON e.minute = coalesce(p.minute, b.minute)
),
counted AS (
    SELECT j.minute, j.due, j.began,
        sum(j.began) OVER (ORDER BY j.minute) - coalesce(sum(j.ended) OVER (
            ORDER BY j.minute ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ), 0) AS running
    FROM joined AS j
)
SELECT make_timestamptz(c.minute * 60000000) AS minute, false AS is_ahead, c.due, c.began, c.running::BIGINT AS running
FROM counted AS c
WHERE c.due > 0 OR c.began > 0
UNION ALL
SELECT make_timestamptz(f.minute * 60000000), true, f.due, NULL, NULL
FROM future AS f;
COMMENT ON VIEW collisions IS
    'How many jobs were due, began and ran in each minute, and how many will be due in each of the next 24 hours. Minutes in which nothing was due or began have no row.';
COMMENT ON COLUMN collisions.minute IS 'The minute.';
COMMENT ON COLUMN collisions.is_ahead IS 'True: it is not over, and due is what due_runs says.';
COMMENT ON COLUMN collisions.due IS 'How many environments were due in it.';
COMMENT ON COLUMN collisions.began IS 'How many runs began in it; NULL ahead.';
COMMENT ON COLUMN collisions.running IS 'How many runs were going on at some time of it; NULL ahead.';
