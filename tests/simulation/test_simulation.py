"""Five thousand monitors for weeks: nobody is woken for a job that ran, and nothing that failed goes untold.

`CRONWAX_TEST_FULL=1 ./run.sh test tests/simulation -s` takes five weeks, day by day, and prints the figures of
docs/anomalies.md. Without it, nine days of a smaller fleet, of which the first seven are alike and only counted.
"""

from __future__ import annotations

import os

import pytest

from dataflow.monitors.volume import VolumeRules
from tests.simulation.fleet import Plan
from tests.simulation.verdict import Verdict, judge
from tests.simulation.watch import watch

FULL = Plan()
SHORT = FULL._replace(
    monitors=3_000,
    days=9,
    alike=range(1, 7),
    outage=FULL.outage._replace(day=7),
    loss=FULL.loss._replace(day=8),
    silent=FULL.silent._replace(day=8, start_minute=17 * 60),
    holiday=FULL.days,
    ramp=range(0),
)

IS_FULL = os.environ.get("CRONWAX_TEST_FULL") == "1"
PLAN, FROM_DAY = (FULL, 0) if IS_FULL else (SHORT, 7)


@pytest.fixture(scope="module")
def verdicts() -> dict[bool, Verdict]:
    """By whether volumes are judged; both watch the same fleet."""
    both, jobs = watch(PLAN, [VolumeRules(), None], FROM_DAY)
    verdicts = [judge(PLAN, watched, jobs, FROM_DAY) for watched in both]
    print(f"\nwith judging volumes: {verdicts[0]}\nwithout: {verdicts[1]}")
    return dict(zip((True, False), verdicts, strict=True))


@pytest.fixture(scope="module")
def judged(verdicts: dict[bool, Verdict]) -> Verdict:
    return verdicts[True]


@pytest.fixture(scope="module")
def unjudged(verdicts: dict[bool, Verdict]) -> Verdict:
    return verdicts[False]


def test_nobody_is_told_of_a_job_that_ran(judged):
    assert judged.false_alarms == 0


def test_without_judging_volumes_thousands_are(unjudged):
    assert unjudged.false_alarms > 1_000


def test_every_failure_that_would_be_told_is_told_or_lies_in_a_system_incident(judged, unjudged):
    assert judged.true_failures == unjudged.true_failures > 400
    assert judged.told + judged.lost == unjudged.told == unjudged.true_failures
    assert judged.lost < judged.true_failures / 50


def test_the_failures_of_a_project_that_falls_silent_are_all_told(judged):
    assert judged.silent_failures > 250
    assert judged.silent_told == judged.silent_failures


def test_nothing_waits_longer_than_the_window(judged, unjudged):
    assert judged.longest_wait <= VolumeRules().window
    assert unjudged.longest_wait == 0


def test_outage_and_loss_are_the_system_incidents(judged):
    found = {day: (start, minutes) for day, start, minutes in judged.system_incidents if day != PLAN.holiday}
    assert set(found) == {PLAN.outage.day, PLAN.loss.day}
    for trouble in (PLAN.outage, PLAN.loss):
        start, minutes = found[trouble.day]
        assert -1 <= trouble.start_minute - start <= 2
        assert minutes is not None
        assert abs(start + minutes - trouble.start_minute - trouble.minutes) <= 2


def test_a_holiday_is_taken_for_a_system_incident_for_minutes_only(judged):
    """A fifth of the check-ins is missing all day: at so small a volume chance makes a third of that at times."""
    of_holiday = [minutes for day, _, minutes in judged.system_incidents if day == PLAN.holiday]
    assert sum(minutes or 1440 for minutes in of_holiday) < 60
