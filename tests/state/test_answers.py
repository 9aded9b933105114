"""The views and macros, against numbers worked out by hand."""

from __future__ import annotations

import os
import subprocess
from datetime import date

import duckdb
import pytest

from state.publish.publish import SNAPSHOT, Publisher
from state.schema.views import apply_answers
from state.write.writer import StateWriter
from tests.state.answer_rows import START, World, at, minutes
from tests.state.state_rows import check_in, environment, monitor, partition, write

DAY = 24 * 60
WEEK = 7 * DAY


def test_status_of_an_environment_that_is_well_counts_from_the_last_resolution():
    world = World(now=100)
    world.monitor(created_at=at(-500), last_checkin=at(95), next_checkin=at(105), owner="team:1")
    world.incident(10, 20)
    world.incident(40, 50)
    assert world.answer("status, since, last_run, next_expected, overdue_by, owner", "monitor_status") == [
        ("ok", at(50), at(95), at(105), None, "team:1")
    ]


def test_status_of_one_that_never_failed_counts_from_its_creation():
    world = World(now=100)
    world.monitor(created_at=at(-500), next_checkin=at(105))
    assert world.answer("since, open_incident_id", "monitor_status") == [(at(-500), None)]


def test_a_run_within_its_margin_is_overdue_since_it_was_due():
    world = World(now=100)
    world.monitor(next_checkin=at(97), last_checkin=at(90))
    assert world.answer("overdue_by", "monitor_status") == [(minutes(3),)]


def test_a_run_that_is_missed_again_and_again_is_overdue_since_the_first_miss():
    world = World(now=100)
    incident = world.incident(30)
    world.monitor(status="error", last_checkin=at(20), next_checkin=at(110), open_incident_id=incident)
    assert world.answer("status, since, overdue_by, open_incident_id", "monitor_status") == [
        ("error", at(30), minutes(70), incident)
    ]


def test_a_run_that_fails_again_and_again_is_not_overdue():
    world = World(now=100)
    incident = world.incident(30)
    world.monitor(status="error", last_checkin=at(90), next_checkin=at(110), open_incident_id=incident)
    assert world.answer("overdue_by", "monitor_status") == [(None,)]


def test_a_disabled_monitor_is_due_at_no_time():
    world = World(now=100)
    world.monitor(monitor_status="disabled", updated_at=at(80), next_checkin=at(70))
    world.becomes("disabled", 20)
    world.becomes("active", 30)
    world.becomes("disabled", 60)
    assert world.answer("status, since, next_expected, overdue_by", "monitor_status") == [
        ("disabled", at(60), None, None)
    ]


def test_uptime_is_what_lies_outside_incidents_since_the_first_run():
    world = World(now=1_000)
    world.monitor()
    world.check_in(20)
    world.incident(50, 60)
    world.incident(90)
    assert world.uptime("ok, failing, unknown, uptime, incidents", 0, 100) == [
        (minutes(60), minutes(20), minutes(20), 0.75, 2)
    ]


def test_uptime_cuts_incidents_at_the_ends_of_the_time_asked_for():
    world = World(now=1_000)
    world.monitor(created_at=at(-500))
    world.incident(-10, 10)
    world.incident(80, 120)
    world.incident(120, 130)
    assert world.uptime("ok, failing, unknown, incidents", 0, 100) == [
        (minutes(70), minutes(30), minutes(0), 2)
    ]


def test_uptime_ends_at_the_event_clock():
    world = World(now=60)
    world.monitor(created_at=at(-500))
    world.incident(50)
    assert world.uptime("ok, failing", 0, 100) == [(minutes(50), minutes(10))]


def test_uptime_of_a_disabled_monitor_ends_when_it_was_disabled():
    world = World(now=1_000)
    world.monitor(monitor_status="disabled", created_at=at(-500))
    world.becomes("disabled", 40)
    world.incident(30)
    assert world.uptime("ok, failing, unknown", 0, 100) == [(minutes(30), minutes(10), minutes(0))]
    assert world.uptime("ok, failing, unknown, uptime", 50, 100) == [(*[minutes(0)] * 3, None)]


def test_disabled_periods_that_are_over_count_neither_as_up_nor_as_down_nor_as_unknown():
    world = World(now=1_000)
    world.monitor(created_at=at(-500))
    world.check_in(20)
    for disabled, enabled in [(-50, 5), (15, 25), (40, 45), (55, 70)]:
        world.becomes("disabled", disabled)
        world.becomes("active", enabled)
    world.incident(50, 60)  # half of it while disabled
    world.incident(62, 68)  # all of it
    world.incident(90, 95)
    assert world.uptime("ok, failing, unknown, uptime, incidents", 0, 100) == [
        (minutes(80 - 5 - 5 - 15 - 5 - 5), minutes(5 + 5), minutes(20 - 5 - 5), 45 / 55, 2)
    ]


