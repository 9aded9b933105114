"""Runs that begin a little before their time: what they count for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow.monitors.check_in import MINUTE_US, NO_MINUTE
from dataflow.monitors.config import MonitorConfig
from dataflow.monitors.times import Microseconds, Minute
from tests.examples import examples

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND_US = 1_000_000
several = settings(deadline=None, max_examples=examples(200))


def us(text: str) -> int:
    return (datetime.fromisoformat(text).replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)


def early_for(schedule: str, began: str, expected: str | None, tolerance_s: float, zone: str = "UTC") -> str:
    """What a run counts for that began then; an empty text if it was not early."""
    config = MonitorConfig("interval" if len(schedule.split()) == 2 else "crontab", schedule, zone)
    expected_minute = us(expected) // MINUTE_US if expected else NO_MINUTE
    found = config.timing().early_for(
        Microseconds(us(began)), Minute(expected_minute), int(tolerance_s * SECOND_US)
    )
    return "" if found == NO_MINUTE else (EPOCH + timedelta(minutes=found)).strftime("%Y-%m-%d %H:%M")


@pytest.mark.parametrize(
    ("began", "expected", "found"),
    [
        ("2025-03-03 00:59:30", "2025-03-03 01:00", "2025-03-03 01:00"),
        ("2025-03-03 00:59:29.999999", "2025-03-03 01:00", ""),
        ("2025-03-03 00:59:59.999999", "2025-03-03 01:00", "2025-03-03 01:00"),
        ("2025-03-03 01:00:00", "2025-03-03 01:00", ""),
        ("2025-03-03 00:59:45", None, "2025-03-03 01:00"),
    ],
)
def test_a_run_counts_for_the_time_that_it_is_early_for(began, expected, found):
    assert early_for("0 * * * *", began, expected, 30) == found


def test_a_second_early_run_counts_for_the_same_time_of_a_crontab():
    assert early_for("0 * * * *", "2025-03-03 00:59:50", "2025-03-03 02:00", 30) == "2025-03-03 01:00"


def test_a_second_early_run_of_an_interval_is_not_early():
    assert early_for("10 minute", "2025-03-03 00:09:45", "2025-03-03 00:20", 30) == ""


def test_a_run_that_is_late_for_its_time_is_not_early_for_the_next():
    assert early_for("*/5 * * * *", "2025-03-03 01:04:50", "2025-03-03 01:00", 30) == ""
    assert early_for("*/5 * * * *", "2025-03-03 01:04:50", "2025-03-03 01:05", 30) == "2025-03-03 01:05"


def test_early_is_never_more_than_half_of_the_gap():
    assert early_for("* * * * *", "2025-03-03 00:00:30", "2025-03-03 00:01", 3600) == "2025-03-03 00:01"
    assert early_for("* * * * *", "2025-03-03 00:00:29", "2025-03-03 00:01", 3600) == ""
    assert early_for("4 minute", "2025-03-03 00:02:00", "2025-03-03 00:04", 3600) == "2025-03-03 00:04"
    assert early_for("4 minute", "2025-03-03 00:01:59", "2025-03-03 00:04", 3600) == ""


def test_the_gap_is_the_one_before_the_time_not_the_usual_one():
    """9:00 and 9:02 a day: before 9:02 a minute is half of the gap, before 9:00 it is the whole tolerance."""
    assert early_for("0,2 9 * * *", "2025-03-03 09:00:45", "2025-03-03 09:02", 600) == ""
    assert early_for("0,2 9 * * *", "2025-03-03 09:01:00", "2025-03-03 09:02", 600) == "2025-03-03 09:02"
    assert early_for("0,2 9 * * *", "2025-03-03 08:50:00", "2025-03-03 09:00", 600) == "2025-03-03 09:00"


def test_a_time_that_the_clocks_skip_is_early_for_the_end_of_the_gap():
    found = early_for("30 2 * * *", "2025-03-09 06:59:45", "2025-03-09 07:00", 30, "America/New_York")
    assert found == "2025-03-09 07:00"


def test_a_calendar_interval_counts_for_what_was_expected():
    assert early_for("1 day", "2025-03-03 11:59:40", "2025-03-03 12:00", 30) == "2025-03-03 12:00"
    assert early_for("1 month", "2025-03-03 11:59:40", None, 30) == ""


LONGER_THAN_A_GAP_HOURS = {
    "* * * * *": 2,
    "*/5 * * * *": 2,
    "0,2,30 * * * *": 3,
    "0 */2 * * *": 6,
    "30 2 * * *": 50,
    "7 0 1 * *": 40 * 24,
}
"""By crontab, how far back at least one time lies, also where the clocks change."""


@several
@given(
    st.sampled_from([*LONGER_THAN_A_GAP_HOURS]),
    st.sampled_from(["UTC", "Europe/Vienna", "Australia/Lord_Howe"]),
    st.integers(us("2025-03-01 00:00"), us("2025-11-30 00:00")),
    st.integers(1, 7200 * SECOND_US),
)
def test_of_a_crontab_it_is_the_nearest_time_within_the_tolerance(schedule, zone, began_us, tolerance_us):
    rule = MonitorConfig("crontab", schedule, zone).timing()
    times = [rule.after(began_us - LONGER_THAN_A_GAP_HOURS[schedule] * 3600 * SECOND_US)]
    while times[-1] * MINUTE_US <= began_us:
        times.append(rule.after(times[-1] * MINUTE_US))
    before, following = times[-2] * MINUTE_US, times[-1] * MINUTE_US
    is_early = following - began_us <= min(tolerance_us, (following - before) / 2)
    assert rule.early_for(began_us, NO_MINUTE, tolerance_us) == (times[-1] if is_early else NO_MINUTE)
    assert rule.early_for(began_us, times[-1], tolerance_us) == (times[-1] if is_early else NO_MINUTE)


@several
@given(
    st.sampled_from(["1 minute", "7 minute", "2 hour", "1 day", "1 month"]),
    st.integers(0, 10**6),
    st.integers(0, 7200 * SECOND_US),
    st.integers(1, 7200 * SECOND_US),
)
def test_of_an_interval_it_is_what_was_expected_or_nothing(schedule, expected, ahead_us, tolerance_us):
    rule = MonitorConfig("interval", schedule).timing()
    gap_us = {"minute": 1, "hour": 60, "day": 1440, "month": 28 * 1440}[schedule.split()[1]] * MINUTE_US
    gap_us *= int(schedule.split()[0])
    is_early = 0 < ahead_us <= min(tolerance_us, gap_us / 2)
    found = rule.early_for(expected * MINUTE_US - ahead_us, expected, tolerance_us)
    assert found == (expected if is_early else NO_MINUTE)
