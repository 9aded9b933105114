"""Time-outs: a run that takes longer than max_runtime."""

from __future__ import annotations

from tests.monitors.behaviour.job import Job, Seen


def test_a_run_that_does_not_end_times_out():
    job = Job("0 0 * * *", max_runtime=5).begins(0.5).clock(4)
    assert job.seen("a") == Seen("in_progress", 0.5, 0.5, None, 5, None)
    job.clock(5)
    assert job.seen("a") == Seen("timeout", 0.5, 5, None, None, None)
    assert (job.status, job.incidents) == ("error", [(0.5, None)])
    assert job.messages == ["failed timeout"]


def test_a_heartbeat_moves_the_time_out():
    job = Job("0 0 * * *", max_runtime=5).begins(0.5).begins(4.5).clock(8)
    assert job.seen("a") == Seen("in_progress", 0.5, 4.5, None, 9, 240)
    assert job.clock(9).seen("a").status == "timeout"


def test_the_time_out_counts_from_when_the_run_began_not_from_its_message():
    job = Job("0 0 * * *", max_runtime=5).begins(4.5, duration_s=180)
    assert job.seen("a") == Seen("in_progress", 1.5, 4.5, None, 6, 180)


def test_a_run_that_ends_in_time_does_not_time_out():
    job = Job("0 0 * * *", max_runtime=5).begins(0.5).ok(4.5).clock(60)
    assert job.seen("a") == Seen("ok", 0.5, 4.5, None, None, 240)
    assert job.incidents == []


def test_misses_come_before_time_outs_of_the_same_tick():
    job = Job("*/10 * * * *", max_runtime=11, failure_issue_threshold=2).begins(0.5).clock(11)
    assert job.missed == [10]
    assert job.messages == ["failed missed timeout"]


def test_runs_that_time_out_together_count_in_the_order_in_which_they_began():
    job = Job("0 0 * * *", max_runtime=5, failure_issue_threshold=2)
    job.begins(1.8, "b", stamped=0.9).begins(1.9, "a", stamped=0.2).clock(6)
    assert job.incidents == [(0.2, None)]


def test_of_two_that_began_together_the_smaller_guid_is_first():
    job = Job("0 0 * * *", max_runtime=5)
    job.begins(0.5, "b").begins(0.5, "a").clock(5)
    first, second = [notice.guid[-1:] for notice in job.failures]
    assert (first, second) == (b"a", b"b")


def test_each_start_that_never_ends_counts_though_the_next_one_has_begun():
    job = Job("5 minute", max_runtime=10, failure_issue_threshold=3)
    for n, run in enumerate("abcde"):
        job.begins(5 * n + 0.1, run)
    assert job.seen("a").status == "timeout"
    job.clock(21)
    assert job.status == "error"
    assert job.incidents == [(0.1, None)]


def test_the_time_out_of_the_newest_run_sets_the_next_times():
    job = Job("30 minute", max_runtime=5).begins(0.5).clock(5)
    assert job.next == 30
    job = Job("3 minute", max_runtime=5, checkin_margin=9).begins(0.5).clock(5)
    assert job.next == 6  # counted on from what was expected


def test_the_time_out_of_an_older_run_leaves_the_next_times_of_the_newer_one():
    job = Job("2 minute", max_runtime=5, checkin_margin=20).begins(0.5, "a").begins(3.5, "b").clock(5)
    assert job.seen("a").status == "timeout"
    assert job.next == 5


def test_the_time_out_of_a_run_before_one_that_finished_leaves_the_next_times():
    job = Job("2 minute", max_runtime=5, checkin_margin=20).begins(0.5, "a").error(1.5, "b").clock(5)
    assert job.next == 3


def test_one_set_when_it_had_passed_fires_at_the_next_tick():
    job = Job("0 0 * * *", max_runtime=5).clock(20)
    job.begins(20.5, stamped=1.5).clock(20)
    assert job.seen("a").status == "in_progress"
    assert job.clock(21).seen("a") == Seen("timeout", 1.5, 21, None, None, None)


def test_a_late_check_in_meets_the_time_outs_before_the_misses_of_later_minutes():
    job = Job("*/10 * * * *", max_runtime=15, failure_issue_threshold=9).begins(0.5, "a")
    job.report(25.5, "ok", "b", clock=0)
    order = sorted((each.updated, each.status) for each in job.all_seen("missed") + job.all_seen("timeout"))
    assert order == [(11, "missed"), (15, "timeout"), (21, "missed")]


def test_a_run_that_should_have_ended_while_the_monitor_was_disabled_is_unknown():
    job = Job("0 0 * * *", max_runtime=5).begins(0.5, "a").begins(2.5, "b").begins(3.5, "c")
    job.change(4, disabled=True).clock(7).change(7.5, disabled=False).clock(7)
    assert job.seen("a") == Seen("unknown", 0.5, 7.5, None, None, None)
    assert job.seen("b").status == "unknown"
    assert job.seen("c").status == "in_progress"
    assert job.clock(8).seen("c").status == "timeout"
