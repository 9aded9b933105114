"""When jobs are due, by SQL, is what the flow's own schedules say: all forms of crontabs, zones, changes of clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dataflow.monitors.crontab import Crontab
from dataflow.monitors.schedule import schedule_for
from dataflow.monitors.times import Microseconds
from tests.state.answer_rows import World

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CRONTABS = (
    *("* * * * *", "*/7 * * * *", "0 * * * *", "30 2 * * *", "15 1-3 * * *", "0 0 * * *", "5,35 */5 * * *"),
    *(
        "10-40/15 2 * * *",
        "5/20 3 * * *",
        "0 9,17 * * mon-fri",
        "0 3 13 * 5",
        "0 0 */2 * 1",
        "0 4 L * *",
        "0 4 LW * *",
    ),
    *(
        "0 5 * * 5#2",
        "0 5 * * fri#5",
        "0 5 * * 5L",
        "0 0 1 jan *",
        "0 12 * MARCH,oct sunday",
        "0 6 31 * 0-3",
        "0 0-23 * * *",
    ),
    *("5-5/3 1 * * 7", "0 5-5/6 * * 1/3", "45 2 30,9 3,11 *", "0 7 L,15 * 6", "0 7 */2 * 6L"),
)
ZONES = (
    "UTC",
    "Europe/Vienna",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "America/Santiago",
)
MOMENTS = (
    *("2025-03-08T20:00", "2025-03-29T18:30", "2025-10-25T23:10", "2025-11-02T05:30", "2025-10-04T13:00"),
    *("2025-04-05T13:45", "2025-02-28T12:00", "2025-12-31T01:01", "2025-09-06T20:00"),
)


def minute(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(minutes=1)


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_next_24_hours_are_those_of_the_flow(moment: str) -> None:
    now = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    world = World(0)
    world.rows("UPDATE snapshot_info SET event_clock = $1", now)
    expected = []
    for number, (crontab, zone) in enumerate((crontab, zone) for crontab in CRONTABS for zone in ZONES):
        schedule, slug = schedule_for("crontab", crontab, zone), f"m{number}"
        due = int(schedule.after(Microseconds((minute(now) * 60 - 1) * 1_000_000)))
        world.monitor(
            slug,
            schedule_type="crontab",
            schedule=crontab,
            timezone=zone,
            next_checkin=EPOCH + timedelta(minutes=due),
        )
        while due < minute(now) + 1440:
            expected.append((slug, EPOCH + timedelta(minutes=due)))
            due = int(schedule.after(Microseconds(due * 60_000_000)))
    found = world.rows("SELECT slug, due_at FROM due_runs")
    assert sorted((slug, at.astimezone(UTC)) for slug, at in found) == sorted(expected)


def test_intervals_go_on_from_the_next_time() -> None:
    world = World(0)
    now = datetime(2025, 3, 3, tzinfo=UTC)
    for slug, schedule in (("hours", "5 hour"), ("days", "1 day"), ("off", "1 hour")):
        status = "disabled" if slug == "off" else "active"
        begin = now + timedelta(hours=2)
        world.monitor(
            slug,
            schedule_type="interval",
            schedule=schedule,
            timezone="UTC",
            next_checkin=begin,
            monitor_status=status,
        )
    found = world.rows("SELECT slug, due_in_seconds / 3600 FROM due_runs ORDER BY ALL")
    assert found == [("days", 2), *[("hours", hour) for hour in (2, 7, 12, 17, 22)]]


def test_a_monitor_whose_zone_is_unknown_has_its_next_time_alone() -> None:
    world = World(0)
    next_time = datetime(2025, 3, 3, 1, tzinfo=UTC)
    world.monitor(
        "lost", schedule_type="crontab", schedule="0 * * * *", timezone="Mars/Olympus", next_checkin=next_time
    )
    assert world.rows("SELECT slug, due_in_seconds FROM due_runs") == [("lost", 3600)]


def test_periods_are_the_mean_gaps_of_four_years() -> None:
    world = World(0)
    few = [crontab for crontab in CRONTABS if crontab.split()[0].isdigit() and crontab.split()[1].isdigit()]
    for number, crontab in enumerate(few):
        world.monitor(f"m{number}", schedule_type="crontab", schedule=crontab, timezone="UTC")
    wall = minute(datetime(2025, 3, 3, tzinfo=UTC))
    expected = []
    for crontab in few:
        parsed, at, times = Crontab(crontab), wall - 1, 0
        while (following := parsed.after(at)) is not None and following < wall + 1461 * 1440:
            at, times = following, times + 1
        expected.append((crontab, round(1461 * 86400 / times, 3)))
    found = world.rows("SELECT schedule, round(period_seconds, 3) FROM schedule_periods ORDER BY ALL")
    assert found == sorted(expected)
