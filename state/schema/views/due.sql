-- When jobs are due: the rules of docs/schedules.md in SQL, over the few different schedules that monitors share.
--
-- A crontab's fields become numbers, its days are compared with the calendar, and its times with what the clocks of
-- its zone show in each minute (wall). Of fixed times a minute stands for all that the clocks had not shown before: so
-- what they skip is due when the gap is over, and what they show twice is due once. Of elapsed time (minute or hour
-- begins with *) it stands for what they show then.

CREATE OR REPLACE MACRO cronwax_crontabs() AS TABLE
WITH schedules AS (
    SELECT DISTINCT m.schedule, regexp_split_to_array(upper(m.schedule), '\s+') AS fields
    FROM monitors AS m
    WHERE m.schedule_type = 'crontab'
)
SELECT s.schedule, s.fields, array_to_string(s.fields[3:5], ' ') AS day_part FROM schedules AS s;
COMMENT ON MACRO TABLE cronwax_crontabs IS
    'Internal: the crontabs in use. Their fields, and those that say on which days (day_part), which many have in common.';

CREATE OR REPLACE MACRO cronwax_crontab_fields() AS TABLE
WITH fields AS (
    SELECT DISTINCT f.place, c.fields[f.place] AS field, f.low, f.high
    FROM cronwax_crontabs() AS c
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
    SELECT b.place, b.field, b.first, coalesce(try_cast(b.step AS INTEGER), 1) AS step,
        CASE
            WHEN b.ends[1] = '*' THEN b.high
            WHEN b.step IS NOT NULL AND coalesce(b.last, b.first) = b.first THEN b.high
            ELSE coalesce(b.last, b.first)
        END AS last
    FROM bounds AS b
),
numbers AS (
    SELECT r.place, r.field, unnest(generate_series(r.first, r.last, r.step)) AS number FROM ranges AS r
)
SELECT DISTINCT n.place, n.field, CASE n.place WHEN 5 THEN n.number % 7 ELSE n.number END AS number
FROM numbers AS n;
COMMENT ON MACRO TABLE cronwax_crontab_fields IS
    'Internal: the plain numbers of the fields of crontabs in use. place: 1 minute, 2 hour, 3 day of month, 4 month, 5 day of week (0 is Sunday).';

CREATE OR REPLACE MACRO crontab_numbers() AS TABLE
WITH placed AS (
    SELECT c.schedule, p.place, c.fields[p.place] AS field
    FROM cronwax_crontabs() AS c
    CROSS JOIN (VALUES (1), (2), (3), (4), (5)) AS p(place)
)
SELECT p.schedule, p.place, f.number
FROM placed AS p
JOIN cronwax_crontab_fields() AS f ON f.place = p.place AND f.field = p.field;
COMMENT ON MACRO TABLE crontab_numbers IS
    'crontab_numbers(): the plain numbers of all crontabs in use. place: 1 minute, 2 hour, 3 day of month, 4 month, 5 day of week (0 is Sunday).';

