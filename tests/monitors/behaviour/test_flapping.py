"""Flapping: more changes than allowed within the window send one message, then one when it is calm."""

from __future__ import annotations

import pytest

from dataflow.monitors.tuning import Tuning
from tests.monitors.behaviour.job import START, Job, at

TUNING = Tuning(flapping_changes=3, flapping_window_minutes=60)


def flapping(changes: int = 4, **more) -> Job:
    """A job that has changed this often, every minute from minute 1 on, first to error."""
    job = Job("0 0 * * *", tuning=TUNING, **more).ok(0.1, "z")
    for n in range(1, changes + 1):
        job.report(n, "error" if n % 2 else "ok", f"run {n}")
    return job


def test_as_many_changes_as_allowed_are_sent_as_always():
    assert flapping(3).messages == ["failed error", "resolved", "failed error"]


def test_one_more_is_an_occurrence_that_says_so_instead_of_a_recovery():
    job = flapping(4)
    assert job.messages == ["failed error", "resolved", "failed error", "flapping 4"]
    notice = job.failures[-1]
    assert (notice.changes, notice.window_minutes, notice.status, notice.kinds) == (4, 60, 1, ())
    assert job.incidents == [(1, 2), (3, 4)]


def test_one_more_that_opens_an_incident_says_so_in_its_occurrence():
    job = flapping(2).clock(70)  # the first two no longer count by minute 62
    for n in range(71, 76):
        job.report(n, "error" if n % 2 else "ok", f"run {n}")
    assert job.messages[2:] == ["failed error", "resolved", "failed error", "flapping 4"]


def test_while_it_flaps_all_messages_wait():
    job = flapping(4).error(5, "e").error(6, "f").ok(7, "g").error(8, "h")
    assert len(job.messages) == 4
    assert job.environment().is_flapping
    assert [each.message for each in job.decided("e") + job.decided("g")] == ["flapping", "flapping"]
    assert job.incidents[2:] == [(5, 7), (8, None)]


def test_it_is_calm_when_enough_changes_no_longer_count():
    job = flapping(4).clock(60)
    assert len(job.messages) == 4
    job.clock(61)  # the change of minute 1 no longer counts: three are left
    assert job.messages[4:] == ["resolved"]
    assert job.journal.notices[-1].at_us == at(61)
    assert not job.environment().is_flapping
    assert job.environment().flapping is not None


def test_further_changes_make_it_last():
    job = flapping(4).error(30, "e").clock(61)
    assert len(job.messages) == 4
    assert job.clock(62).messages[4:] == ["resolved", "failed error"]


def test_an_incident_that_is_open_when_it_is_calm_is_sent_with_its_newest_failure():
    job = flapping(4).error(5, "e").error(6, "f", trace=b"t" * 16).clock(62)
    assert job.messages[4:] == ["resolved", "failed error"]
    notice = job.failures[-1]
    assert (notice.guid.strip(b"-"), notice.trace_id, notice.at_us) == (b"f", b"t" * 16, at(62))


def test_where_it_is_muted_it_is_not_sent_when_calm():
    job = flapping(4).error(5, "e").mute(6).clock(62)
    assert job.messages[4:] == ["resolved"]


def test_a_muted_environment_does_not_say_that_it_flaps():
    job = Job("0 0 * * *", tuning=TUNING).ok(0.1, "z").mute(0.5)
    for n in range(1, 5):
        job.report(n, "error" if n % 2 else "ok", f"run {n}")
    assert job.messages == ["resolved"]


def test_an_incident_that_began_it_and_is_resolved_meanwhile_is_resolved_when_calm():
    job = Job("0 0 * * *", tuning=Tuning(flapping_changes=2, flapping_window_minutes=60)).ok(0.1, "z")
    job.error(1, "a").ok(2, "b").error(3, "c")
    assert job.messages == ["failed error", "resolved", "flapping 3"]
    job.ok(4, "d").error(5, "e").ok(6, "f").clock(63)
    assert len(job.messages) == 3
    job.clock(64)
    assert job.messages[3:] == ["resolved"]


def test_what_happens_at_the_minute_of_the_calm_comes_after_it():
    job = flapping(4)
    job.report(61.5, "error", "e", clock=4)
    assert job.messages[4:] == ["resolved", "flapping 4"]


def test_a_window_counts_from_each_changes_own_minute():
    job = Job("0 0 * * *", tuning=TUNING).ok(0.1, "z")
    for n, minute in enumerate([1, 20, 40, 61]):
        job.report(minute, "ok" if n % 2 else "error", f"run {n}")
    assert "flapping 4" not in job.messages
    job = Job("0 0 * * *", tuning=TUNING).ok(0.1, "z")
    for n, minute in enumerate([1, 20, 40, 60]):
        job.report(minute, "ok" if n % 2 else "error", f"run {n}")
    assert "flapping 4" in job.messages


def test_it_goes_on_after_a_restart():
    job = flapping(4).restart().error(5, "e").clock(62)
    assert job.messages[4:] == ["resolved", "failed error"]


def test_without_the_setting_nothing_flaps():
    job = Job("0 0 * * *").ok(0.1, "z")
    for n in range(1, 30):
        job.report(n, "error" if n % 2 else "ok", f"run {n}")
    assert job.environment().flapping is None
    assert "flapping" not in " ".join(job.messages)


@pytest.mark.parametrize("enabled", [50, 100])
def test_what_became_calm_while_the_monitor_was_disabled_is_said_at_the_next_tick(enabled):
    job = flapping(4).change(5, disabled=True).clock(enabled).change(enabled + 0.5).clock(enabled + 1)
    assert job.messages[4:] == ([] if enabled == 50 else ["resolved"])
    if enabled == 100:
        assert job.journal.notices[-1].at_us == at(101)


def test_a_late_check_in_meets_the_calm():
    job = flapping(4, failure_issue_threshold=1)
    job.report(1500.5, "ok", "late", clock=4)
    assert job.messages[4] == "resolved"
    assert job.journal.notices[4].at_us == at(61)


def test_the_number_of_old_changes_does_not_grow():
    flapped = flapping(30).clock(200).environment().flapping
    assert flapped is not None
    assert [each - START for each in flapped.changes] == [28, 29, 30]