def test_a_status_that_came_out_of_order_leaves_no_period_open():
    world = World(now=1_000)
    world.monitor(created_at=at(-500))
    world.becomes("active", 20)
    world.becomes("disabled", 30)
    assert world.answer("disabled_at, enabled_at", "disabled_periods") == [(at(30), at(30))]
    assert world.uptime("ok", 0, 100) == [(minutes(100),)]


def test_nothing_is_known_of_an_environment_in_which_nothing_has_finished():
    world = World(now=1_000)
    world.monitor(status="active", created_at=at(10))
    world.check_in(20, "in_progress")
    assert world.uptime("ok, unknown, uptime", 0, 100) == [(minutes(0), minutes(100), None)]


def test_an_environment_is_known_before_its_oldest_run_in_the_tables_if_it_was_due():
    world = World(now=1_000)
    world.monitor(created_at=at(-500))
    world.check_in(20, expected_time=at(20))
    assert world.uptime("unknown", 0, 100) == [(minutes(0),)]


def test_environments_of_one_monitor_are_counted_one_by_one():
    world = World(now=1_000)
    world.monitor()
    world.monitor(environment="dev")
    world.incident(50, 60, environment="dev")
    assert world.uptime("environment, failing", 0, 100) == [
        ("dev", minutes(10)),
        ("production", minutes(0)),
    ]


def test_an_incident_lasts_to_its_resolution_or_to_the_event_clock():
    world = World(now=100)
    world.incident(10, 35)
    world.incident(60)
    world.incident(70, 65)
    assert world.answer("starting_timestamp, is_open, lasted", "incident_durations") == [
        (at(10), False, minutes(25)),
        (at(60), True, minutes(40)),
        (at(70), False, minutes(0)),
    ]


def test_recovery_is_counted_in_the_week_of_the_resolution():
    world = World(now=3 * WEEK)
    world.incident(0, 10)
    world.incident(100, 120)
    world.incident(WEEK - 30, WEEK)
    world.incident(2 * WEEK)
    assert world.answer("week, resolved, mttr, longest", "mttr") == [
        (date(2025, 3, 3), 2, minutes(15), minutes(20)),
        (date(2025, 3, 10), 1, minutes(30), minutes(30)),
    ]


def test_time_between_failures_is_counted_in_the_week_of_the_failure():
    world = World(now=3 * WEEK)
    world.incident(10, 20)
    world.incident(50, 60)
    world.incident(160, 170)
    world.incident(WEEK + 170)
    world.incident(5, 6, environment="dev")
    assert world.answer("environment, week, failures, mtbf", "mtbf") == [
        ("dev", date(2025, 3, 3), 1, None),
        ("production", date(2025, 3, 3), 3, minutes(65)),
        ("production", date(2025, 3, 10), 1, minutes(WEEK)),
    ]


def test_weeks_and_spans_do_not_depend_on_the_session_s_time_zone():
    world = World(now=8 * WEEK)
    world.incident(-30, 30)
    world.incident(3 * WEEK, 6 * WEEK)
    before = world.answer("week, mttr", "mttr"), world.answer("lasted", "incident_durations")
    world.connection.execute("SET TimeZone = 'America/New_York'")
    assert before == (world.answer("week, mttr", "mttr"), world.answer("lasted", "incident_durations"))
    assert before[0] == [(date(2025, 3, 3), minutes(60)), (date(2025, 4, 14), minutes(3 * WEEK))]


def test_durations_are_those_of_the_last_week_against_the_four_before():
    world = World(now=5 * WEEK)
    for number in range(1, 101):
        world.check_in(4 * WEEK + number, duration_ms=number * 10)
        world.check_in(number, duration_ms=number * 5)
    world.check_in(-1, duration_ms=10**9)
    world.check_in(4 * WEEK, "timeout", duration_ms=10**9)
    world.check_in(4 * WEEK, "in_progress")
    assert world.answer(
        "runs, p50_ms, p95_ms, max_ms, runs_before, p50_ms_before, trend", "run_durations"
    ) == [(100, 505.0, 950.5, 1000, 100, 252.5, 2.0)]


def test_durations_without_runs_before_have_no_trend():
    world = World(now=60)
    world.check_in(1, duration_ms=7)
    assert world.answer("runs, p50_ms_before, trend", "run_durations") == [(1, None, None)]


def test_durations_can_be_those_of_any_time():
    world = World(now=DAY)
    for minute in (9, 10, 19, 20):
        world.check_in(minute, duration_ms=minute)
    columns = "environment, runs, p50_ms, p95_ms, max_ms"
    assert world.answer(columns, "durations($1, $2)", at(10), at(20)) == [("production", 2, 14.5, 18.55, 19)]


