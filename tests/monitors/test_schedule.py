from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow.monitors.check_in import MINUTE_US, NO_MINUTE
from dataflow.monitors.config import MonitorConfig
from dataflow.monitors.schedule import (
    LAST_MINUTE,
    CrontabSchedule,
    Schedule,
)
from dataflow.monitors.times import Microseconds, Minute
from state.zones import load_zone, zone_names
from tests.examples import examples

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ZONES = ("UTC", "America/New_York", "Europe/Vienna", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia")
several = settings(deadline=None, derandomize=True, max_examples=examples(200, always=True))


def minute(text: str) -> int:
    return (datetime.fromisoformat(text).replace(tzinfo=UTC) - EPOCH) // timedelta(minutes=1)


def shown(found: int) -> str:
    return (EPOCH + timedelta(minutes=found)).replace(tzinfo=None).isoformat(" ", "minutes")


def schedule(text: str, zone: str | None = None) -> Schedule:
    schedule_type = "interval" if len(text.split()) == 2 else "crontab"
    return MonitorConfig(schedule_type, text, zone).timing()


def after(text: str, reference: str, zone: str | None = None) -> str:
    moment = datetime.fromisoformat(reference).replace(tzinfo=UTC)
    return shown(schedule(text, zone).after(Microseconds((moment - EPOCH) // timedelta(microseconds=1))))


def resume(text: str, anchor: str, tick: str, zone: str | None = None) -> str:
    return shown(schedule(text, zone).resume(Minute(minute(anchor)), Minute(minute(tick))))


def test_a_crontab_is_strictly_after_the_reference() -> None:
    assert after("*/5 * * * *", "2025-03-03 00:04:59.999999") == "2025-03-03 00:05"
    assert after("*/5 * * * *", "2025-03-03 00:05:00") == "2025-03-03 00:10"
    assert after("*/5 * * * *", "2025-03-03 00:05:30") == "2025-03-03 00:10"


def test_a_crontab_is_in_the_time_zone_of_the_monitor() -> None:
    assert after("30 2 * * *", "2025-03-03 00:00") == "2025-03-03 02:30"
    assert after("30 2 * * *", "2025-03-03 00:00", "Europe/Vienna") == "2025-03-03 01:30"
    assert after("30 2 * * *", "2025-03-03 00:00", "Asia/Kathmandu") == "2025-03-03 20:45"
    assert after("0 0 1 * *", "2025-03-03 00:00", "America/New_York") == "2025-04-01 04:00"
    assert after("0 0 * * mon", "2025-03-03 00:00", "Pacific/Apia") == "2025-03-09 11:00"


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        ("1 minute", "2025-01-31 10:21"),
        ("90 minute", "2025-01-31 11:50"),
        ("36 hour", "2025-02-01 22:20"),
        ("1 day", "2025-02-01 10:20"),
        ("2 week", "2025-02-14 10:20"),
        ("1 month", "2025-02-28 10:20"),
        ("2 month", "2025-03-31 10:20"),
        ("1 year", "2026-01-31 10:20"),
    ],
)
def test_an_interval_is_counted_from_the_reference_and_cut_to_the_minute(
    interval: str, expected: str
) -> None:
    assert after(interval, "2025-01-31 10:20:59.5") == expected


def test_a_year_after_a_leap_day_is_the_last_of_february() -> None:
    assert after("1 year", "2024-02-29 10:20") == "2025-02-28 10:20"
    assert after("4 year", "2024-02-29 10:20") == "2028-02-29 10:20"


def test_a_crontab_resumes_at_its_first_time_from_the_tick_on() -> None:
    assert resume("*/10 * * * *", "2025-03-03 00:10", "2025-03-03 00:15") == "2025-03-03 00:20"
    assert resume("*/10 * * * *", "2025-03-03 00:10", "2025-03-03 00:20") == "2025-03-03 00:20"
    assert resume("*/10 * * * *", "2025-03-03 00:10", "2025-03-03 00:21") == "2025-03-03 00:30"


@pytest.mark.parametrize(
    ("interval", "anchor", "tick", "expected"),
    [
        ("10 minute", "2025-03-03 00:10", "2025-03-03 00:15", "2025-03-03 00:20"),
        ("10 minute", "2025-03-03 00:13", "2025-03-03 00:23", "2025-03-03 00:23"),
        ("10 minute", "2025-03-03 00:13", "2025-03-03 00:24", "2025-03-03 00:33"),
        ("1 hour", "2025-03-03 00:13", "2025-03-05 00:14", "2025-03-05 01:13"),
        ("1 day", "2025-03-03 00:13", "2025-03-05 00:13", "2025-03-05 00:13"),
        ("1 day", "2025-03-03 00:13", "2025-03-05 00:14", "2025-03-06 00:13"),
        ("1 week", "2025-03-03 00:13", "2025-03-03 00:14", "2025-03-10 00:13"),
        ("3 month", "2025-01-31 00:13", "2025-08-01 00:00", "2025-10-31 00:13"),
        ("1 year", "2024-02-29 00:13", "2025-03-01 00:00", "2026-02-28 00:13"),
    ],
)
def test_an_interval_resumes_in_whole_steps_from_what_was_expected(
    interval: str, anchor: str, tick: str, expected: str
) -> None:
    assert resume(interval, anchor, tick) == expected


def test_months_are_all_counted_from_the_anchor_so_the_31st_comes_back() -> None:
    assert resume("1 month", "2025-01-31 00:00", "2025-02-15 00:00") == "2025-02-28 00:00"
    assert resume("1 month", "2025-01-31 00:00", "2025-03-15 00:00") == "2025-03-31 00:00"


@pytest.mark.parametrize("interval", ["10 minute", "3 hour", "1 day", "1 week", "1 month", "1 year"])
def test_an_interval_whose_time_is_still_to_come_keeps_it(interval: str) -> None:
    assert resume(interval, "2025-03-03 00:10", "2025-03-03 00:10") == "2025-03-03 00:10"
    assert resume(interval, "2025-03-03 00:10", "2025-03-01 00:00") == "2025-03-03 00:10"


@pytest.mark.parametrize("interval", ["10 minute", "3 hour", "1 day", "1 week", "1 month", "1 year"])
def test_an_interval_without_an_anchor_counts_from_the_tick(interval: str) -> None:
    tick = minute("2025-03-03 00:10")
    assert schedule(interval).resume(NO_MINUTE, Minute(tick)) == schedule(interval).after(
        Microseconds(tick * MINUTE_US)
    )


def test_a_thousand_years_are_jumped_over_in_one() -> None:
    assert resume("1 day", "2025-03-03 00:10", "3025-03-03 00:11") == "3025-03-04 00:10"
    assert resume("1 minute", "2025-03-03 00:10", "3025-03-03 00:11") == "3025-03-03 00:11"


TEXTS = (
    "* * * * *",
    "0 0 29 2 *",
    "30 2 * * *",
    "7 minute",
    "5 hour",
    "1 day",
    "3 week",
    "1 month",
    "1000 year",
)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("zone", ZONES)
def test_from_the_epoch_to_the_end_of_the_calendar_every_time_has_a_next(text: str, zone: str) -> None:
    asked = schedule(text, zone)
    for time in (0, 1, minute("1970-02-01"), minute("2500-01-01"), minute("8999-12-31"), LAST_MINUTE - 1):
        assert time < asked.after(Microseconds(time * MINUTE_US)) <= LAST_MINUTE
        assert time <= asked.resume(Minute(0), Minute(time)) <= LAST_MINUTE
        assert time <= asked.resume(NO_MINUTE, Minute(time)) <= LAST_MINUTE


@pytest.mark.parametrize("text", TEXTS)
def test_what_would_come_after_the_end_of_the_calendar_is_said_to_come_then(text: str) -> None:
    asked = schedule(text, "America/New_York")
    assert asked.after((LAST_MINUTE + 10) * MINUTE_US) == LAST_MINUTE
    assert asked.resume(LAST_MINUTE - 1, LAST_MINUTE + 10) == LAST_MINUTE


def test_monitors_with_the_same_schedule_and_zone_share_it() -> None:
    one = MonitorConfig("crontab", "0 0 * * *", None, checkin_margin=3)
    other = MonitorConfig("crontab", "0 0 * * *", "UTC", max_runtime=3)
    assert one.timing() is other.timing()
    assert one.timing() is not MonitorConfig("crontab", "0 0 * * *", "Europe/Vienna").timing()


@pytest.mark.parametrize(
    "config",
    [
        MonitorConfig("crontab", "* * * *"),
        MonitorConfig("crontab", "* * * * *", "Nowhere/Land"),
        MonitorConfig("interval", "5 fortnights"),
        MonitorConfig("interval", "fortnight"),
        MonitorConfig("weekly", "1 week"),
    ],
)
def test_what_never_was_a_valid_config_has_no_schedule(config: MonitorConfig) -> None:
    with pytest.raises((ValueError, KeyError)):
        config.timing()


def test_every_zone_can_be_loaded() -> None:
    assert len(zone_names()) > 500
    for name in sorted(zone_names()):
        assert load_zone(name).key == name


def test_threads_that_share_a_schedule_get_the_answers_of_one_alone() -> None:
    times = [minute("2025-03-03") + 37 * number for number in range(400)]
    alone = [
        schedule("*/5 8-17 * * 1-5", "Europe/Vienna").after(Microseconds(time * MINUTE_US)) for time in times
    ]
    shared = schedule("*/5 8-17 * * mon-fri", "Europe/Vienna")
    with ThreadPoolExecutor(8) as threads:
        rounds = [
            threads.submit(lambda: [shared.after(Microseconds(time * MINUTE_US)) for time in times])
            for _ in range(8)
        ]
        assert [done.result() for done in rounds] == [alone] * 8


CRONTABS = (
    "* * * * *",
    "*/7 * * * *",
    "30 * * * *",
    "30 1 * * *",
    "15,45 */3 * * *",
    "0 2 * * 0",
    "17 3 1 * *",
)
INTERVALS = ("1 minute", "45 minute", "5 hour", "1 day", "10 day", "1 week", "1 month", "5 month", "1 year")
times = st.integers(minute("2010-01-01") * MINUTE_US, minute("2040-01-01") * MINUTE_US)
schedules = st.builds(schedule, st.sampled_from(CRONTABS + INTERVALS), st.sampled_from(ZONES))
crontabs = st.builds(schedule, st.sampled_from(CRONTABS), st.sampled_from(ZONES))
intervals = st.builds(schedule, st.sampled_from(INTERVALS), st.sampled_from(ZONES))


@several
@given(schedules, times)
def test_the_next_time_is_strictly_after_the_reference(asked: Schedule, time_us: int) -> None:
    assert asked.after(Microseconds(time_us)) * MINUTE_US > time_us - time_us % MINUTE_US


@several
@given(crontabs, times)
def test_the_next_time_of_a_crontab_is_after_the_reference_to_the_microsecond(
    asked: Schedule, time_us: int
) -> None:
    assert asked.after(Microseconds(time_us)) * MINUTE_US > time_us


@several
@given(crontabs, times, st.integers(0, 10_000))
def test_the_next_time_holds_until_it_comes(asked: Schedule, time_us: int, later_minutes: int) -> None:
    following = asked.after(Microseconds(time_us))
    later_us = min(time_us + later_minutes * MINUTE_US, following * MINUTE_US - 1)
    assert asked.after(Microseconds(later_us)) == following


@several
@given(crontabs, times, times)
def test_a_later_reference_never_has_an_earlier_next_time(asked: Schedule, one: int, other: int) -> None:
    assert asked.after(Microseconds(min(one, other))) <= asked.after(Microseconds(max(one, other)))


@several
@given(crontabs, st.lists(st.integers(0, 3_000), max_size=20), times)
def test_answers_do_not_depend_on_what_was_asked_before(
    asked: Schedule, offsets: list[int], time_us: int
) -> None:
    assert isinstance(asked, CrontabSchedule)
    for offset in offsets:
        reference = time_us // MINUTE_US + offset
        assert asked.after(Microseconds(reference * MINUTE_US)) == asked.search(Minute(reference))


@several
@given(schedules, times, times)
def test_what_it_resumes_with_is_not_before_the_tick(asked: Schedule, one: int, other: int) -> None:
    anchor, tick = one // MINUTE_US, other // MINUTE_US
    assert asked.resume(Minute(anchor), Minute(tick)) >= tick


@several
@given(crontabs, times, st.integers(0, 50))
def test_a_crontab_resumes_with_one_of_its_own_times(asked: Schedule, time_us: int, steps: int) -> None:
    chain = [asked.after(Microseconds(time_us))]
    for _ in range(steps):
        chain.append(asked.after(chain[-1] * MINUTE_US))
    tick = chain[-1]
    assert asked.resume(chain[0], tick) == tick
    assert asked.resume(chain[0], tick + 1) == asked.after(tick * MINUTE_US)


@several
@given(
    st.sampled_from(["1 minute", "45 minute", "5 hour", "1 day", "10 day", "1 week"]),
    st.sampled_from(ZONES),
    times,
    st.integers(0, 200_000),
)
def test_an_interval_resumes_with_the_first_of_its_steps_from_the_tick_on(
    text: str, zone: str, time_us: int, distance: int
) -> None:
    asked, number = schedule(text, zone), int(text.split()[0])
    anchor = time_us // MINUTE_US
    tick, unit = anchor + distance, text.split()[1]
    found = asked.resume(Minute(anchor), Minute(tick))
    steps = 0
    # One schedule a step: n steps of k days are one step of n * k days.
    while (
        step := schedule(f"{steps * number} {unit}", zone).after(Microseconds(time_us)) if steps else anchor
    ) < tick:
        steps += max(
            1, (tick - step) // 2 // {"minute": 1, "hour": 60, "day": 1500, "week": 10_500}[unit] // number
        )
    assert found == step
