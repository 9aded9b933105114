"""What `why` says of what the flow has decided: one behaviour a test, from input to sentence."""

from __future__ import annotations

import pytest

from state.errors import StateError
from tests.builders import HOURLY, check_in, control, pulse
from tests.flow.asked import Asked
from tests.flow.memory import run

H = 3600
DAY = 24 * H
FIVE = {"schedule": {"type": "interval", "value": 5, "unit": "minute"}, "max_runtime": 5}
NAMES = {"project_id": 1, "monitor_slug": "m"}


def asked(lines, **settings) -> Asked:
    return Asked(run(lines, **({"rate_limit": 1000} | settings)))


# What counted, and what did not


def test_failures_below_the_threshold_leave_it_active():
    config = HOURLY | {"failure_issue_threshold": 3}
    text = asked([check_in(0, status="error", config=config), pulse(60)]).why()
    assert ": active. Nothing of it has succeeded yet." in text
    assert "1 failure in a row: not yet the threshold, 3." in text


def test_a_success_that_does_not_count_says_which_failure_overrules_it():
    lines = [
        check_in(0, status="in_progress", number=1, config=HOURLY),
        check_in(20, status="error", number=2),
        check_in(40, status="ok", number=1),
    ]
    text = asked(lines).why()
    assert ": error, since 2025-03-03 00:00:20 UTC." in text
    assert "began at 2025-03-03 00:00 UTC ended well." in text
    assert "Its success does not count, because a run that began later (00:00:20) has failed." in text


def test_a_row_has_the_order_in_which_its_failures_counted():
    config = HOURLY | {"failure_issue_threshold": 2, "max_runtime": 10}
    lines = [
        check_in(0, status="in_progress", number=1, config=config),
        check_in(20, status="error", number=2),
        pulse(700),
    ]
    text = asked(lines).why()
    reported = text.index("A run was reported as failed at 2025-03-03 00:00:20 UTC")
    timed_out = text.index("The run that began at 2025-03-03 00:00 UTC had not ended at 2025-03-03 00:10 UTC")
    assert reported < timed_out < text.index("2 failures in a row: the threshold is 2")


def test_an_older_run_that_resolves_is_named_though_a_newer_one_is_going_on():
    lines = [
        check_in(5, status="in_progress", number=1, config=FIVE),
        check_in(299, status="in_progress", number=2),
        pulse(300),
        check_in(330, status="ok", number=1),
        pulse(360),
    ]
    text = asked(lines).why()
    assert ": ok." in text
    assert (
        "and was resolved at 2025-03-03 00:05:30 UTC by the run that began at 2025-03-03 00:00:05 UTC."
        in text
    )
    assert "In progress: a run that began at 2025-03-03 00:04:59 UTC" in text


def test_a_message_that_was_not_sent_says_why():
    lines = [
        check_in(0, number=1, config=HOURLY),
        control(10, "mute", **NAMES, muted=True),
        check_in(20, status="error", number=2),
    ]
    assert "No message was sent about the newest failure: it was muted then." in asked(lines).why()


def test_a_reset_makes_it_active_and_says_who_resolved_the_incident():
    lines = [
        check_in(0, number=1, config=HOURLY),
        check_in(20, status="error", number=2),
        control(600, "reset", **NAMES),
        pulse(660),
    ]
    answers = asked(lines)
    assert ": active." in answers.why()
    assert "was resolved at 2025-03-03 00:10 UTC by a control." in answers.why()
    assert ": error, since 2025-03-03 00:00:20 UTC." in answers.at(599)
    assert ": active." in answers.at(600)
    assert ": ok." in answers.at(19)


# Now is all that the snapshot holds


def test_what_is_newer_than_the_event_clock_is_told():
    lines = {
        "a.jsonl": [check_in(0, number=1, config=HOURLY), check_in(590, status="error", number=2)],
        "b.jsonl": [check_in(0, slug="slow", number=3, config=HOURLY)],
    }
    answers = asked(lines)
    text = answers.why()
    assert "at 2025-03-03 00:09:50 UTC: error, since 2025-03-03 00:09:50 UTC." in text
    assert "The newest message about it: occurrence, 2025-03-03 00:09:50 UTC." in text
    assert ": ok." in answers.at(589)