def test_three_incidents_in_a_week_are_flapping():
    world = World(now=WEEK)
    for start in (10, 50, 90):
        world.incident(start, start + 10)
    for start in (-5, 10, 50):
        world.incident(start, start + 10, environment="dev")
    assert world.answer(
        "environment, incidents, failing, longest, first_start, latest_start, is_open", "flapping"
    ) == [("production", 3, minutes(30), minutes(10), at(10), at(90), False)]


def test_what_never_recovered_has_had_no_ok_since():
    world = World(now=100)
    world.monitor(owner="user:7")
    world.incident(10)
    world.check_in(5)
    world.check_in(10, "error")
    world.check_in(20, "missed")
    world.incident(10, environment="recovering")
    world.check_in(10, "error", environment="recovering")
    world.check_in(20, environment="recovering")
    world.incident(10, 20, environment="resolved")
    assert world.answer("environment, lasted, failures, last_run, owner", "never_recovered") == [
        ("production", minutes(90), 2, at(10), "user:7")
    ]


def test_late_starts_are_measured_against_the_expected_time():
    world = World(now=100)
    world.monitor(checkin_margin=5)
    for minute, late in ((10, 0), (20, 1), (30, 2), (40, 4), (50, -0.5)):
        world.check_in(minute + late, expected_time=at(minute))
    world.check_in(60, "missed", expected_time=at(60))
    world.check_in(64, expected_time=at(70))
    assert world.answer("runs, late_runs, p50_late, p95_late, max_late, checkin_margin", "late_starts") == [
        (5, 3, minutes(1), minutes(3.6), minutes(4), 5)
    ]


@pytest.fixture
def hourly():
    world = World(now=600)
    world.monitor(schedule_type="crontab", checkin_margin=5)
    world.check_in(0)
    world.check_in(60, expected_time=at(60))
    return world


def test_a_second_run_for_one_time_is_unexpected(hourly):
    extra = hourly.check_in(61, expected_time=at(120))
    hourly.check_in(120, expected_time=at(120))
    assert hourly.answer("check_in_id, early_by", "unexpected_runs") == [(extra, minutes(59))]


def test_a_late_run_makes_good_for_its_miss(hourly):
    hourly.check_in(120, "missed", expected_time=at(120))
    hourly.check_in(130, expected_time=at(180))
    hourly.check_in(180, expected_time=at(180))
    assert hourly.answer("check_in_id", "unexpected_runs") == []


def test_a_run_whose_clock_is_a_little_fast_is_not_unexpected(hourly):
    hourly.check_in(119.9, expected_time=at(120))
    hourly.check_in(120, "missed", expected_time=at(120))
    hourly.check_in(179.9, expected_time=at(180))
    assert hourly.answer("check_in_id", "unexpected_runs") == []


def test_an_interval_is_counted_from_start_to_start():
    world = World(now=600)
    world.monitor(schedule_type="interval", checkin_margin=5)
    world.check_in(0, date_updated=at(20))
    world.check_in(60, expected_time=at(80), date_updated=at(80))
    extra = world.check_in(100, expected_time=at(140), date_updated=at(101))
    assert world.answer("check_in_id, early_by", "unexpected_runs") == [(extra, minutes(20))]


def test_the_noisiest_is_who_most_was_said_about_in_the_last_week():
    world = World(now=WEEK)
    told = [("loud", "occurrence", "i1")] * 2 + [
        ("loud", "status_change", "i1"),
        ("quiet", "occurrence", "i2"),
    ]
    for minute, (slug, kind, incident) in enumerate(told):
        world.insert(
            "status_changes",
            project_id=1,
            slug=slug,
            environment="production",
            payload_type=kind,
            incident_id=incident,
            created_at=at(minute),
        )
    world.insert("status_changes", project_id=1, slug="old", payload_type="occurrence", created_at=at(-1))
    assert world.rows("FROM noisiest") == [
        (1, "loud", "production", 3, 2, 1, 1, 0.75, at(2)),
        (1, "quiet", "production", 1, 1, 0, 1, 0.25, at(3)),
    ]


def test_errors_are_summed_up_by_type_and_project():
    world = World(now=2 * DAY)
    for minute, project, slug, types in (
        (0, 1, "a", ["MONITOR_NOT_FOUND"]),
        (DAY, 1, "b", ["MONITOR_INVALID_CONFIG", "MONITOR_NOT_FOUND"]),
        (DAY + 1, 1, "a", ["MONITOR_NOT_FOUND"]),
        (5, None, None, ["MALFORMED_MESSAGE"]),
    ):
        world.insert(
            "processing_errors", received_at=at(minute), project_id=project, slug=slug, error_types=types
        )
    assert world.answer("*", "error_summary") == [
        (1, "MONITOR_INVALID_CONFIG", 1, 1, 1, at(DAY), at(DAY), "b"),
        (1, "MONITOR_NOT_FOUND", 3, 2, 2, at(0), at(DAY + 1), "a"),
        (None, "MALFORMED_MESSAGE", 1, 0, 0, at(5), at(5), None),
    ]


