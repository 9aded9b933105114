"""What `why` says that a job has in common with others, with its own past, and with the clocks."""

from __future__ import annotations

from tests.builders import HOURLY, check_in
from tests.flow.asked import Asked
from tests.flow.memory import run

H = 3600
DAY = 24 * H


def asked(lines) -> Asked:
    return Asked(run(lines, rate_limit=1000))


def monday_night(week: int, status: str = "error"):
    at = week * 7 * DAY + 2 * H
    return [check_in(at, status=status, number=100 + week), check_in(at + 600, number=200 + week)]


def test_the_third_incident_on_the_same_night_of_the_week_says_so():
    config = {"schedule": {"type": "interval", "value": 30, "unit": "day"}}
    lines = [check_in(0, number=1, config=config)]
    for week in range(3):
        lines += monday_night(week)
    text = asked(lines[:-1]).why()
    assert "It is the third incident in a row that began on a Monday at about 02:00." in text
    assert "incident in a row" not in asked(lines[:-3]).why()


def test_incidents_at_the_same_hour_of_different_days_say_so():
    config = {"schedule": {"type": "interval", "value": 30, "unit": "day"}}
    lines = [check_in(0, number=1, config=config)]
    for day in range(4):
        lines += [
            check_in(day * DAY + 2 * H, status="error", number=100 + day),
            check_in(day * DAY + 3 * H, number=200 + day),
        ]
    assert "It is the fourth incident in a row that began at about 02:00." in asked(lines[:-1]).why()


def test_jobs_of_a_project_that_stopped_within_half_an_hour_are_named():
    lines = [check_in(0, slug=f"job-{n}", number=n, config=HOURLY) for n in range(1, 6)]
    lines += [check_in(0, slug="elsewhere", number=8, config=HOURLY, project_id=2)]
    lines += [check_in(600 + 300 * n, slug=f"job-{n}", status="error", number=10 + n) for n in range(1, 6)]
    lines += [check_in(1500, slug="elsewhere", status="error", number=18, project_id=2)]
    lines = sorted(lines, key=lambda line: line["ts"])
    text = asked(lines).why("job-3")
    assert (
        "5 jobs of this project stopped within the same half hour, from 2025-03-03 00:15 UTC to 00:35: this one, "
        "job-1, job-2, job-4, job-5."
    ) in text
    assert "of this project" not in asked([line for line in lines if "job-5" not in str(line)][:7]).why(
        "job-1"
    )


def test_an_hour_late_since_the_clocks_were_changed_is_said():
    config = {
        "schedule": {"type": "crontab", "value": "30 4 * * *"},
        "timezone": "Europe/Vienna",
        "checkin_margin": 10,
    }
    lines = [check_in(day * DAY + 3 * H + 1805, number=1 + day, config=config) for day in range(20, 31)]
    text = asked(lines).why()
    assert (
        "Its 4 runs have come about an hour late since the clocks of Europe/Vienna were put forward at "
        "2025-03-30 01:00 UTC (03:00): the job may go by another time zone than its monitor."
    ) in text
    assert "since the clocks" not in asked(lines[:7]).why()


def test_local_times_are_those_of_the_package():
    config = HOURLY | {"timezone": "America/New_York"}
    text = asked([check_in(0, number=1, config=config)]).why()
    assert "2025-03-03 00:00 UTC (2025-03-02 19:00 in America/New_York)" in text


def test_a_job_that_goes_by_local_time_under_a_monitor_in_utc_is_said_to_have_moved_with_the_clocks():
    config = {"schedule": {"type": "crontab", "value": "30 3 * * *"}, "checkin_margin": 90}
    autumn = 237 * DAY  # the 26th of October
    lines = []
    for day in range(-5, 5):
        late = H if day >= 0 else 0
        at = autumn + day * DAY + 3 * H + 1805 + late
        lines.append(check_in(at, number=10 + day, config=config))
    assert (
        "Its 5 runs have come about an hour late since the clocks of Europe/Berlin were put back at "
        "2025-10-26 01:00 UTC"
    ) in asked(lines).why()
