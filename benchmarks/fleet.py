"""A fleet of monitors and 30 days of what they did, written by DuckDB itself: what is measured is what comes after.

One in ten monitors is flaky and has most failures. Nearly all jobs run once a day, at all minutes and in four time
zones; one in twenty more often. A run begins some seconds late, a few begin minutes late, and one of an interval as
often before its time as after it.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from state.history.history import History, Limits
from state.publish.publish import Publisher
from state.schema.tables.internal import PartitionRow
from state.write.writer import StateWriter

DAYS = 30
START = datetime(2025, 3, 3, tzinfo=UTC)
END = START + timedelta(days=DAYS)

_FLEET = """
    CREATE OR REPLACE TEMP TABLE fleet AS
    WITH drawn AS (
        SELECT range AS i, hash(range, 1) % 1000 AS kind, hash(range, 2) % 60 AS minute, hash(range, 3) % 24 AS hour,
            ['UTC', 'UTC', 'UTC', 'UTC', 'UTC', 'Europe/Vienna', 'America/New_York', 'Asia/Tokyo'][
                1 + (hash(range, 4) % 8)::BIGINT] AS zone
        FROM range(?)
    )
    SELECT i, (i % 500)::UBIGINT AS project_id, 'job-' || i AS slug, minute, hash(i, 5) % 10 = 0 AS is_flaky,
        CASE WHEN kind < 900 THEN zone ELSE 'UTC' END AS zone,
        CASE WHEN kind >= 900 AND kind < 960 THEN 'interval' ELSE 'crontab' END AS schedule_type,
        CASE WHEN kind < 950 THEN 86400 WHEN kind < 990 THEN 3600 ELSE 1800 END AS period_s,
        CASE WHEN kind < 950 THEN hour ELSE 0 END AS hour, kind BETWEEN 800 AND 899 AS is_weekdays,
        CASE
            WHEN kind < 800 THEN minute || ' ' || hour || ' * * *'
            WHEN kind < 900 THEN minute || ' ' || hour || ' * * 1-5'
            WHEN kind < 950 THEN '1 day'
            WHEN kind < 960 THEN '1 hour'
            WHEN kind < 990 THEN minute || ' * * * *'
            ELSE '*/30 * * * *'
        END AS schedule
    FROM drawn"""
_DUE = """
    CREATE OR REPLACE TEMP TABLE due AS
    SELECT f.*, CASE
            WHEN f.period_s < 86400 THEN $day::TIMESTAMPTZ + to_seconds(n * f.period_s)
                + to_minutes(CASE WHEN f.period_s = 3600 THEN f.minute ELSE 0 END::BIGINT)
            ELSE timezone(f.zone, make_timestamp(epoch_us($day::TIMESTAMPTZ))
                + to_minutes((60 * f.hour + f.minute)::BIGINT))
        END AS due_at, hash(f.i, $number, n) AS luck
    FROM fleet AS f, range(48) AS numbers(n)
    WHERE n < 86400 // f.period_s AND NOT (f.is_weekdays AND $number % 7 >= 5)"""
_MADE = """
    CREATE OR REPLACE TEMP TABLE made AS
    WITH judged AS (
        SELECT *, CASE
                WHEN luck % 1000 >= CASE WHEN is_flaky THEN 50 ELSE 1 END THEN 'ok'
                WHEN luck // 1000 % 10 < 5 THEN 'error'
                WHEN luck // 1000 % 10 < 9 THEN 'missed'
                ELSE 'timeout'
            END AS status,
            CASE
                WHEN schedule_type = 'interval' THEN (luck // 10000 % 20)::BIGINT - 10
                WHEN luck // 10000 % 50 = 0 THEN (luck // 1000000 % 1200)::BIGINT
                ELSE (luck // 10000 % 30)::BIGINT
            END AS late_s,
            1 + luck // 100000 % 600 AS took_s
        FROM due
    ),
    begun AS (
        SELECT *, CASE WHEN status = 'missed' THEN due_at ELSE due_at + to_seconds(late_s) END AS date_added FROM judged
    ),
    all_runs AS (
        SELECT project_id, slug, period_s, status, due_at AS expected_time, date_added,
            CASE WHEN status = 'missed' THEN due_at + INTERVAL 1 MINUTE ELSE date_added + to_seconds(took_s::BIGINT) END
                AS date_updated,
            CASE WHEN status IN ('ok', 'error') THEN (1000 * took_s)::BIGINT END AS duration_ms, is_flaky
        FROM begun
        UNION ALL
        SELECT project_id, slug, period_s, 'ok', due_at + to_seconds(period_s), due_at + INTERVAL 10 MINUTE,
            due_at + INTERVAL 12 MINUTE, 120000, is_flaky
        FROM begun
        WHERE status = 'missed' AND luck // 7 % 3 = 0
    )
    SELECT *, uuid() AS check_in_id, uuid() AS resolved_by FROM all_runs WHERE date_added < $end"""
