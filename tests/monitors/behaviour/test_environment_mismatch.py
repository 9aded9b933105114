"""A guid that another environment of the monitor knows."""

from __future__ import annotations

import pytest

from tests.monitors.behaviour.job import Job

MISMATCH = [{"type": "CHECKIN_ENVIRONMENT_MISMATCH", "existingEnvironment": "production"}]


@pytest.mark.parametrize("status", ["in_progress", "ok"])
@pytest.mark.parametrize("later", ["in_progress", "ok", "error"])
def test_it_is_refused_whatever_became_of_the_run(status, later):
    job = Job().report(1, status, "a").report(2, later, "a", environment="dev")
    assert job.rejected == MISMATCH
    assert job.all_seen(later, "dev") == []


def test_a_run_that_timed_out_is_known_too():
    job = Job("0 0 * * *", max_runtime=5).begins(0.5, "a").clock(5).ok(6, "a", environment="dev")
    assert job.rejected == MISMATCH


def test_another_guid_is_a_run_of_its_own():
    job = Job().ok(1, "a").ok(2, "b", environment="dev")
    assert job.rejected == []
    assert len(job.all_seen("ok", "dev")) == 1


def test_what_was_due_there_fires_first():
    job = Job("0 0 * * *", max_runtime=1)
    for n in range(51):
        job.begins(n / 100, f"run {n}")
    job.report(
        3.5, "ok", "run 0", environment="dev", clock=3
    )  # by now 51 have timed out, and the first is forgotten
    assert job.rejected == []
    assert len(job.all_seen("timeout")) == 51


def test_what_another_partition_may_still_hold_does_not_fire():
    job = Job("0 0 * * *", max_runtime=1)
    for n in range(51):
        job.begins(n / 100, f"run {n}")
    job.report(3.5, "ok", "run 0", environment="dev", clock=3, source=6)
    assert job.rejected == MISMATCH


def test_many_environments_are_not_asked_one_by_one_and_know_all_the_same():
    job = Job()
    for n in range(40):
        job.ok(1 + n / 10, f"run {n}", environment=f"e{n:02}")
    job.ok(9, "run 7", environment="e30")
    assert job.rejected == [{"type": "CHECKIN_ENVIRONMENT_MISMATCH", "existingEnvironment": "e07"}]
    job.ok(9, "new", environment="e30").ok(9.5, "new", environment="e01")
    assert job.rejected[-1]["existingEnvironment"] == "e30"


def test_after_it_is_deleted_an_environment_knows_nothing():
    job = Job().ok(1, "a").ok(2, "b", environment="dev").delete(3, "production").ok(4, "a", environment="dev")
    assert job.rejected == []
    job.delete(5, "dev").ok(6, "b")
    assert job.rejected == []
