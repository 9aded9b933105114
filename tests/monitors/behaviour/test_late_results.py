"""The job reports a run that had been given up."""

from __future__ import annotations

from dataflow.monitors.check_in import MAX_DURATION_MS
from dataflow.monitors.environment import REMEMBERED_GUIDS, fingerprint
from tests.monitors.behaviour.job import Job, Seen, at

TOO_LONG_S = MAX_DURATION_MS // 1000 + 1


def timed_out(**more):
    return Job("0 0 * * *", max_runtime=5, **more).begins(0.5, "a").clock(5)


def test_a_time_out_that_ends_well_stays_one_and_resolves_its_incident():
    job = timed_out().ok(7, "a")
    assert job.seen("a") == Seen("timeout", 0.5, 7, None, None, 390)
    assert (job.status, job.incidents) == ("ok", [(0.5, 0.5)])
    assert job.messages == ["failed timeout", "resolved"]
    assert [(each.verdict, each.noticed_at) for each in job.decided("a")] == [
        ("failure", at(5)),
        ("success", at(7)),
    ]


def test_it_counts_once():
    job = timed_out(recovery_threshold=2).ok(7, "a").ok(8, "a")
    assert job.status == "error"
    assert job.seen("a").updated == 8
    assert job.ok(9, "b").status == "ok"


def test_one_that_ends_badly_does_not_fail_again():
    job = timed_out().error(7, "a")
    assert job.seen("a") == Seen("timeout", 0.5, 7, None, None, 390)
    assert job.messages == ["failed timeout"]
    assert job.ok(8, "a").messages == ["failed timeout", "resolved"]


def test_a_failure_after_it_ended_well_changes_nothing():
    job = timed_out().ok(7, "a").error(8, "a")
    assert (job.status, job.messages) == ("ok", ["failed timeout", "resolved"])


def test_a_late_start_is_ignored():
    job = timed_out().begins(7, "a")
    assert job.seen("a") == Seen("timeout", 0.5, 5, None, None, None)
    assert job.rejected == []


def test_a_success_after_a_later_failure_does_not_count():
    job = timed_out().error(6, "b").ok(7, "a")
    assert job.status == "error"


def test_an_unknown_run_takes_its_result():
    job = Job("0 0 * * *", max_runtime=5).begins(0.5, "a").change(1, disabled=True).clock(7)
    job.change(8, disabled=False)
    assert job.seen("a").status == "unknown"
    job.error(9, "a")
    assert job.seen("a") == Seen("error", 0.5, 9, None, None, 510)
    assert job.incidents == [(0.5, None)]
    job.ok(10, "a")
    assert job.rejected == [{"type": "CHECKIN_FINISHED"}]
    assert job.environment().settled == {}


def test_the_result_of_a_finished_run_is_refused_and_its_start_ignored():
    job = Job().ok(1, "a").begins(2, "a")
    assert job.rejected == []
    job.error(3, "a")
    assert job.rejected == [{"type": "CHECKIN_FINISHED"}]
    assert job.seen("a").status == "ok"


def test_fifty_finished_runs_are_remembered():
    job = Job()
    for n in range(REMEMBERED_GUIDS):
        job.ok(1 + n, f"run {n}")
    job.ok(100, "run 0")
    assert len(job.rejected) == 1
    job.ok(101, "one more").ok(102, "run 0")
    assert len(job.rejected) == 1
    assert job.seen("run 0").began == 102


def test_misses_do_not_push_out_the_jobs_own():
    job = Job("* * * * *").ok(0.5, "a").clock(120)
    assert len(job.missed) > REMEMBERED_GUIDS
    job.ok(121, "a")
    assert job.rejected == [{"type": "CHECKIN_FINISHED"}]


def test_time_outs_do_not_push_out_finished_runs_nor_the_other_way_round():
    job = Job("0 0 * * *", max_runtime=1).ok(0.5, "a")
    for n in range(REMEMBERED_GUIDS):
        job.begins(1 + n / 100, f"run {n}")
    job.clock(3)
    assert len(job.all_seen("timeout")) == REMEMBERED_GUIDS
    for n in range(REMEMBERED_GUIDS):
        job.ok(4 + n / 100, f"other {n}") if n else None
    job.ok(5, "a").ok(5.5, "run 0")
    assert job.rejected == [{"type": "CHECKIN_FINISHED"}]
    assert job.seen("run 0").status == "timeout"
    job.begins(6, "one more").clock(8).begins(9, "run 0")
    assert job.seen("run 0").status == "in_progress"  # forgotten: a new run


def test_the_guid_of_a_miss_is_finished():
    job = Job("*/10 * * * *").ok(0.5, "a").clock(11)
    missed = next(each for each in job.journal.check_in_rows() if each.status == "missed")
    environment = job.environment()
    assert environment.is_finished(missed.check_in_id)
    assert environment.knows(missed.check_in_id)
    assert fingerprint(missed.check_in_id) in environment.prints()


def test_a_guid_across_the_border_of_two_others_is_not_known():
    environment = Job().ok(1, "a").ok(2, "b").environment()
    environment.fold()
    both = environment.finished_prints
    across, second = bytes(8) + both[4:12], bytes(8) + both[8:]
    assert fingerprint(second) == both[8:]
    assert fingerprint(across) not in environment.prints()
    assert not environment.is_finished(across)
    assert environment.is_finished(second)


def test_a_duration_that_is_too_long_is_refused():
    job = Job("0 0 * * *", max_runtime=40320).begins(0.5, "a")
    job.ok(1, "a", duration_s=TOO_LONG_S)
    assert job.rejected == [{"type": "CHECKIN_INVALID_DURATION", "duration": str(1000 * TOO_LONG_S)}]
    assert job.seen("a").status == "in_progress"
    assert job.ok(2, "a", duration_s=TOO_LONG_S - 1).seen("a").status == "ok"


def test_a_late_duration_that_is_too_long_is_refused():
    job = timed_out().ok(7, "a", duration_s=TOO_LONG_S)
    assert len(job.rejected) == 1
    assert job.seen("a").updated == 5


def test_the_nil_guid_is_the_newest_in_progress():
    job = Job().begins(1, "a").begins(2, "b").begins(2, "c").ok(3, "")
    assert (job.seen("c").status, job.seen("a").status) == ("ok", "in_progress")
    job.ok(4, "").ok(5, "")
    assert job.seen("a").status == "ok"
    new = job.ok(6, "").all_seen("ok")[-1]
    assert new.began == 6
    assert len(job.all_seen("ok")) == 4
