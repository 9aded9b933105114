"""A control resets an environment."""

from __future__ import annotations

from dataflow.monitors.broken import MUTE_MINUTES
from dataflow.monitors.decisions import Decision
from dataflow.monitors.tuning import Tuning
from tests.monitors.behaviour.job import Job, at
from tests.monitors.behaviour.test_broken import BROKEN_AT, failing
from tests.monitors.behaviour.test_flapping import flapping


def test_an_open_incident_is_resolved_and_the_environment_is_active():
    job = Job("*/10 * * * *").error(1, "a").reset(5)
    assert (job.status, job.incidents, job.messages) == ("active", [(1, 5)], ["failed error", "resolved"])
    assert job.journal.incidents[-1].resolving_check_in_id is None
    assert job.journal.notices[-1].guid is None
    assert job.journal.notices[-1].at_us == at(5)


def test_next_times_count_from_the_control():
    job = Job("10 minute").ok(1, "a").reset(5)
    assert (job.next, job.latest, job.status, job.messages) == (15, 16, "active", [])
    assert job.clock(16).missed == [15]


def test_the_row_of_failures_is_empty():
    job = Job(failure_issue_threshold=2).error(1, "a").reset(2).error(3, "b")
    assert job.incidents == []
    assert job.error(4, "c").incidents == [(3, None)]


def test_the_row_of_successes_is_empty():
    job = Job(recovery_threshold=2).error(1, "a").ok(2, "b").reset(3).error(4, "c").ok(5, "d")
    assert job.incidents == [(1, 3), (4, None)]


def test_what_was_due_comes_before_it():
    job = Job("*/10 * * * *").ok(0.5).clock(10)
    job._clock = job._clock + 5
    job.reset(15.5)
    assert job.missed == [10]
    assert job.incidents == [(10, 15.5)]


def test_without_an_environment_all_of_the_monitors_are():
    job = Job().error(1, "a").error(1, "b", environment="dev").reset(2, None)
    assert job.messages == ["failed error", "failed error", "resolved", "resolved"]
    job = Job().error(1, "a").error(1, "b", environment="dev").reset(2, "dev")
    assert (job.status, job.environment("dev").status) == ("error", 0)


def test_runs_in_progress_go_on():
    job = Job("0 0 * * *", max_runtime=5).begins(0.5, "a").error(1, "b").reset(2).clock(5)
    assert job.seen("a").status == "timeout"
    assert job.status == "error"


def test_what_is_held_never_counts():
    job = Job("*/10 * * * *", judged=True).ok(0.5, "z").clock(10).decide(11, Decision.ABNORMAL, 10)
    job.reset(11.5).decide(13, Decision.NORMAL, 13)
    assert (job.status, job.messages, job.missed) == ("active", [], [10])


def test_it_no_longer_flaps_and_what_is_owed_is_sent():
    job = flapping(4).reset(10)
    assert job.messages[4:] == ["resolved"]
    assert job.environment().flapping is None
    job = flapping(4).error(5, "e").reset(10).clock(100)
    assert job.messages[4:] == ["resolved", "resolved"]


def test_the_mute_of_a_broken_monitor_is_lifted():
    end = BROKEN_AT + MUTE_MINUTES + 1
    job = failing().clock(end).reset(end)
    assert not job.environment().is_muted
    assert job.journal.mutes[-1].is_muted is False
    assert job.journal.broken[-1].recovered_at == at(end)
    assert job.status == "active"
    job = failing().reset(50)
    assert job.journal.broken == []


def test_a_mute_of_a_person_stays():
    job = failing().mute(5).clock(BROKEN_AT).reset(BROKEN_AT)
    assert job.environment().is_muted


def test_of_a_disabled_monitor_nothing_fires():
    job = Job("*/10 * * * *", tuning=Tuning()).error(1, "a").change(2, disabled=True).reset(3).clock(50)
    assert (job.status, job.missed) == ("active", [])
