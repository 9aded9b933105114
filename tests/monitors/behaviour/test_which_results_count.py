"""Whether a result counts goes by when runs began, whatever the order of messages and stamps."""

from __future__ import annotations

import pytest

from tests.monitors.behaviour.job import Job, Seen, at


def test_an_older_run_that_fails_after_a_newer_one_has_begun_counts():
    job = Job().ok(0.1, "z").begins(1, "a").begins(2, "b").error(3, "a")
    assert job.incidents == [(1, None)]


def test_an_older_run_that_fails_after_a_newer_one_has_succeeded_does_not_count():
    job = Job().begins(1, "a").begins(2, "b").ok(3, "b").error(4, "a")
    assert (job.status, job.incidents, job.messages) == ("ok", [], [])
    (decision,) = job.decided("a")
    assert (decision.counted, decision.overruled_by, decision.incident_id) == (False, at(2), None)


def test_a_run_that_began_before_a_miss_does_not_clear_it():
    job = Job("*/10 * * * *").ok(0.1, "z").begins(8, "a").clock(11).ok(12, "a")
    assert (job.status, job.incidents) == ("error", [(10, None)])
    (decision,) = job.decided("a")
    assert (decision.counted, decision.overruled_by) == (False, at(10))


def test_a_run_that_began_at_the_time_of_the_miss_clears_it():
    job = Job("*/10 * * * *").ok(0.1, "z").clock(11).ok(12, "a", duration_s=120)
    assert job.incidents == [(10, 10)]


@pytest.mark.parametrize("stamped", [4.9, 5.5])
def test_the_order_of_stamps_does_not_matter(stamped):
    job = Job().error(1, "a").begins(5.5, "b", stamped=5.2).ok(5.6, "b", stamped=stamped)
    assert (job.status, job.incidents) == ("ok", [(1, 5.2)])


def test_a_success_that_comes_late_but_began_later_counts():
    job = Job("*/30 * * * *").error(4, "a").ok(9, "b", stamped=5)
    assert job.incidents == [(4, 5)]


def test_a_failure_that_comes_late_and_began_earlier_does_not_count_after_a_success():
    job = Job().ok(4, "a").error(5, "b", stamped=3)
    assert job.status == "ok"


def test_two_that_began_together_both_count():
    job = Job().ok(4, "a").error(4, "b")
    assert job.status == "error"
    assert job.ok(4, "c").status == "ok"


def test_a_success_that_does_not_count_still_has_succeeded():
    job = Job(failure_issue_threshold=1).begins(1, "a").begins(2, "b").error(3, "c").ok(4, "b").error(5, "a")
    assert job.messages == ["failed error"]  # c only: b does not resolve it, and a is overruled by b
    (decision,) = job.decided("a")
    assert decision.overruled_by == at(2)


def test_a_failure_that_does_not_count_still_has_failed():
    job = Job().begins(1, "a").begins(2, "b").ok(3, "c").error(4, "b").ok(5, "a")
    assert job.status == "ok"
    (decision,) = job.decided("a")
    assert (decision.counted, decision.overruled_by) == (False, at(2))


def test_no_incident_ends_before_it_begins_though_runs_time_out_and_end_well():
    job = Job(failure_issue_threshold=2, recovery_threshold=2, max_runtime=5).ok(0.1, "z")
    job.begins(1, "a").begins(2, "b").begins(3, "c").clock(7).error(7.5, "a")
    job.ok(8, "b").ok(8.5, "c").ok(9, "d")
    for start, end in job.incidents:
        assert end is None or start <= end


def test_a_quiet_success_leaves_no_decision():
    job = Job().ok(1, "a").begins(2, "b").ok(3, "b")
    assert job.journal.decisions == []


def test_what_counted_is_written_down_with_its_incident():
    job = Job(failure_issue_threshold=2).error(1, "a").error(2, "b").ok(3, "c")
    (first,), (second,), (third,) = job.decided("a"), job.decided("b"), job.decided("c")
    (incident_id,) = {row.incident_id for row in job.journal.incidents}
    assert (first.counted, first.incident_id, first.message, first.noticed_at) == (True, None, None, at(1))
    assert (second.counted, second.incident_id, second.message) == (True, incident_id, "sent")
    assert (third.counted, third.incident_id, third.message) == (True, incident_id, "sent")
    assert (first.verdict, third.verdict) == ("failure", "success")


