"""A new kind of alarm is one class and one registration: a failure rate, as somebody might add it."""

from __future__ import annotations

import pytest

from dataflow.monitors import counting
from dataflow.monitors.alarms import AlarmPolicy, Alarms
from dataflow.monitors.records import Failure
from tests.monitors.behaviour.job import Job


class FailureRate(AlarmPolicy):
    """Half of the newest ten results have failed."""

    name = "failure_rate"
    sees_every_success = True

    def _note(self, environment, failed):
        records = environment.records = environment.records or {}
        records[self.name] = [*records.get(self.name, []), failed][-10:]
        return sum(records[self.name])

    def on_failure(self, monitor, environment, counted, journal):
        run = counted.run
        if self._note(environment, 1) >= 5 and counted.incident is None:
            counted.opens_at = Failure(run.guid, run.date_added_us, run.status)
            counted.kinds = (run.status,)

    def on_success(self, monitor, environment, counted, journal):
        self._note(environment, 0)


@pytest.fixture
def with_rate(monkeypatch):
    monkeypatch.setattr(counting, "ALARMS", Alarms((*counting.ALARMS.policies, FailureRate())))
    monkeypatch.setattr(counting, "SEES_EVERY_SUCCESS", True)


def alternating(results: int, job: Job) -> Job:
    for n in range(1, results + 1):
        job.report(n, "error" if n % 2 else "ok", f"run {n}")
    return job


@pytest.mark.usefixtures("with_rate")
def test_it_opens_an_incident_that_no_threshold_would():
    job = alternating(9, Job("0 0 * * *", failure_issue_threshold=5).ok(0.5, "z"))
    assert job.incidents == [(9, None)]
    assert job.messages == ["failed error"]


@pytest.mark.usefixtures("with_rate")
def test_its_record_survives_a_restart():
    job = alternating(7, Job("0 0 * * *", failure_issue_threshold=5).ok(0.5, "z")).restart()
    job.error(8, "x")
    assert job.incidents == [(8, None)]


@pytest.mark.usefixtures("with_rate")
def test_a_reset_empties_its_record():
    job = alternating(7, Job("0 0 * * *", failure_issue_threshold=5)).reset(8)
    assert job.environment().records is None


def test_without_it_nothing_is_kept():
    job = alternating(9, Job("0 0 * * *", failure_issue_threshold=5))
    assert (job.incidents, job.environment().records) == ([], None)