_CHECK_INS = """
    INSERT INTO check_ins BY NAME
    SELECT project_id, slug, 'production' AS environment, check_in_id, status, duration_ms, date_added, date_updated,
        CASE WHEN $number > 0 OR period_s < 86400 THEN expected_time END AS expected_time
    FROM made"""
_INCIDENTS = """
    CREATE OR REPLACE TEMP TABLE failed AS
    SELECT *, md5(check_in_id::VARCHAR) AS incident_id, date_added + to_seconds(period_s) AS resolved_at,
        date_added + to_seconds(period_s) < $end AS is_resolved
    FROM made WHERE status IN ('error', 'missed', 'timeout');
    INSERT INTO incidents BY NAME
    SELECT incident_id, project_id, slug, 'production' AS environment, md5(slug) AS fingerprint,
        check_in_id AS starting_check_in_id, date_added AS starting_timestamp,
        CASE WHEN is_resolved THEN resolved_by END AS resolving_check_in_id,
        CASE WHEN is_resolved THEN resolved_at END AS resolving_timestamp
    FROM failed;
    INSERT INTO run_decisions BY NAME
    SELECT project_id, slug, 'production' AS environment, check_in_id, 'failure' AS verdict, date_added,
        date_updated AS noticed_at, true AS counted, incident_id, 'sent' AS message
    FROM failed
    UNION ALL BY NAME
    SELECT project_id, slug, 'production' AS environment, resolved_by AS check_in_id, 'success' AS verdict,
        resolved_at AS date_added,
        resolved_at AS noticed_at, true AS counted, incident_id, 'sent' AS message
    FROM failed WHERE is_resolved;
    INSERT INTO status_changes BY NAME
    SELECT incident_id || '-1' AS message_id, 'occurrence' AS payload_type, project_id, slug,
        'production' AS environment, incident_id, check_in_id, date_updated AS created_at, '{}' AS payload
    FROM failed
    UNION ALL BY NAME
    SELECT incident_id || '-2' AS message_id, 'status_change' AS payload_type, project_id, slug,
        'production' AS environment, incident_id, resolved_by AS check_in_id, resolved_at AS created_at, '{}' AS payload
    FROM failed WHERE is_resolved"""
_TICKS = """
    INSERT INTO clock_ticks BY NAME
    SELECT $day::TIMESTAMPTZ + to_minutes(range) AS minute, 100 AS volume, 100.0 AS expected, 0.0 AS deviation,
        'normal' AS decision, minute AS decided_at
    FROM range(1440);
    INSERT INTO processing_errors BY NAME
    SELECT uuid() AS error_id, $day::TIMESTAMPTZ + to_seconds(86400 * range // $errors) AS received_at,
        ['MONITOR_NOT_FOUND'] AS error_types, '[]' AS errors, '{}' AS payload, (range % 500)::UBIGINT AS project_id,
        'job-x' || range AS slug, 'checkins' AS topic, 0 AS "partition", range AS "offset",
        'sentry.python/2.' || range % 20 AS sdk
    FROM range($errors)"""