def test_a_timeline_tells_everything_in_order():
    world = World(now=100)
    failed = world.check_in(10, "error", duration_ms=5)
    incident = world.incident(10, 20, starting_check_in_id=failed)
    world.check_in(20, expected_time=at(19))
    world.check_in(15, slug="other")
    world.check_in(30)
    of = {"project_id": 1, "slug": "backup", "environment": "production"}
    world.insert("status_changes", **of, payload_type="occurrence", created_at=at(11), incident_id=incident)
    world.insert("processing_errors", **of, received_at=at(12), error_types=["CHECKIN_FINISHED", "OTHER"])
    rows = world.rows(
        "SELECT moment, event, what, duration_ms FROM timeline(1, 'backup', $1, $2)", START, at(30)
    )
    assert rows == [
        (at(10), "check-in", "error", 5),
        (at(10), "incident", "opened", None),
        (at(11), "message", "occurrence", None),
        (at(12), "rejected", "CHECKIN_FINISHED, OTHER", None),
        (at(20), "check-in", "ok", None),
        (at(20), "incident", "resolved", None),
    ]


def test_before_the_clock_has_begun_every_view_answers():
    world = World(now=None)
    world.monitor(next_checkin=at(5))
    world.check_in(1)
    world.incident(1)
    for (name,) in world.rows("SELECT view_name FROM duckdb_views() WHERE NOT internal"):
        world.rows(f"FROM {name}")
    assert world.answer("status, overdue_by", "monitor_status") == [("ok", None)]


def test_every_view_column_and_macro_is_described():
    world = World()
    nameless = world.rows(
        """SELECT view_name FROM duckdb_views() WHERE NOT internal AND comment IS NULL
        UNION ALL SELECT function_name FROM duckdb_functions() WHERE NOT internal AND comment IS NULL
        UNION ALL SELECT table_name || '.' || column_name FROM duckdb_columns()
        WHERE NOT internal AND comment IS NULL"""
    )
    assert nameless == []
    assert len(world.rows("SELECT 1 FROM duckdb_views() WHERE NOT internal")) == 13


def published(folder):
    writer = StateWriter.open(folder)
    write(writer, monitors=[monitor()], monitor_environments=[environment()], partitions=[partition(1)])
    writer.write({"check_ins": [check_in(1)]})
    Publisher(writer, folder, 0, lambda: 0.0).publish(force=True)
    writer.close()
    return folder / SNAPSHOT


def test_the_snapshot_has_them_also_for_who_attaches_it(tmp_path):
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{published(tmp_path)}' AS cron (READ_ONLY)")
        assert connection.execute("SELECT slug, status FROM cron.monitor_status").fetchall() == [
            ("backup", "ok")
        ]
        connection.execute("USE cron")
        assert len(connection.execute("FROM uptime('2025-03-01', '2025-03-04')").fetchall()) == 1


OLD_CLIENT = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1], read_only=True)
views = connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
for (name,) in views:
    connection.execute(f"FROM {name}").fetchall()
connection.execute("FROM timeline(1, 'backup', '2025-03-01', '2025-03-04')").fetchall()
print(connection.execute("SELECT slug, incidents FROM uptime('2025-03-01', '2025-03-04')").fetchall())
"""


def test_an_old_client_reads_them(tmp_path):
    """Only with CRONWAX_TEST_OLD_DUCKDB, an interpreter that has one."""
    interpreter = os.environ.get("CRONWAX_TEST_OLD_DUCKDB")
    if not interpreter:
        pytest.skip("CRONWAX_TEST_OLD_DUCKDB names no interpreter with an old duckdb")
    command = [interpreter, "-c", OLD_CLIENT, str(published(tmp_path))]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (process.stdout, process.stderr) == ("[('backup', 0)]\n", "")


def test_applying_them_again_replaces_them():
    world = World()
    world.monitor()
    world.connection.execute("CREATE OR REPLACE VIEW monitor_status AS SELECT 1 AS nonsense")
    apply_answers(world.connection)
    assert world.answer("slug", "monitor_status") == [("backup",)]


def test_without_the_tables_nothing_is_changed():
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE monitors (slug VARCHAR)")
        with pytest.raises(duckdb.Error):
            apply_answers(connection)
        assert connection.execute(
            "SELECT count(*) FROM duckdb_functions() WHERE NOT internal"
        ).fetchall() == [(0,)]
