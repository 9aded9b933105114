"""Broken monitors: an incident that stays open for 14 days, and is muted 14 days later."""

from __future__ import annotations

import pytest

from dataflow.monitors.broken import BROKEN_FAILURES, BROKEN_MINUTES, MUTE_MINUTES
from dataflow.monitors.journal import BrokenNotice
from dataflow.monitors.times import NO_TIME
from tests.monitors.behaviour.job import START, Job, at

DAY = 24 * 60
BROKEN_AT = 1 + BROKEN_MINUTES


def failing(failures: int = BROKEN_FAILURES, **more) -> Job:
    """A job of which so many runs have failed, from minute 1 on; it is never due."""
    job = Job("0 0 1 1 *", **more).ok(0.1, "z")
    for n in range(1, failures + 1):
        job.error(n, f"run {n}")
    return job


def kinds(job: Job) -> list[str]:
    return [each for each in job.messages if each.startswith("monitor")]


def records(job: Job) -> list[tuple[int, bool, bool]]:
    """When it was found broken, whether it was muted, and whether it has recovered."""
    return [
        (
            round((row.detected_at - at(0)) / 60_000_000),
            row.muted_at is not None,
            row.recovered_at is not None,
        )
        for row in job.journal.broken
    ]


def test_after_fourteen_days_it_is_broken():
    job = failing().clock(BROKEN_AT - 1)
    assert kinds(job) == []
    job.clock(BROKEN_AT)
    assert kinds(job) == ["monitor_broken"]
    assert records(job) == [(BROKEN_AT, False, False)]
    notice = job.journal.notices[-1]
    assert isinstance(notice, BrokenNotice)
    assert (notice.since_us, notice.at_us, notice.guid.strip(b"-")) == (at(1), at(BROKEN_AT), b"run 1")
    assert (notice.name, notice.environment, notice.slug, notice.project_id) == ("M", "production", "m", 1)


def test_three_failures_are_too_few():
    job = failing(BROKEN_FAILURES - 1).clock(BROKEN_AT + 5)
    assert kinds(job) == []
    job.error(BROKEN_AT + 6, "one more")
    assert kinds(job) == ["monitor_broken"]
    assert records(job) == [(BROKEN_AT + 6, False, False)]


def test_a_row_that_opens_the_incident_counts_whole():
    job = failing(failure_issue_threshold=BROKEN_FAILURES).clock(BROKEN_AT)
    assert kinds(job) == ["monitor_broken"]


def test_a_part_of_a_minute_at_the_start_does_not_count():
    job = Job("0 0 1 1 *").ok(0.1, "z")
    for n in range(BROKEN_FAILURES):
        job.error(1.5 + n, f"run {n}")
    assert kinds(job.clock(BROKEN_AT)) == []
    assert kinds(job.clock(BROKEN_AT + 1)) == ["monitor_broken"]


IN_1970 = -float(START)
"""Seconds taken for milliseconds, as a `start_time`."""


def errors_of_1970() -> Job:
    job = Job("0 0 1 1 *")
    for n in range(1, BROKEN_FAILURES + 1):
        job.error(n, f"run {n}", stamped=IN_1970 + n)
    return job


def time_outs_of_1970() -> Job:
    job = Job("0 0 1 1 *")
    for n in range(BROKEN_FAILURES):
        job.begins(n + 1, f"run {n}", stamped=IN_1970 + n)
    return job


def misses_of_1970() -> Job:
    return Job("0 0 * * *").ok(1, "z", stamped=IN_1970)


def a_row_that_begins_in_1970() -> Job:
    job = Job("0 0 1 1 *", failure_issue_threshold=BROKEN_FAILURES).error(0.9, "run 0", stamped=IN_1970)
    for n in range(1, BROKEN_FAILURES):
        job.error(n, f"run {n}")
    return job


@pytest.mark.parametrize(
    "fail", [errors_of_1970, time_outs_of_1970, misses_of_1970, a_row_that_begins_in_1970]
)
def test_it_is_not_broken_since_a_start_time_that_cannot_be_true(fail):
    job = fail().clock(BROKEN_AT - 1)
    assert job.status == "error"
    assert min(began for began, _ in job.incidents) < START * -0.9
    assert kinds(job) == []
    job.clock(BROKEN_AT)
    assert kinds(job) == ["monitor_broken"]
    notice = job.journal.notices[-1]
    assert isinstance(notice, BrokenNotice)
    assert notice.since_us == at(1)


def test_a_failure_that_an_older_release_noted_counts_from_when_the_incident_was_opened():
    job = Job("0 0 1 1 *", failure_issue_threshold=3).error(0.9, "run 0", stamped=IN_1970)
    for failure in job.environment().failures or ():  # this one, and the miss of 1971
        failure.noticed_us = NO_TIME
    assert job.incidents == []
    for n in range(5, 5 + BROKEN_FAILURES):
        job.error(n, f"run {n}")
    assert kinds(job.clock(4 + BROKEN_AT - 1)) == []
    assert kinds(job.clock(4 + BROKEN_AT)) == ["monitor_broken"]