def test_within_the_clocks_minute_it_says_what_status_says():
    lines = [check_in(0, number=1, config=HOURLY), pulse(60), check_in(95, status="error", number=2)]
    answers = asked(lines)
    ((status,),) = answers.connection.execute("SELECT status FROM monitor_status").fetchall()
    assert status == "error"
    assert "at 2025-03-03 00:01:35 UTC: error, since 2025-03-03 00:01:35 UTC." in answers.why()


# For which time a run stood


def test_a_second_run_of_an_hour_is_an_extra_run():
    lines = [
        check_in(0, number=1, config=HOURLY),
        check_in(H + 5, number=2),
        check_in(H + 1800, number=3),
        pulse(H + 1900),
    ]
    assert (
        "Its newest run was reported as ok at 2025-03-03 01:30 UTC, as an extra run "
        "(the run before began at 2025-03-03 01:00:05 UTC, and the next is due at 2025-03-03 02:00 UTC); "
        "it never reported a start."
    ) in asked(lines).why()


def test_a_run_an_hour_late_is_late_for_the_one_that_was_missed():
    daily = {"schedule": {"type": "crontab", "value": "0 2 * * *"}, "checkin_margin": 5}
    lines = [check_in(0, number=1, config=daily)]
    lines += [check_in(3 * H, status="in_progress", number=2), check_in(3 * H + 60, number=2)]
    text = asked(lines).why()
    assert (
        "Its newest run that ended began at 2025-03-03 03:00 UTC, an hour late for the run of 2025-03-03 02:00 UTC, "
        "which had been missed, and was ok."
    ) in text
    assert "due at 2025-03-04" not in text


def test_an_interval_is_early_for_what_it_was_due_at():
    lines = [check_in(0, number=1, config=FIVE), check_in(180, number=2)]
    assert "2 minutes before it was due at 2025-03-03 00:05 UTC" in asked(lines).why()


def test_a_job_that_only_reports_its_end_is_not_said_to_have_begun_then():
    lines = [check_in(0, number=1, config=HOURLY), check_in(H + 600, number=2)]
    text = asked(lines).why()
    assert "Its newest run was reported as ok at 2025-03-03 01:10 UTC" in text
    assert "; it never reported a start." in text
    assert "that ended began" not in text
    with_duration = [check_in(0, number=1, config=HOURLY), check_in(H + 600, number=2, duration=300)]
    assert "Its newest run that ended began at 2025-03-03 01:05 UTC" in asked(with_duration).why()


# What was changed, and by whom


def test_a_config_that_another_environment_changed_shows_old_value_new_value_and_who():
    lines = [
        check_in(0, number=1, config=HOURLY | {"max_runtime": 30}),
        check_in(600, number=2, environment="staging", config=HOURLY | {"max_runtime": 5}),
        check_in(H, number=3),
    ]
    text = asked(lines).why(environment="production")
    assert (
        "That was changed at 2025-03-03 00:10 UTC by a check-in of environment staging: max_runtime from 30 to 5."
    ) in text


def test_a_change_by_a_control_says_so_and_only_from_then_on():
    lines = [
        check_in(0, number=1, config=HOURLY),
        control(
            600,
            "upsert_monitor",
            **NAMES,
            monitor_config={"schedule": {"type": "interval", "value": 2, "unit": "hour"}},
        ),
        pulse(660),
    ]
    answers = asked(lines)
    change = "That was changed at 2025-03-03 00:10 UTC by a control: schedule from 0 * * * * to every 2 hour."
    assert change in answers.why()
    assert "changed" not in answers.at(599)


@pytest.mark.parametrize(
    ("change", "next_time"),
    [
        ({"schedule": {"type": "interval", "value": 20, "unit": "minute"}}, "00:50"),
        ({"schedule": {"type": "crontab", "value": "*/15 * * * *"}, "timezone": "Asia/Kathmandu"}, "00:45"),
    ],
)
def test_before_and_after_a_change_it_expected_what_the_schedule_said_then(change, next_time):
    lines = [
        check_in(5, number=1, config=HOURLY),
        control(1800, "upsert_monitor", **NAMES, monitor_config=change),
        pulse(1900),
        pulse(5 * H),
    ]
    answers = asked(lines)
    assert "Next it was expected at 2025-03-03 01:00 UTC" in answers.at(1799)
    assert f"Next it was expected at 2025-03-03 {next_time} UTC" in answers.at(1800)