_MONITORS = """
    INSERT INTO monitors BY NAME
    SELECT project_id, (i % 50)::UBIGINT AS organization_id, slug, md5(slug)::UUID AS monitor_id, slug AS name,
        'active' AS status, false AS is_muted, CASE WHEN i % 20 > 0 THEN 'team:' || i % 200 END AS owner,
        schedule_type, schedule, zone AS timezone, $start AS created_at, $start AS updated_at
    FROM fleet;
    INSERT INTO monitor_config_history BY NAME
    SELECT project_id, slug, $start + INTERVAL 12 DAY AS replaced_at, schedule_type, schedule, zone AS timezone,
        'check_in' AS replaced_by, slug AS name, 'team:before' AS owner
    FROM fleet WHERE i % 50 = 7;
    INSERT INTO monitor_status_history BY NAME
    SELECT project_id, slug, $start + to_days((5 + 5 * n)::INTEGER) AS changed_at, ['disabled',
        'active'][1 + n] AS status
    FROM fleet, range(2) AS turns(n) WHERE i % 100 = 9;
    INSERT INTO mute_history BY NAME
    SELECT project_id, slug, '' AS environment, $start + to_days((3 + 4 * n)::INTEGER) AS changed_at, n = 0 AS is_muted,
        true AS is_by_person
    FROM fleet, range(2) AS turns(n) WHERE i % 50 = 11;
    INSERT INTO system_incident_spans BY NAME
    SELECT md5('lost') AS system_incident_id, $start + INTERVAL 9 DAY AS start, start + INTERVAL 1 HOUR AS "end",
        start AS detected_at, "end" AS ended_at, 1 AS volume, 100.0 AS expected"""
_ENVIRONMENTS = """
    INSERT INTO monitor_environments BY NAME
    SELECT * EXCLUDE (due_at, period_s),
        CASE WHEN due_at < $end THEN due_at + to_seconds(period_s) ELSE due_at END AS next_checkin
    FROM (SELECT f.project_id, f.slug, 'production' AS environment,
        CASE WHEN o.incident_id IS NULL THEN 'ok' ELSE 'error' END AS status, o.incident_id AS open_incident_id,
        false AS is_muted, $end AS updated_at, r.last_checkin, false AS is_flapping,
        CASE
            WHEN f.schedule_type = 'interval' THEN date_trunc('minute', r.last_checkin) + to_seconds(f.period_s)
            WHEN f.period_s = 86400
                THEN timezone(f.zone, make_timestamp(epoch_us($end)) + to_minutes((60 * f.hour + f.minute)::BIGINT))
            ELSE $end + to_minutes(CASE WHEN f.period_s = 3600 THEN f.minute ELSE 0 END::BIGINT)
        END AS due_at, f.period_s
    FROM fleet AS f
    LEFT JOIN (
        SELECT project_id, slug, max(date_added) AS last_checkin FROM made WHERE status <> 'missed' GROUP BY ALL
    ) AS r ON r.project_id = f.project_id AND r.slug = f.slug
    LEFT JOIN (
        SELECT project_id, slug, max(incident_id) AS incident_id FROM incidents
        WHERE resolving_timestamp IS NULL GROUP BY ALL
    ) AS o ON o.project_id = f.project_id AND o.slug = f.slug)"""


def write(folder: Path, monitors: int, hot_rows: int = 500_000) -> None:
    """Write the fleet's 30 days into a data folder, most of it in Parquet files, and publish it."""
    writer = StateWriter.open(folder)
    history = History(writer, folder, Limits(hot_rows), time.time)
    connection = writer.connection
    connection.execute(_FLEET, [monitors])
    _run(connection, _MONITORS, start=START)
    for number in range(DAYS):
        _write_day(connection, number, monitors)
        clock_us = round((START + timedelta(days=number + 1)).timestamp() * 1e6)
        position = PartitionRow(topic="checkins", partition=0, position=number + 1, clock=clock_us)
        if number == DAYS - 1:
            _run(connection, _ENVIRONMENTS, end=END)
        writer.write({"partitions": [position]})
        writer.commit()
        while history.maintain() or history.wait():
            pass
    history.close()
    Publisher(writer, folder, 0, time.time).publish(force=True)
    writer.close()


def _write_day(connection: duckdb.DuckDBPyConnection, number: int, monitors: int) -> None:
    day = START + timedelta(days=number)
    for statements in (_DUE, _MADE, _CHECK_INS, _INCIDENTS, _TICKS):
        _run(connection, statements, day=day, number=number, end=END, errors=max(monitors // 100, 1))


def _run(connection: duckdb.DuckDBPyConnection, statements: str, **given: Any) -> None:
    for statement in statements.split(";"):
        connection.execute(
            statement, {name: value for name, value in given.items() if f"${name}" in statement}
        )
