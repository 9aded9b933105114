"""Views and macros about status, uptime and incidents, against numbers worked out by hand."""

from __future__ import annotations

from datetime import date

from tests.state.answer_rows import World, at, minutes

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


def test_hours_in_which_check_ins_were_lost_are_not_called_good():
    world = World(now=1_000)
    world.monitor(created_at=at(-500))
    world.insert("system_incident_spans", system_incident_id="s", start=at(10), end=at(40))
    world.insert("system_incident_spans", system_incident_id="t", start=at(80))
    world.incident(30, 60)  # which is known, whatever was lost
    assert world.uptime("ok_seconds, failing_seconds, unknown_seconds, blind_seconds", 0, 100) == [
        ((10 + 20) * 60, 30 * 60, (20 + 20) * 60, (20 + 20) * 60)
    ]


def test_an_outage_that_overlaps_another_one_counts_once():
    world = World(now=1_000)
    world.monitor(created_at=at(-500))
    world.incident(10, 40)
    world.incident(30, 50)
    world.incident(60, 55)
    assert world.uptime("failing, incidents", 0, 100) == [(minutes(40), 3)]


def test_uptime_without_a_beginning_begins_at_the_first_run():
    world = World(now=100)
    world.monitor(created_at=at(10))
    world.check_in(20)
    world.incident(50, 60)
    assert world.rows("SELECT ok, failing, unknown FROM uptime(NULL, $1)", at(80)) == [
        (minutes(50), minutes(10), minutes(0))
    ]
    assert world.rows("SELECT ok, unknown FROM uptime($1, NULL)", at(0)) == [(minutes(70), minutes(20))]


def test_days_add_up_to_the_uptime_and_go_to_whoever_owned_the_monitor():
    world = World(now=2 * DAY)
    world.monitor(created_at=at(0), owner="team:new")
    world.check_in(0)
    world.incident(DAY - 60, DAY + 30)
    world.insert(
        "monitor_config_history",
        project_id=1,
        slug="backup",
        replaced_at=at(DAY + 600),
        name="backup",
        owner="team:old",
    )
    world.insert(
        "mute_history", project_id=1, slug="backup", environment="", changed_at=at(DAY), is_muted=True
    )
    columns = "day, days_ago, owner, ok_seconds, failing_seconds, muted_seconds"
    assert world.answer(columns, "uptime_daily") == [
        (date(2025, 3, 3), 2, "team:old", (DAY - 60) * 60, 3600, 0),
        (date(2025, 3, 4), 1, "team:new", (DAY - 600) * 60, 0, (DAY - 600) * 60),
        (date(2025, 3, 4), 1, "team:old", 570 * 60, 1800, 600 * 60),
    ]


def test_a_status_that_came_out_of_order_leaves_no_period_open():
    world = World(now=1_000)
    world.monitor(created_at=at(-500))
    world.becomes("active", 20)
    world.becomes("disabled", 30)
    assert world.answer("began_at, ended_at", "disabled_periods") == [(at(30), at(30))]
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
    world.check_in(4 * WEEK, "in_progress", duration_ms=10**9)
    assert world.answer(
        "runs, p50_ms, p95_ms, max_ms, runs_before, p50_ms_before, trend, timeouts", "run_durations"
    ) == [(100, 505.0, 950.5, 1000, 100, 252.5, 2.0, 0)]


def test_a_time_out_that_ended_later_has_a_duration_and_one_that_never_ended_has_none():
    world = World(now=DAY)
    world.check_in(0, duration_ms=1_000)
    world.check_in(10, "timeout", duration_ms=3_600_000, date_updated=at(70.5))
    world.check_in(20, "timeout", duration_ms=60_000, date_updated=at(50))  # by its only heartbeat
    world.check_in(30, "timeout", date_updated=at(60))
    assert world.answer("runs, max_ms, timeouts", "run_durations") == [(2, 3_600_000, 3)]
    assert world.answer("started_at, duration_seconds", "runs") == [
        (at(0), 1.0),
        (at(10), 3600.0),
        (at(20), None),
        (at(30), None),
    ]


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