def test_enabled_again_it_expects_what_comes_after_that():
    lines = [
        check_in(5, number=1, config=HOURLY),
        control(600, "set_monitor_status", **NAMES, status="disabled"),
        control(3 * H + 60, "set_monitor_status", **NAMES, status="active"),
        pulse(4 * H + 1800),
    ]
    answers = asked(lines)
    assert "Next it" not in answers.at(700)
    assert "Next it was expected at 2025-03-03 04:00 UTC" in answers.at(3 * H + 120)
    assert "Next it was expected at 2025-03-03 01:00 UTC" in answers.at(599)


# What is gone leaves a trace


def test_a_deleted_monitor_says_when_and_by_what():
    lines = [check_in(0, number=1, config=HOURLY), control(600, "delete_monitor", **NAMES), pulse(660)]
    assert asked(lines).why() == (
        "1/m: deleted at 2025-03-03 00:10 UTC by a control (delete_monitor, checkins.jsonl/0/2). What was known of it "
        "before went with it."
    )


def test_a_deleted_environment_says_so_beside_those_that_are_left():
    lines = [
        check_in(0, number=1, config=HOURLY),
        check_in(1, number=2, environment="dev"),
        control(600, "delete_monitor", **NAMES, environment="dev"),
        pulse(660),
    ]
    text = asked(lines).why()
    assert "1/m, production, at 2025-03-03 00:11 UTC: ok." in text
    assert "1/m, dev: deleted at 2025-03-03 00:10 UTC by a control" in text


def test_a_name_that_is_used_again_after_a_delete_says_both():
    lines = [
        check_in(0, number=1, config=HOURLY),
        control(600, "delete_monitor", **NAMES),
        check_in(1200, number=2, config=HOURLY),
    ]
    text = asked(lines).why()
    assert "An earlier monitor of this name was deleted at 2025-03-03 00:10 UTC by a control" in text
    assert "as set at 2025-03-03 00:20 UTC" in text


def test_one_that_was_never_there_still_says_so():
    with pytest.raises(StateError, match="no check-in of a monitor nope has ever been accepted"):
        asked([check_in(0, number=1, config=HOURLY)]).why("nope")


# What was refused


@pytest.mark.parametrize(
    ("refused", "reason"),
    [
        (
            {"number": 1, "status": "error"},
            "CHECKIN_FINISHED (its id is that of a run that had already ended)",
        ),
        ({"number": 9, "status": "in_progress"}, "CHECKIN_ENVIRONMENT_MISMATCH"),
        ({"status": "great", "number": 5}, "CHECKIN_VALIDATION_FAILED (a field of it is not valid)"),
    ],
)
def test_a_miss_names_the_check_ins_that_were_refused(refused, reason):
    lines = [
        check_in(0, number=1, config=HOURLY),
        check_in(1, status="in_progress", number=9, environment="dev"),
        check_in(H + 9, **refused),
        pulse(H + 120),
    ]
    text = asked(lines).why(environment="production")
    assert "Expected at 2025-03-03 01:00 UTC, it did not come" in text
    assert f"1 check-in that named it was rejected since, the newest at 01:00:09: {reason}" in text


def test_refused_by_the_rate_limit_is_counted_and_the_newest_reason_comes_first():
    lines = [check_in(0, number=1, config=HOURLY)]
    lines += [check_in(10 + n, number=10 + n) for n in range(8)]
    text = asked(lines, rate_limit=6).why()
    assert "3 check-ins that named it were rejected since, the newest at 00:00:17: " in text
    assert (
        "MONITOR_ENVIRONMENT_RATELIMITED (more came within that minute than the rate limit lets in)." in text
    )


def test_what_was_refused_before_the_newest_run_is_not_mentioned():
    lines = [
        check_in(0, number=1, config=HOURLY),
        check_in(30, number=1, status="error"),
        check_in(H, number=2),
    ]
    assert "rejected" not in asked(lines).why()
