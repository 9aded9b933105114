"""Thresholds: when failures open an incident, and when successes resolve it."""

from __future__ import annotations

import pytest

from tests.monitors.behaviour.job import Job


def test_one_failure_opens_an_incident_by_default():
    job = Job().error(0.5)
    assert (job.status, job.incidents, job.messages) == ("error", [(0.5, None)], ["failed error"])


def test_an_incident_starts_at_the_first_failure_of_the_row():
    job = Job(failure_issue_threshold=3).ok(0.5, "a").error(1.5, "b").error(2.5, "c")
    assert (job.status, job.incidents, job.messages) == ("ok", [], [])
    job.error(3.5, "d")
    assert (job.status, job.incidents) == ("error", [(1.5, None)])
    assert job.messages == ["failed error error error"]
    assert job.environment().failures is None


def test_further_failures_are_sent_by_themselves():
    job = Job(failure_issue_threshold=2).error(1, "a").error(2, "b").error(3, "c")
    assert job.messages == ["failed error error", "failed error"]
    assert len(job.incidents) == 1


def test_a_success_ends_the_row():
    job = Job(failure_issue_threshold=2).error(1, "a").ok(2, "b").error(3, "c")
    assert job.incidents == []
    assert job.error(4, "d").incidents == [(3, None)]


def test_a_start_neither_counts_nor_breaks_the_row():
    job = Job(failure_issue_threshold=2).error(1, "a").begins(2, "b").error(3, "c")
    assert job.incidents == [(1, None)]


def test_failures_of_all_kinds_make_the_row():
    job = Job("*/10 * * * *", failure_issue_threshold=3, max_runtime=12)
    job.begins(0.5, "a").clock(12).error(13, "b")
    assert job.messages == ["failed missed timeout error"]
    assert job.incidents == [(10, None)]


def test_a_lower_threshold_takes_the_newest_failures():
    job = Job(failure_issue_threshold=4).error(1, "a").error(2, "b").error(3, "c")
    job.change(3.5, failure_issue_threshold=2).error(4, "d")
    assert job.messages == ["failed error error"]
    assert job.incidents == [(3, None)]


def test_a_success_resolves_at_when_its_run_began():
    job = Job().error(1, "a").begins(2, "b").ok(7, "b")
    assert (job.status, job.incidents) == ("ok", [(1, 2)])
    assert job.messages == ["failed error", "resolved"]
    assert job.environment().incident is None


def test_as_many_successes_in_a_row_as_the_recovery_threshold_resolve():
    job = Job(recovery_threshold=3).error(1, "a").ok(2, "b").ok(3, "c")
    assert (job.status, job.incidents) == ("error", [(1, None)])
    job.ok(4, "d")
    assert (job.status, job.incidents) == ("ok", [(1, 4)])
    assert job.environment().oks == 0


def test_a_failure_begins_the_successes_again():
    job = Job(recovery_threshold=2).error(1, "a").ok(2, "b").error(3, "c").ok(4, "d")
    assert job.status == "error"
    assert job.ok(5, "e").incidents == [(1, 5)]


def test_a_start_does_not_break_the_successes():
    job = Job(recovery_threshold=2).error(1, "a").ok(2, "b").begins(3, "c").ok(4, "d")
    assert job.status == "ok"


def test_a_new_incident_after_a_recovery():
    job = Job(failure_issue_threshold=2).error(1, "a").error(2, "b").ok(3, "c").error(4, "d")
    assert job.status == "ok"
    job.error(5, "e")
    assert job.incidents == [(1, 3), (4, None)]
    assert job.messages == ["failed error error", "resolved", "failed error error"]


def test_the_first_success_makes_an_environment_ok():
    job = Job(recovery_threshold=5).begins(0.5, "a")
    assert job.status == "active"
    assert job.ok(1, "a").status == "ok"


def test_too_few_failures_leave_it_active():
    job = Job(failure_issue_threshold=2).error(1)
    assert job.status == "active"


@pytest.mark.parametrize("muted", ["monitor", "environment"])
def test_where_it_is_muted_failures_are_not_sent_and_recoveries_are(muted):
    job = Job().ok(0.1, "z")
    if muted == "monitor":
        job.change(0.5, muted=True)
    else:
        job.mute(0.5)
    job.error(1, "a").error(2, "b").ok(3, "c")
    assert job.incidents == [(1, 3)]
    assert job.messages == ["resolved"]
    assert [each.message for each in job.decided("a") + job.decided("c")] == ["muted", "sent"]


def test_the_last_success_is_the_newest_that_began():
    job = Job().ok(1, "a").begins(2, "b").ok(3, "c", duration_s=90).ok(4, "b")
    job.error(5, "d")
    (notice,) = job.failures
    assert notice.last_ok_us == job.environment().last_ok_us
    assert (notice.last_ok_us - job.journal.check_in_rows()[1].date_added) == 0


def test_a_message_says_what_the_monitor_was_called_and_asked_for_then():
    job = Job(failure_issue_threshold=1).error(1, trace=b"t" * 16)
    (notice,) = job.failures
    assert (notice.project_id, notice.slug, notice.name, notice.environment) == (1, "m", "M", "production")
    assert (notice.trace_id, notice.status, notice.changes, notice.window_minutes) == (b"t" * 16, 2, 0, 0)
    assert notice.config.schedule == "*/10 * * * *"
    assert notice.incident.starting_guid == notice.guid


def test_incidents_of_other_environments_are_others():
    job = Job().error(1, "a").error(1, "b", environment="dev")
    assert len({row.incident_id for row in job.journal.incidents}) == 2
    assert len({row.fingerprint for row in job.journal.incidents}) == 2
