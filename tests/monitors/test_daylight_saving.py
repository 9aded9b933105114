"""What docs/schedules.md decides about clocks that are put forward and back."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow.monitors.check_in import MINUTE_US
from dataflow.monitors.schedule import Schedule, schedule_for
from dataflow.monitors.times import Microseconds, Minute
from state.zones import load_zone
from tests.examples import IS_FULL, examples

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NEW_YORK, VIENNA, LORD_HOWE, SAO_PAULO = (
    "America/New_York",
    "Europe/Vienna",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
)
ZONES = (
    *(NEW_YORK, VIENNA, LORD_HOWE, "Asia/Kathmandu", "Africa/Casablanca", "America/Santiago", "Africa/Cairo"),
    *("Asia/Beirut", "Antarctica/Troll", "America/St_Johns"),
)


def schedule(text: str, zone: str) -> Schedule:
    return schedule_for("interval" if len(text.split()) == 2 else "crontab", text, zone)


def minute_of(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(minutes=1)


def local(minute: int, zone: str) -> datetime:
    return (EPOCH + timedelta(minutes=minute)).astimezone(load_zone(zone))


def fires(text: str, zone: str, since: str, until: str) -> list[str]:
    """The times of a schedule between two instants, as the clocks of the zone show them, with the offset."""
    asked, last = schedule(text, zone), minute_of(datetime.fromisoformat(until).replace(tzinfo=UTC))
    minutes = [minute_of(datetime.fromisoformat(since).replace(tzinfo=UTC)) - 1]
    while minutes[-1] <= last:
        minutes.append(asked.after(Microseconds(minutes[-1] * MINUTE_US)))
        assert minutes[-1] > minutes[-2]
    return [local(minute, zone).strftime("%d %H:%M %z") for minute in minutes[1:-1]]


def following(text: str, zone: str, reference: str) -> str:
    minute = minute_of(datetime.fromisoformat(reference))
    return local(schedule(text, zone).after(Microseconds(minute * MINUTE_US)), zone).strftime("%d %H:%M %z")


def test_a_job_whose_time_is_skipped_is_expected_as_soon_as_the_gap_is_over() -> None:
    assert fires("30 2 * * *", NEW_YORK, "2025-03-08 05:00", "2025-03-11 04:00") == [
        "08 02:30 -0500",
        "09 03:00 -0400",
        "10 02:30 -0400",
    ]


def test_a_job_with_several_skipped_times_is_expected_once_after_the_gap() -> None:
    assert fires("0,20,40 2 * * *", NEW_YORK, "2025-03-09 05:00", "2025-03-10 04:00") == ["09 03:00 -0400"]


def test_a_job_whose_time_comes_twice_is_expected_the_first_time_only() -> None:
    assert fires("30 1 * * *", NEW_YORK, "2025-11-01 04:00", "2025-11-04 04:00") == [
        "01 01:30 -0400",
        "02 01:30 -0400",
        "03 01:30 -0500",
    ]


def test_a_check_in_during_the_second_showing_is_followed_by_the_next_day() -> None:
    assert following("30 1 * * *", NEW_YORK, "2025-11-02 01:10-05:00") == "03 01:30 -0500"
    assert following("30 1 * * *", NEW_YORK, "2025-11-02 01:10-04:00") == "02 01:30 -0400"


def test_a_quarter_hourly_job_follows_elapsed_time() -> None:
    assert fires("*/15 * * * *", NEW_YORK, "2025-03-09 06:30", "2025-03-09 07:30") == [
        *("09 01:30 -0500", "09 01:45 -0500", "09 03:00 -0400", "09 03:15 -0400", "09 03:30 -0400"),
    ]
    assert fires("*/30 * * * *", NEW_YORK, "2025-11-02 05:00", "2025-11-02 07:00") == [
        *("02 01:00 -0400", "02 01:30 -0400", "02 01:00 -0500", "02 01:30 -0500", "02 02:00 -0500"),
    ]


def test_an_hourly_job_is_expected_every_hour_that_passes() -> None:
    assert fires("0 * * * *", NEW_YORK, "2025-03-09 06:00", "2025-03-09 08:00") == [
        *("09 01:00 -0500", "09 03:00 -0400", "09 04:00 -0400"),
    ]
    assert fires("0 * * * *", NEW_YORK, "2025-11-02 05:00", "2025-11-02 07:00") == [
        *("02 01:00 -0400", "02 01:00 -0500", "02 02:00 -0500"),
    ]


def test_a_job_every_second_hour_passes_over_an_hour_that_is_skipped() -> None:
    assert fires("0 */2 * * *", NEW_YORK, "2025-03-09 05:00", "2025-03-09 10:00") == [
        *("09 00:00 -0500", "09 04:00 -0400", "09 06:00 -0400"),
    ]


def test_hours_named_one_by_one_are_fixed_times_even_if_all_are_named() -> None:
    assert fires("0 0-23 * * *", NEW_YORK, "2025-11-02 05:00", "2025-11-02 07:00") == [
        *("02 01:00 -0400", "02 02:00 -0500"),
    ]


def test_midnight_that_is_skipped_moves_to_the_first_minute_of_the_day() -> None:
    assert fires("0 0 * * *", SAO_PAULO, "2018-11-03 00:00", "2018-11-05 12:00") == [
        *("03 00:00 -0300", "04 01:00 -0200", "05 00:00 -0200"),
    ]
    assert fires("*/20 0 * * *", SAO_PAULO, "2018-11-04 00:00", "2018-11-05 02:30") == [
        *("05 00:00 -0200", "05 00:20 -0200"),
    ]


def test_half_an_hour_that_comes_twice_is_told_apart() -> None:
    assert fires("30 1 * * *", LORD_HOWE, "2025-04-05 12:00", "2025-04-06 12:00") == ["06 01:30 +1100"]
    assert fires("*/30 1 * * *", LORD_HOWE, "2025-04-05 12:00", "2025-04-06 12:00") == [
        *("06 01:00 +1100", "06 01:30 +1100", "06 01:30 +1030"),
    ]
    assert fires("*/30 2 * * *", LORD_HOWE, "2025-04-05 12:00", "2025-04-06 12:00") == [
        *("06 02:00 +1030", "06 02:30 +1030"),
    ]


def test_a_day_that_a_zone_never_had_is_made_up_for_at_once() -> None:
    assert fires("0 12 * * *", "Pacific/Apia", "2011-12-29 12:00", "2012-01-01 00:00") == [
        *("29 12:00 -1000", "31 00:00 +1400", "31 12:00 +1400", "01 12:00 +1400"),
    ]


def test_hours_are_elapsed_time_and_days_keep_the_time_on_the_wall() -> None:
    assert following("24 hour", NEW_YORK, "2025-03-08 12:00-05:00") == "09 13:00 -0400"
    assert following("1 day", NEW_YORK, "2025-03-08 12:00-05:00") == "09 12:00 -0400"
    assert following("24 hour", NEW_YORK, "2025-11-01 12:00-04:00") == "02 11:00 -0500"
    assert following("1 day", NEW_YORK, "2025-11-01 12:00-04:00") == "02 12:00 -0500"
    assert following("1 week", NEW_YORK, "2025-03-08 12:00-05:00") == "15 12:00 -0400"
    assert following("1 month", VIENNA, "2025-03-15 00:30+01:00") == "15 00:30 +0200"


def test_a_calendar_step_into_a_gap_moves_past_it_by_as_much_as_it_is_in() -> None:
    assert following("1 day", NEW_YORK, "2025-03-08 02:30-05:00") == "09 03:30 -0400"


def test_a_calendar_step_to_a_time_that_comes_twice_takes_the_first() -> None:
    assert following("1 day", NEW_YORK, "2025-11-01 01:30-04:00") == "02 01:30 -0400"
    assert following("1 day", NEW_YORK, "2025-11-02 01:30-05:00") == "03 01:30 -0500"


def test_days_resume_at_the_same_time_on_the_wall() -> None:
    asked = schedule("1 day", NEW_YORK)
    anchor = minute_of(datetime.fromisoformat("2025-03-07 12:00-05:00"))
    tick = minute_of(datetime.fromisoformat("2025-03-10 12:01-04:00"))
    assert (
        local(asked.resume(Minute(anchor), Minute(tick)), NEW_YORK).isoformat() == "2025-03-11T12:00:00-04:00"
    )


def changes(zone: str, first_year: int, last_year: int) -> list[int]:
    """The minutes, to the half hour, at which the clocks of a zone are changed: never twice within six hours."""
    since, until = (minute_of(datetime(year, 1, 1, tzinfo=UTC)) for year in (first_year, last_year + 1))

    def among(minutes: range) -> list[tuple[int, int]]:
        offsets = [(minute, local(minute, zone).utcoffset()) for minute in minutes]
        return [(before, minute) for (before, was), (minute, now) in pairwise(offsets) if now != was]

    quarters = among(range(since, until, 6 * 60))
    return [minute for begin, end in quarters for _, minute in among(range(begin, end + 1, 30))]


def by_cronsim(text: str, zone: str, since: int) -> Iterator[int]:
    return (minute_of(moment) for moment in CronSim(text, local(since, zone)))


FIXED = (
    *("30 2 * * *", "0 0 * * *", "0,30 1-3 * * *", "59 23 L * *", "15 1 * * sun", "5 12 */2 * mon-fri"),
    *("30 2 LW * *", "0 1-1/2 31,LW * 2,5L", "45 2 L,15 * sat,sun#5"),
)
ELAPSED = (
    *("*/15 * * * *", "5 * * * *", "* * * * *", "0 */2 * * *", "*/7 0-3 * * *", "30 */6 * * 0"),
    *("*/20 * LW,L * *", "*/30 1-3 * * sat,7L", "10 * * * 6,sun#1,sun#5"),
)


@pytest.mark.parametrize("zone", ZONES)
def test_fixed_times_agree_with_cronsim_for_a_year_or_two(zone: str) -> None:
    """With CRONWAX_TEST_FULL=1 for two."""
    years = 2025, 2027 if IS_FULL else 2026
    since, until = (minute_of(datetime(year, 1, 1, tzinfo=UTC)) for year in years)
    for text in FIXED:
        asked, minute = schedule(text, zone), since
        for expected in by_cronsim(text, zone, since):
            minute = asked.after(Microseconds(minute * MINUTE_US))
            assert minute == expected, (text, local(minute, zone), local(expected, zone))
            if minute > until:
                break


@pytest.mark.parametrize("zone", [zone for zone in ZONES if zone != LORD_HOWE])
def test_elapsed_times_agree_with_cronsim_around_every_change(zone: str) -> None:
    for change in changes(zone, 2025, 2027):
        for text in ELAPSED:
            asked, minute = schedule(text, zone), change - 300
            for expected in by_cronsim(text, zone, minute):
                minute = asked.after(Microseconds(minute * MINUTE_US))
                assert minute == expected, (text, local(minute, zone), local(expected, zone))
                if minute > change + 300:
                    break


def expected_by_definition(text: str, zone: str, reference: int, limit: int) -> int | None:
    """The rules of docs/schedules.md, minute by minute; the fields are cronsim's."""
    fields = CronSim(text, datetime(2000, 1, 1, tzinfo=UTC))
    minute_field, hour_field, *_ = text.split()
    is_fixed = not minute_field.startswith("*") and not hour_field.startswith("*")

    def named(wall: datetime) -> bool:
        return (
            wall.minute in fields.minutes
            and wall.hour in fields.hours
            and wall.month in fields.months
            and fields.match_day(wall.date())
        )

    before = local(reference, zone).replace(tzinfo=None)
    for minute in range(reference + 1, limit):
        now = local(minute, zone)
        wall = now.replace(tzinfo=None)
        skipped = (
            before + timedelta(minutes=number) for number in range(1, (wall - before) // timedelta(minutes=1))
        )
        if named(wall) and not (is_fixed and now.fold):
            return minute
        if is_fixed and any(map(named, skipped)):
            return minute
        before = wall
    return None


CHANGES = [(zone, change) for zone in (*ZONES, SAO_PAULO) for change in changes(zone, 2017, 2019)]


@settings(deadline=None, derandomize=True, max_examples=examples(300, always=True))
@given(
    st.sampled_from(
        FIXED + ELAPSED + ("*/30 2 * * *", "0-59/10 * * * *", "*/10 0-23 * * *", "0 1-3 * * *", "* 1 * * *")
    ),
    st.sampled_from(CHANGES),
    st.integers(-300, 300),
)
def test_near_a_change_it_is_the_first_minute_that_the_rules_name(
    text: str, place: tuple[str, int], distance: int
) -> None:
    zone, change = place
    reference = change + distance
    found = schedule(text, zone).after(Microseconds(reference * MINUTE_US))
    expected = expected_by_definition(text, zone, reference, reference + 3_000)
    assert found == expected if expected is not None else found >= reference + 3_000