def test_fourteen_days_later_it_is_muted():
    job = failing().clock(BROKEN_AT + MUTE_MINUTES - 1)
    assert not job.environment().is_muted
    job.clock(BROKEN_AT + MUTE_MINUTES)
    assert job.environment().is_muted
    assert kinds(job) == ["monitor_broken", "monitor_muted"]
    assert records(job)[-1] == (BROKEN_AT, True, False)
    (mute,) = job.journal.mutes
    assert (mute.environment, mute.is_muted, mute.is_by_person) == ("production", True, False)
    job.clock(BROKEN_AT + 5 * MUTE_MINUTES)
    assert len(kinds(job)) == 2
    job.error(BROKEN_AT + 5 * MUTE_MINUTES + 1, "x")
    assert job.messages[-1] == "monitor_muted"


def test_a_success_ends_it_and_the_mute():
    end = BROKEN_AT + MUTE_MINUTES + 10
    job = failing().clock(end - 1).ok(end, "good")
    assert kinds(job) == ["monitor_broken", "monitor_muted", "monitor_unmuted"]
    assert job.messages[-1] == "resolved"
    assert records(job)[-1] == (BROKEN_AT, True, True)
    assert not job.environment().is_muted
    assert [(each.is_muted, each.is_by_person) for each in job.journal.mutes] == [
        (True, False),
        (False, False),
    ]


def test_a_success_before_it_is_muted_says_nothing():
    job = failing().clock(BROKEN_AT).ok(BROKEN_AT + 1, "good").clock(BROKEN_AT + MUTE_MINUTES)
    assert kinds(job) == ["monitor_broken"]
    assert records(job)[-1] == (BROKEN_AT, False, True)


def test_a_success_that_does_not_resolve_starts_the_wait_over():
    job = failing(recovery_threshold=2).ok(10, "good").clock(BROKEN_AT)
    assert kinds(job) == []
    for n in range(BROKEN_FAILURES):
        job.error(BROKEN_AT + 1 + n, f"later {n}")
    assert kinds(job) == []
    job.clock(10 + BROKEN_MINUTES)
    assert kinds(job) == ["monitor_broken"]
    notice = job.journal.notices[-1]
    assert isinstance(notice, BrokenNotice)
    assert notice.since_us == at(10)


@pytest.mark.parametrize("how", ["monitor", "environment"])
def test_where_a_person_has_muted_it_it_is_only_recorded(how):
    job = failing()
    job.change(5, muted=True) if how == "monitor" else job.mute(5)
    job.clock(BROKEN_AT + MUTE_MINUTES + 10)
    assert kinds(job) == []
    assert records(job) == [(BROKEN_AT, False, False)]


def test_a_person_who_unmutes_it_has_another_fourteen_days():
    muted = BROKEN_AT + MUTE_MINUTES
    job = failing().clock(muted).mute(muted + 10, False)
    assert not job.environment().is_muted
    job.clock(muted + 9 + MUTE_MINUTES)
    assert kinds(job) == ["monitor_broken", "monitor_muted"]
    job.clock(muted + 10 + MUTE_MINUTES)
    assert kinds(job) == ["monitor_broken", "monitor_muted", "monitor_muted"]


def test_a_mute_that_a_person_confirmed_stays_after_a_success():
    muted = BROKEN_AT + MUTE_MINUTES
    job = failing().clock(muted).mute(muted + 10, True).ok(muted + 20, "good")
    assert job.environment().is_muted
    assert "monitor_unmuted" not in job.messages


def test_before_it_is_broken_a_mute_moves_nothing():
    job = failing().mute(5).mute(6, False).clock(BROKEN_AT)
    assert kinds(job) == ["monitor_broken"]


def test_the_time_while_the_monitor_was_disabled_does_not_count():
    job = failing().change(100, disabled=True).clock(DAY).change(DAY, disabled=False)
    job.clock(BROKEN_AT)
    assert kinds(job) == []
    job.clock(DAY + BROKEN_MINUTES)
    assert kinds(job) == ["monitor_broken"]
    off = DAY + BROKEN_MINUTES
    job.change(off + 1, disabled=True).clock(off + DAY).change(off + DAY, disabled=False)
    job.clock(off + MUTE_MINUTES + 5)
    assert kinds(job) == ["monitor_broken"]
    job.clock(off + DAY + MUTE_MINUTES)
    assert kinds(job) == ["monitor_broken", "monitor_muted"]


def test_disabled_with_too_few_failures_it_waits_for_failures_only():
    job = failing(1).change(100, disabled=True).clock(DAY).change(DAY, disabled=False)
    assert kinds(job.clock(DAY + 2 * BROKEN_MINUTES)) == []


def test_it_goes_on_after_a_restart():
    job = failing().restart().clock(BROKEN_AT).restart().clock(BROKEN_AT + MUTE_MINUTES)
    assert kinds(job) == ["monitor_broken", "monitor_muted"]


def test_a_late_check_in_meets_it():
    job = failing()
    job.report(BROKEN_AT + 2 * MUTE_MINUTES + 400 * DAY, "ok", "late", clock=4)
    assert kinds(job)[:2] == ["monitor_broken", "monitor_muted"]
