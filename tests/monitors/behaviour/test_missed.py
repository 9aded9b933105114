"""Misses: nothing came by the latest time."""

from __future__ import annotations

import pytest

from dataflow.monitors.due import LATE_MINUTES
from tests.monitors.behaviour.job import PRODUCTION, Job, Seen


def test_a_run_that_does_not_begin_is_missed_a_minute_after_its_time():
    job = Job("*/10 * * * *").ok(0.5).clock(10)
    assert (job.missed, job.status, job.next, job.latest) == ([], "ok", 10, 11)
    job.clock(11)
    assert job.all_seen("missed") == [Seen("missed", 10, 11, 10, None, None)]
    assert (job.status, job.next, job.latest) == ("error", 20, 21)
    assert job.incidents == [(10, None)]
    assert job.messages == ["failed missed"]


def test_the_margin_is_waited_for():
    job = Job("*/10 * * * *", checkin_margin=4).ok(0.5).clock(13)
    assert job.missed == []
    assert job.clock(14).missed == [10]
    assert (job.next, job.latest) == (20, 24)


def test_a_check_in_within_the_margin_is_in_time():
    job = Job("*/10 * * * *", checkin_margin=4).ok(0.5, "a").ok(13.9, "b").clock(23)
    assert job.missed == []
    assert job.seen("b").expected == 10
    assert job.next == 20


def test_a_jump_of_the_clock_is_worked_off_minute_by_minute():
    job = Job("*/10 * * * *", failure_issue_threshold=3).ok(0.5).clock(45)
    assert [(each.began, each.updated) for each in job.all_seen("missed")] == [
        (10, 11),
        (20, 21),
        (30, 31),
        (40, 41),
    ]
    assert job.incidents == [(10, None)]
    assert job.messages == ["failed missed missed missed", "failed missed"]


def test_an_interval_goes_on_counting_from_what_was_expected():
    job = Job("10 minute").ok(3.5).clock(14)
    assert job.missed == [13]
    assert (job.next, job.latest) == (23, 24)
    assert job.clock(34).missed == [13, 23, 33]


def test_an_interval_with_a_margin_longer_than_its_step_skips_what_is_over():
    job = Job("2 minute", checkin_margin=5).ok(0).clock(7)
    assert job.missed == [2]
    assert job.next == 8


def test_without_any_check_in_nothing_is_missed():
    job = Job().clock(100)
    assert job.journal.check_in_rows() == []


def test_a_check_in_after_the_latest_time_meets_what_it_missed_first():
    job = Job("*/10 * * * *").ok(0.5)
    job.report(25.5, "ok", "b", clock=0)  # the clock has not moved yet
    assert [(each.began, each.updated) for each in job.all_seen("missed")] == [(10, 11), (20, 21)]
    assert job.incidents == [(10, 25.5)]
    assert job.messages == ["failed missed", "failed missed", "resolved"]


def test_what_the_partition_had_reached_fires_before_the_message():
    job = Job("*/10 * * * *").ok(0.5)
    job.report(12.5, "ok", "b", stamped=9, clock=12)  # stamped before it was due, but the clock had passed it
    assert job.missed == [10]
    assert job.incidents == [(10, None)]  # it began before the miss, and does not clear it


def test_where_check_ins_come_from_several_partitions_only_ticks_fire():
    job = Job("*/10 * * * *").ok(0.5, source=5)
    job.report(12.5, "ok", "b", stamped=9, clock=12, source=6)
    assert job.missed == []


def test_a_miss_whose_time_was_missed_before_counts_once():
    job = Job("*/10 * * * *", failure_issue_threshold=5).ok(0.5, "a").clock(12)
    assert job.missed == [10]
    job.ok(13, "b", stamped=5, clock=12)  # a late report sets the next time back
    assert job.next == 10
    job.clock(14)
    assert job.missed == [10]
    assert (job.next, job.latest) == (20, 21)


def test_a_deadline_that_had_passed_when_it_was_set_fires_at_the_first_tick_after_the_message():
    job = Job("*/10 * * * *", failure_issue_threshold=9).clock(35)
    job.ok(35.5, "a", stamped=2)
    assert (job.next, job.latest) == (10, 11)
    job.clock(36)
    assert [(each.began, each.updated) for each in job.all_seen("missed")] == [(10, 36)]
    assert job.next == 40


def test_at_most_31_days_are_owed():
    job = Job("0 0 * * *", failure_issue_threshold=100)
    days = 24 * 60
    job.ok(100 * days + 1.5, "a", stamped=0.5, clock=100 * days)
    job.report(100 * days + 1.7, "ok", "b", clock=100 * days)
    first = job.all_seen("missed")[0]
    assert first.began == 1 * days
    assert first.updated == 100 * days + 1 - LATE_MINUTES


def test_a_disabled_monitor_misses_nothing():
    job = Job("*/10 * * * *").ok(0.5).change(5, disabled=True).clock(50)
    assert job.missed == []
    job.change(52, disabled=False)
    assert (job.missed, job.next) == ([], 60)
    assert job.clock(61).missed == [60]


def test_a_miss_says_nothing_more_once_the_environment_is_deleted():
    job = Job("*/10 * * * *").ok(0.5, "a").ok(0.6, "b", environment="dev")
    job.delete(5, PRODUCTION).clock(11)
    assert job.all_seen("missed", PRODUCTION) == []
    assert [each.began for each in job.all_seen("missed", "dev")] == [10]


def test_a_deleted_monitor_is_gone():
    job = Job("*/10 * * * *").ok(0.5).delete(5).clock(50)
    assert job.group.monitors == {}
    assert [row for row in job.journal.check_in_rows() if len(getattr(row, "prefix", ())) > 3] == []


@pytest.mark.parametrize("schedule", ["*/10 * * * *", "10 minute"])
def test_after_a_restart_the_next_miss_fires_all_the_same(schedule):
    job = Job(schedule).ok(0.5).restart().clock(11)
    assert job.missed == [10]


def test_another_schedule_is_expected_from_the_time_of_the_change():
    job = Job("*/10 * * * *").ok(0.5)
    job.change(3, schedule="*/4 * * * *", reschedule=True)
    assert (job.next, job.latest) == (4, 5)
    job.change(3, schedule="*/30 * * * *")  # something else changed
    assert job.next == 4