CREATE OR REPLACE MACRO crontab_day_parts(from_day, days) AS TABLE
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
cronwax_parts AS (
    SELECT DISTINCT c.day_part AS part, c.fields[3] AS of_month, c.fields[4] AS of_year, c.fields[5] AS of_week
    FROM cronwax_crontabs() AS c
),
cronwax_days_of AS (
    SELECT p.part, unnest(string_split(p.of_month, ',')) AS item FROM cronwax_parts AS p
),
cronwax_weekdays_of AS (
    SELECT p.part, unnest(string_split(p.of_week, ',')) AS item FROM cronwax_parts AS p
),
cronwax_numbers AS (
    SELECT p.part, n.place, n.number
    FROM cronwax_parts AS p
    JOIN cronwax_crontab_fields() AS n ON (n.place = 3 AND n.field = p.of_month) OR (n.place = 4 AND n.field = p.of_year)
        OR (n.place = 5 AND n.field = p.of_week)
),
-- Of each the days of month and the days of week that it names.
cronwax_by_day AS (
    SELECT n.part AS cronwax_part, c.day AS cronwax_day
    FROM cronwax_calendar AS c JOIN cronwax_numbers AS n ON n.place = 3 AND c.number = n.number
    UNION
    SELECT s.part, c.day FROM cronwax_calendar AS c JOIN cronwax_days_of AS s ON c.number = CASE
        WHEN regexp_matches(s.item, '^LW(/\d+)?$') THEN c.last_workday
        WHEN regexp_matches(s.item, '^L(/\d+)?$') THEN c.last
    END
),
cronwax_by_weekday AS (
    SELECT n.part AS cronwax_part, c.day AS cronwax_day
    FROM cronwax_calendar AS c JOIN cronwax_numbers AS n ON n.place = 5 AND c.weekday = n.number
    UNION
    SELECT s.part, c.day
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
    SELECT n.part AS cronwax_part, c.day AS cronwax_day
    FROM cronwax_calendar AS c JOIN cronwax_numbers AS n ON n.place = 4 AND c.month = n.number
)
SELECT cronwax_m.cronwax_part AS day_part, cronwax_m.cronwax_day AS day
FROM cronwax_months AS cronwax_m
LEFT JOIN cronwax_by_day AS cronwax_d
    ON cronwax_d.cronwax_part = cronwax_m.cronwax_part AND cronwax_d.cronwax_day = cronwax_m.cronwax_day
LEFT JOIN cronwax_by_weekday AS cronwax_w
    ON cronwax_w.cronwax_part = cronwax_m.cronwax_part AND cronwax_w.cronwax_day = cronwax_m.cronwax_day
JOIN cronwax_parts AS f ON f.part = cronwax_m.cronwax_part
WHERE CASE
    WHEN f.of_month LIKE '*%' OR f.of_week LIKE '*%'
        THEN cronwax_d.cronwax_day IS NOT NULL AND cronwax_w.cronwax_day IS NOT NULL
    ELSE cronwax_d.cronwax_day IS NOT NULL OR cronwax_w.cronwax_day IS NOT NULL
END;
COMMENT ON MACRO TABLE crontab_day_parts IS
    'crontab_day_parts(from_day, days): on which days, on the wall, the last three fields of the crontabs in use (in capitals) name.';

CREATE OR REPLACE MACRO crontab_days(from_day, days) AS TABLE
SELECT cronwax_c.schedule, cronwax_d.day
FROM crontab_day_parts(from_day, days) AS cronwax_d
JOIN cronwax_crontabs() AS cronwax_c ON cronwax_c.day_part = cronwax_d.day_part;
COMMENT ON MACRO TABLE crontab_days IS
    'crontab_days(from_day, days): on which days, on the wall, each crontab in use is due.';

