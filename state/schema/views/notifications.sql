-- Whom the notifier has notified of what. notifications has a row an attempt; here attempts are added up.

CREATE OR REPLACE VIEW incident_notifications AS
SELECT n.incident_id, n.message, n.target, n.route, n.does, n.kind, n.project_id, n.slug, n.environment, n.owner, n.title,
    min(n.planned_at) AS planned_at, min(n.answered_at) FILTER (WHERE n.outcome = 'sent') AS notified_at,
    count(*) AS attempts, arg_max(n.outcome, n.attempt) AS outcome, arg_max(n.detail, n.attempt) AS detail,
    seconds_between(min(n.planned_at), min(n.answered_at) FILTER (WHERE n.outcome = 'sent')) AS took_seconds
FROM notifications AS n
GROUP BY n.incident_id, n.message, n.target, n.route, n.does, n.kind, n.project_id, n.slug, n.environment, n.owner,
    n.title;
COMMENT ON VIEW incident_notifications IS
    'Who was notified of an incident, when, and after how many attempts: one row a notification and target. What was in a digest is not named here.';
-- keys of incident_notifications: project_id, slug, environment, incident_id
COMMENT ON COLUMN incident_notifications.message IS 'The notification (notifications.message).';
COMMENT ON COLUMN incident_notifications.target IS 'Who.';
COMMENT ON COLUMN incident_notifications.route IS 'By which route.';
COMMENT ON COLUMN incident_notifications.does IS 'opens, ends, reminds, notes or digest.';
COMMENT ON COLUMN incident_notifications.kind IS 'As in routes.';
COMMENT ON COLUMN incident_notifications.owner IS 'The monitor''s owner, as far as the notifier knew it.';
COMMENT ON COLUMN incident_notifications.title IS 'Its title.';
COMMENT ON COLUMN incident_notifications.planned_at IS 'When it was planned, by the notifier''s clock like all times here.';
COMMENT ON COLUMN incident_notifications.notified_at IS 'When the target had taken it; NULL: it has not.';
COMMENT ON COLUMN incident_notifications.attempts IS 'How often it was tried.';
COMMENT ON COLUMN incident_notifications.outcome IS 'Of the newest attempt, as in notifications.';
COMMENT ON COLUMN incident_notifications.detail IS 'What the target said to that, or why it failed.';
COMMENT ON COLUMN incident_notifications.took_seconds IS 'From planned_at to notified_at, in seconds.';

CREATE OR REPLACE VIEW failing_targets AS
WITH newest AS (
    SELECT n.target, count(*) FILTER (WHERE n.outcome = 'sent') AS sent,
        count(*) FILTER (WHERE n.outcome IN ('failed', 'unknown')) AS failed_attempts,
        count(*) FILTER (WHERE n.outcome IN ('refused', 'expired')) AS given_up,
        max(n.answered_at) FILTER (WHERE n.outcome = 'sent') AS sent_last_at,
        max(n.sent_at) FILTER (WHERE n.outcome <> 'sent') AS failed_last_at,
        arg_max(n.detail, n.sent_at) FILTER (WHERE n.outcome <> 'sent') AS detail,
        arg_max(n.outcome, {'at': n.sent_at, 'attempt': n.attempt}) FILTER (WHERE n.outcome IS NOT NULL) AS newest_outcome
    FROM notifications AS n
    GROUP BY n.target
)
SELECT t.target, t.newest_outcome <> 'sent' AS is_failing, t.sent, t.failed_attempts, t.given_up, t.sent_last_at,
    t.failed_last_at, t.detail
FROM newest AS t
WHERE t.failed_attempts + t.given_up > 0;
COMMENT ON VIEW failing_targets IS 'Targets of which attempts have failed, as far as they are kept: one row each.';
COMMENT ON COLUMN failing_targets.target IS 'The target of the routes file.';
COMMENT ON COLUMN failing_targets.is_failing IS 'True: the newest attempt that was answered failed.';
COMMENT ON COLUMN failing_targets.sent IS 'How many notifications it has taken.';
COMMENT ON COLUMN failing_targets.failed_attempts IS 'How many attempts failed, or were cut off, and were made again.';
COMMENT ON COLUMN failing_targets.given_up IS 'How many notifications were given up.';
COMMENT ON COLUMN failing_targets.sent_last_at IS 'When it took one last.';
COMMENT ON COLUMN failing_targets.failed_last_at IS 'When it was asked last in vain.';
COMMENT ON COLUMN failing_targets.detail IS 'Why that failed.';

CREATE OR REPLACE VIEW notifications_weekly AS
SELECT n.owner, week_of(n.planned_at) AS week, n.project_id, n.slug, n.environment, n.target,
    count(DISTINCT n.message) AS notifications,
    count(DISTINCT n.message) FILTER (WHERE n.does = 'opens') AS openings,
    count(DISTINCT n.message) FILTER (WHERE n.does = 'ends') AS ends,
    count(DISTINCT n.message) FILTER (WHERE n.does = 'reminds') AS reminders,
    count(DISTINCT n.message) FILTER (WHERE n.does = 'digest') AS digests
FROM notifications AS n
WHERE n.outcome = 'sent'
GROUP BY n.owner, week_of(n.planned_at), n.project_id, n.slug, n.environment, n.target;
COMMENT ON VIEW notifications_weekly IS
    'Noise: how many notifications went out in each week, by owner, monitor environment and target. Over other groups: a sum.';
-- keys of notifications_weekly: project_id, slug, environment
COMMENT ON COLUMN notifications_weekly.owner IS 'The monitor''s owner, as far as the notifier knew it; NULL of digests, too.';
COMMENT ON COLUMN notifications_weekly.week IS 'Monday of the week in which they were planned, in UTC.';
COMMENT ON COLUMN notifications_weekly.target IS 'Who was notified.';
COMMENT ON COLUMN notifications_weekly.notifications IS 'How many the target has taken.';
COMMENT ON COLUMN notifications_weekly.openings IS 'How many of them said that something began.';
COMMENT ON COLUMN notifications_weekly.ends IS 'How many that something was over.';
COMMENT ON COLUMN notifications_weekly.reminders IS 'How many reminded of what was still open.';
COMMENT ON COLUMN notifications_weekly.digests IS 'How many stood for several.';
