"""Failures at ticks that are pending wait for the decision, and successes after them wait with them."""

from __future__ import annotations

from dataflow.monitors.decisions import Decision
from tests.monitors.behaviour.job import Job, at

ABNORMAL, INCIDENT, NORMAL, RECOVERING = (
    Decision.ABNORMAL,
    Decision.INCIDENT,
    Decision.NORMAL,
    Decision.RECOVERING,
)


def pending(**more) -> Job:
    """A job of which a miss (expected at 10) is held since tick 11; ticks from 11 on are pending."""
    return Job("*/10 * * * *", judged=True, **more).ok(0.5, "z").clock(10).decide(11, ABNORMAL, 10)


def test_a_miss_at_a_pending_tick_is_written_down_and_does_not_count():
    job = pending()
    assert (job.missed, job.status, job.next) == ([10], "ok", 20)
    assert (job.incidents, job.messages) == ([], [])
    (decision,) = job.journal.decisions
    assert (decision.counted, decision.noticed_at, decision.verdict) == (None, at(11), "failure")


def test_settled_as_normal_it_counts_as_of_its_tick():
    job = pending().decide(13, NORMAL, 13)
    assert (job.status, job.incidents, job.messages) == ("error", [(10, None)], ["failed missed"])
    (notice,) = job.failures
    assert notice.at_us == at(11)
    assert job.environment().held is None
    assert job.journal.decisions[-1].counted is True


def test_settled_as_an_incident_it_is_unknown_and_counts_for_nothing():
    job = pending().decide(13, INCIDENT, 13, INCIDENT, begin=9)
    (lost,) = job.all_seen("unknown")
    assert (lost.began, lost.updated) == (10, 13)
    assert (job.missed, job.status, job.messages) == ([], "ok", [])
    (loss,) = job.journal.losses.values()
    assert (loss.held, loss.dropped, loss.in_progress) == (1, 1, 0)
    decision = job.journal.decisions[-1]
    assert (decision.counted, decision.system_incident_id is None) == (False, False)


def test_still_pending_it_waits_on():
    job = pending().decide(12, ABNORMAL, 10)
    assert job.environment().held is not None
    job.decide(13, RECOVERING, 11)
    assert job.environment().held is None
    assert job.status == "error"


def test_successes_wait_behind_it_and_count_in_order():
    job = pending().ok(12, "b", clock=11)
    assert (job.status, len(job.environment().held or ())) == ("ok", 2)
    job.decide(13, NORMAL, 13)
    assert job.messages == ["failed missed", "resolved"]
    assert job.incidents == [(10, 12)]
    assert [notice.at_us for notice in job.journal.notices] == [at(11), at(12)]


def test_what_it_says_of_the_last_success_is_as_of_then():
    job = pending().ok(12, "b", clock=11).decide(13, NORMAL, 13)
    (notice,) = job.failures
    assert notice.last_ok_us == at(0.5)
    assert job.environment().last_ok_us == at(12)


def test_a_success_behind_a_lost_failure_counts():
    job = pending(failure_issue_threshold=2).error(5, "x", clock=4)
    job = Job("*/10 * * * *", judged=True).error(0.5, "z").clock(10).decide(11, ABNORMAL, 10)
    job.ok(12, "b", clock=11).decide(13, INCIDENT, 13, INCIDENT, begin=9)
    assert job.incidents == [(0.5, 12)]


def test_what_the_job_reports_as_failed_never_waits():
    job = pending(failure_issue_threshold=2).ok(12, "b", clock=11).error(12.5, "c", clock=11)
    assert job.status == "ok"
    assert [each.run.status for each in job.environment().held or ()] == [3]
    job.error(12.7, "d", clock=11)
    assert job.messages == ["failed error error"]
    job.decide(13, NORMAL, 13)
    assert job.messages == [
        "failed error error"
    ]  # b began after the miss and has succeeded: it does not count
    assert job.journal.decisions[-1].overruled_by == at(12)


def test_a_failure_of_the_job_before_the_held_one_settles_it_counts_with_it():
    job = pending(failure_issue_threshold=2).error(12.5, "c", clock=11).decide(13, NORMAL, 13)
    assert job.messages == ["failed error missed"]


def held_time_out(**more) -> Job:
    job = Job("0 0 * * *", judged=True, max_runtime=5, **more).ok(0.1, "z").begins(0.5, "a").clock(4)
    return job.decide(5, ABNORMAL, 4)


def test_a_held_time_out_that_ends_badly_counts_at_once():
    job = held_time_out().error(6, "a", clock=5)
    assert job.seen("a").status == "timeout"
    assert job.environment().held is None
    assert job.messages == ["failed timeout"]


def test_a_held_time_out_that_ends_well_fails_and_succeeds_if_it_was_one():
    job = held_time_out().ok(6, "a", clock=5)
    assert (job.seen("a").status, job.messages) == ("timeout", [])
    job.decide(7, NORMAL, 7)
    assert job.messages == ["failed timeout", "resolved"]
    assert job.seen("a").status == "timeout"
    assert job.incidents == [(0.5, 0.5)]