def test_a_miss_says_which_tick_found_it():
    job = Job("*/10 * * * *").ok(0.1).clock(11)
    (decision,) = job.journal.decisions
    assert (decision.noticed_at, decision.counted) == (at(11), True)


# The next times.


def test_the_end_of_a_crontabs_run_leaves_its_next_times_alone():
    job = Job("*/30 * * * *").begins(0.1, "a").ok(30.1, "a", clock=30)
    assert job.next == 30
    job = Job("*/30 * * * *", checkin_margin=5).begins(0.1, "a").error(30.1, "a")
    assert (job.next, job.missed) == (30, [])
    assert job.clock(35).missed == [30]


def test_the_end_of_an_intervals_run_moves_them():
    job = Job("30 minute").begins(0.1, "a").ok(20.1, "a")
    assert job.next == 50


def test_the_failed_end_of_an_intervals_run_moves_them_too():
    job = Job("30 minute").begins(0.1, "a").begins(5.1, "b").error(20.1, "a")
    assert job.next == 50


def test_the_late_end_of_an_intervals_run_moves_them():
    job = Job("30 minute", max_runtime=5).begins(0.1, "a").clock(5).ok(20.1, "a")
    assert job.next == 50
    job = Job("*/30 * * * *", max_runtime=5).begins(0.1, "a").clock(5).ok(20.1, "a")
    assert job.next == 30


def test_an_end_that_changes_the_schedule_counts_from_itself():
    job = (
        Job("*/30 * * * *").begins(0.1, "a").change(10, by="production", schedule="*/12 * * * *").ok(10, "a")
    )
    assert job.next == 12
    job.begins(11, "b").ok(12.5, "b", clock=11)
    assert job.next == 12


@pytest.mark.parametrize(
    ("asked", "following"),
    [
        ({"checkin_margin": 3}, 40),
        ({"timezone": "Asia/Kolkata"}, 30),
        ({"max_runtime": 50}, 20),
        ({"failure_issue_threshold": 3}, 20),
    ],
)
def test_only_schedule_zone_and_margin_move_them(asked, following):
    job = Job("*/20 * * * *", checkin_margin=9).begins(0.1, "a").begins(1, "x", stamped=0.2)
    job.change(20.5, by="production", **{"schedule": "*/20 * * * *", "checkin_margin": 9, **asked})
    job.ok(20.5, "a", clock=20)
    assert job.next == following


def test_a_change_by_a_check_in_of_another_environment_moves_nothing_here():
    job = Job("*/30 * * * *").begins(0.1, "a").begins(0.2, "b", environment="dev")
    job.change(10, by="dev", schedule="*/12 * * * *").ok(10, "b", environment="dev").ok(10, "a")
    assert job.environment("dev").next_minute - job.environment().next_minute == 12 - 30


def test_a_heartbeat_stands_for_the_slot_that_it_reaches():
    job = Job("*/30 * * * *", max_runtime=60).begins(0.1, "a").begins(30.1, "a", clock=30)
    assert job.next == 60


def test_a_message_from_before_the_last_run_moves_nothing():
    job = Job("*/10 * * * *").begins(12, "a").begins(12.5, "b", stamped=3)
    assert job.next == 20


def test_a_failed_one_from_before_the_last_run_moves_nothing_though_it_comes_now():
    job = Job("*/10 * * * *").begins(9, "a").error(10.5, "b", duration_s=120, clock=9)
    assert (job.next, job.environment().last_checkin_us) == (10, at(9))
    job = Job("*/10 * * * *").begins(9, "a").ok(10.5, "b", duration_s=120, clock=9)
    assert (job.next, job.environment().last_checkin_us) == (20, at(9))


def test_reported_together_what_began_first_is_written_down_as_it_began():
    job = Job().ok(5, "a", duration_s=90)
    assert job.seen("a") == Seen("ok", 3.5, 5, None, None, 90)
    assert job.environment().last_checkin_us == at(3.5)