CREATE OR REPLACE VIEW schedule_periods AS
WITH counts AS (
    SELECT f.place, f.field, count(*) AS times FROM cronwax_crontab_fields() AS f GROUP BY f.place, f.field
),
years AS (
    SELECT d.day_part, count(*) AS days FROM crontab_day_parts(day_of(event_clock()), 1461) AS d GROUP BY d.day_part
),
crontabs AS (
    SELECT c.schedule, 1461 * 86400 / (n.times * h.times * y.days) AS period_seconds
    FROM cronwax_crontabs() AS c
    JOIN counts AS n ON n.place = 1 AND n.field = c.fields[1]
    JOIN counts AS h ON h.place = 2 AND h.field = c.fields[2]
    JOIN years AS y ON y.day_part = c.day_part
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

-- Monitors of one schedule that wait for the same time are due at the same times: those are worked out once, and what is
-- asked about each monitor, or how many there are, is looked up.
CREATE OR REPLACE MACRO cronwax_due_times() AS TABLE
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
    SELECT m.zone, m.now_at, m.offset_minutes, m.now_at + to_minutes(m.offset_minutes) AS due_at,
        epoch_us(timezone(m.zone, m.now_at + to_minutes(m.offset_minutes))) // 60000000 AS wall
    FROM minutes AS m
),
reached AS (
    SELECT s.*, max(s.wall) OVER (PARTITION BY s.zone ORDER BY s.due_at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
            AS wall_before
    FROM shown AS s
),
walls AS (
    SELECT r.zone, true AS is_fixed, r.due_at, r.offset_minutes, unnest(generate_series(r.wall_before + 1, r.wall)) AS wall
    FROM reached AS r
    WHERE r.offset_minutes >= 0 AND r.wall > r.wall_before
    UNION ALL
    SELECT r.zone, false, r.due_at, r.offset_minutes, r.wall
    FROM reached AS r
    WHERE r.offset_minutes >= 0
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
    SELECT DISTINCT s.schedule, s.zone, w.due_at, 60.0::DOUBLE * w.offset_minutes AS due_in_seconds
    FROM schedules AS s
    JOIN named AS n ON n.schedule = s.schedule
    JOIN walls AS w ON w.zone = s.zone AND w.is_fixed = s.is_fixed AND w.wall = n.wall
),
waiting AS (
    SELECT m.schedule_type, m.schedule, m.timezone, e.next_checkin, c.now_at, count(*) AS environments
    FROM monitor_environments AS e
    JOIN monitors AS m ON m.project_id = e.project_id AND m.slug = e.slug
    CROSS JOIN clock AS c
    WHERE m.status <> 'disabled' AND e.next_checkin IS NOT NULL
    GROUP BY ALL
),
intervals AS (
    SELECT w.*, try_cast(string_split(w.schedule, ' ')[1] AS BIGINT) * CASE string_split(w.schedule, ' ')[2]
            WHEN 'minute' THEN 1 WHEN 'hour' THEN 60 END AS step_minutes
    FROM waiting AS w
    WHERE w.schedule_type = 'interval'
),
later AS (
    SELECT i.*, unnest(generate_series(
            i.next_checkin + to_minutes(i.step_minutes), i.now_at + INTERVAL 1439 MINUTE, to_minutes(i.step_minutes)
        )) AS due_at
    FROM intervals AS i
    WHERE i.step_minutes IS NOT NULL
)
SELECT w.schedule_type, w.schedule, w.timezone, w.next_checkin, w.environments, w.next_checkin AS due_at,
    seconds_between(w.now_at, w.next_checkin) AS due_in_seconds
FROM waiting AS w
WHERE w.next_checkin >= w.now_at AND w.next_checkin < w.now_at + INTERVAL 24 HOUR
UNION ALL
SELECT w.schedule_type, w.schedule, w.timezone, w.next_checkin, w.environments, t.due_at, t.due_in_seconds
FROM waiting AS w
JOIN crontab_times AS t ON t.schedule = w.schedule AND t.zone = w.timezone AND t.due_at > w.next_checkin
WHERE w.schedule_type = 'crontab'
UNION ALL
SELECT l.schedule_type, l.schedule, l.timezone, l.next_checkin, l.environments, l.due_at,
    seconds_between(l.now_at, l.due_at)
FROM later AS l
WHERE l.due_at >= l.now_at;
COMMENT ON MACRO TABLE cronwax_due_times IS
    'Internal: each scheduled time of the 24 hours from the event clock on, one row for all environments of one schedule that wait for the same time (environments: how many).';

CREATE OR REPLACE VIEW due_runs AS
SELECT e.project_id, e.slug, e.environment, m.organization_id, m.name, m.owner, t.due_at,
    t.due_at + to_minutes(coalesce(m.checkin_margin, 1)) AS missed_at, t.due_in_seconds, m.schedule, m.timezone,
    a.event_clock, a.published_at, a.age_seconds
FROM monitor_environments AS e
JOIN monitors AS m ON m.project_id = e.project_id AND m.slug = e.slug
JOIN cronwax_due_times() AS t ON t.schedule_type = m.schedule_type AND t.schedule = m.schedule
    AND t.timezone = m.timezone AND t.next_checkin = e.next_checkin
CROSS JOIN snapshot_age AS a
WHERE m.status <> 'disabled';
COMMENT ON VIEW due_runs IS
    'Each scheduled time of the 24 hours from the event clock on, one row an environment and time. An interval counts from each message: its times after the next one are what they are if every run comes when it is due. A monitor whose time zone DuckDB does not know has only its next one. Disabled monitors are due at no time.';
-- keys of due_runs: project_id, slug, environment, organization_id, name, owner, event_clock, published_at, age_seconds
COMMENT ON COLUMN due_runs.due_at IS 'When it is due.';
COMMENT ON COLUMN due_runs.missed_at IS 'From this minute on it counts as missed.';
COMMENT ON COLUMN due_runs.due_in_seconds IS 'Seconds from the event clock to due_at.';
COMMENT ON COLUMN due_runs.schedule IS 'When the job is due, as in monitors.schedule.';
COMMENT ON COLUMN due_runs.timezone IS 'IANA name of the time zone that the schedule is read in.';

-- Of what is past, the times are those of runs.due_at: only of environments that have both misses and runs ahead of their
-- time, it is looked at what came before.
CREATE OR REPLACE VIEW collisions AS
WITH ahead AS (
    SELECT c.project_id, c.slug, c.environment
    FROM check_ins AS c
    WHERE c.date_added < c.expected_time AND NOT never_began(c.status, c.date_added, c.expected_time)
    INTERSECT
    SELECT c.project_id, c.slug, c.environment
    FROM check_ins AS c
    WHERE c.status IN ('missed', 'unknown')
),
ordered AS (
    SELECT c.project_id, c.slug, c.environment, c.expected_time,
        c.date_added < c.expected_time AND NOT never_began(c.status, c.date_added, c.expected_time) AS is_ahead,
        lag(never_began(c.status, c.date_added, c.expected_time)) OVER by_start AS follows_absence,
        lag(c.date_added) OVER by_start AS absent_at
    FROM check_ins AS c
    SEMI JOIN ahead AS a ON a.project_id = c.project_id AND a.slug = c.slug AND a.environment = c.environment
    WINDOW by_start AS (
        PARTITION BY c.project_id, c.slug, c.environment
        ORDER BY c.date_added, NOT never_began(c.status, c.date_added, c.expected_time), c.check_in_id
    )
),
due AS (
    SELECT c.project_id, c.slug, c.environment, c.expected_time AS due_at
    FROM check_ins AS c
    ANTI JOIN ahead AS a ON a.project_id = c.project_id AND a.slug = c.slug AND a.environment = c.environment
    UNION ALL
    SELECT o.project_id, o.slug, o.environment,
        CASE WHEN o.is_ahead AND o.follows_absence THEN o.absent_at ELSE o.expected_time END
    FROM ordered AS o
),
due_once AS (
    SELECT DISTINCT epoch_us(d.due_at) // 60000000 AS minute, d.project_id, d.slug, d.environment
    FROM due AS d
    WHERE d.due_at < event_clock()
),
past AS (
    SELECT d.minute, count(*) AS due FROM due_once AS d GROUP BY d.minute
),
future AS (
    SELECT epoch_us(t.due_at) // 60000000 AS minute, sum(t.environments)::BIGINT AS due
    FROM cronwax_due_times() AS t
    GROUP BY ALL
),
begun AS (
    SELECT epoch_us(c.date_added) // 60000000 AS minute, count(*) AS began
    FROM check_ins AS c
    WHERE NOT never_began(c.status, c.date_added, c.expected_time)
    GROUP BY ALL
),
ended AS (
    SELECT epoch_us(c.date_updated) // 60000000 AS minute, count(*) AS ended
    FROM check_ins AS c
    WHERE c.status <> 'in_progress' AND NOT never_began(c.status, c.date_added, c.expected_time)
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