def test_a_held_time_out_that_ends_well_is_ok_if_it_was_none():
    job = held_time_out().ok(6, "a", clock=5).decide(7, INCIDENT, 7, INCIDENT, begin=3)
    assert (job.seen("a").status, job.status, job.messages) == ("ok", "ok", [])
    assert job.seen("a").updated == 6
    job.ok(8, "a", clock=7)
    assert job.rejected == [{"type": "CHECKIN_FINISHED"}]
    assert job.environment().last_ok_us == at(0.5)


def test_it_counts_once_as_a_success_though_settled_later():
    job = Job("0 0 * * *", judged=True, max_runtime=5, recovery_threshold=2).error(0.1, "z").begins(0.5, "a")
    job.clock(4).decide(5, ABNORMAL, 4).ok(6, "a", clock=5).decide(7, INCIDENT, 7, INCIDENT, begin=3)
    assert (job.status, job.environment().oks) == ("error", 1)


def test_a_success_that_a_failure_has_let_count_is_not_undone_by_the_time_out():
    job = held_time_out(failure_issue_threshold=2).ok(6, "a", clock=5).error(6.5, "b", clock=5)
    job.decide(7, NORMAL, 7)
    assert (job.status, job.messages) == ("ok", [])
    assert len(job.environment().failures or ()) == 1


def test_it_is_the_same_after_a_restart():
    for verdict, messages in ((NORMAL, ["failed timeout", "resolved"]), (INCIDENT, [])):
        job = held_time_out().restart().ok(6, "a", clock=5).restart().decide(7, verdict, 7, verdict, begin=3)
        assert job.messages == messages


def test_an_end_was_not_lost_before_the_begin_was_received():
    """Whatever the job says of when it began."""
    job = Job("0 0 * * *", judged=True, max_runtime=5).ok(0.5, "z").clock(8)
    job.decide(9, INCIDENT, 9, INCIDENT, begin=7).clock(20).begins(20.5, "a", stamped=6).clock(30)
    assert (job.seen("a").status, job.messages) == ("timeout", ["failed timeout"])


def test_a_miss_in_a_known_incident_is_unknown_at_once():
    job = Job("*/10 * * * *", judged=True).ok(0.5, "z").clock(8)
    job.decide(9, INCIDENT, 9, INCIDENT, begin=7).clock(11)
    assert [each.began for each in job.all_seen("unknown")] == []
    job = Job("*/10 * * * *", judged=True, checkin_margin=5).ok(0.5, "z").clock(10)
    job.decide(12, INCIDENT, 12, INCIDENT, begin=10).clock(15)
    assert [each.began for each in job.all_seen("unknown")] == [10]
    assert (job.status, job.next) == ("ok", 20)
    decision = job.journal.decisions[-1]
    assert (decision.counted, decision.system_incident_id is not None) == (False, True)


def test_runs_in_progress_while_check_ins_are_lost_are_unknown():
    job = Job("0 0 * * *", judged=True, max_runtime=60).begins(0.5, "a").clock(8)
    job.report(8.5, "in_progress", "b", clock=8)
    job.decide(9, INCIDENT, 9, INCIDENT, begin=7)
    assert (job.seen("a").status, job.seen("a").updated) == ("unknown", 9)
    (loss,) = job.journal.losses.values()
    assert loss.in_progress == 2
    job.ok(10, "a", clock=9)
    assert (job.seen("a").status, loss.in_progress) == ("ok", 1)


def test_one_that_began_after_the_tick_goes_on():
    job = Job("0 0 * * *", judged=True, max_runtime=60).clock(8)
    job.report(10.5, "in_progress", "b", clock=9).decide(9, INCIDENT, 9, INCIDENT, begin=7)
    assert job.seen("b").status == "in_progress"


def test_a_check_in_that_depends_on_an_undecided_tick_waits_for_it():
    job = Job("*/10 * * * *", judged=True).ok(0.5, "z").clock(5)
    job.report(12.5, "ok", "b", clock=12)  # the clock of its partition is ahead of the decisions
    assert len(job.journal.check_in_rows()) == 1
    job.restart().clock(20)
    assert job.missed == [10]
    assert job.incidents == [(10, 12.5)]


def test_what_waits_is_applied_at_the_end_of_the_input():
    job = Job("*/10 * * * *", judged=True).ok(0.5, "z").clock(5)
    job.report(12.5, "ok", "b", clock=12).ok(12.6, "c", clock=12)
    job.group.end(job.journal)
    assert job.incidents == [(10, 12.5)]
    assert len(job.all_seen("ok")) == 3


def test_nobody_judges_any_more_what_is_held_counts():
    job = pending()
    job.judged = False
    job.restart().clock(12)
    assert job.messages == ["failed missed"]


def test_once_a_time_out_is_confirmed_nothing_is_held_any_more():
    job = held_time_out().ok(5.5, "y", clock=5, stamped=0.3)
    assert len(job.environment().held or ()) == 2
    job.error(6, "a", clock=5)
    assert job.environment().held is None
    assert job.messages == ["failed timeout"]
