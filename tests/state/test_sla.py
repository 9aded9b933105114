"""The SLA of a month: which hours count, what is added up, and what bad calendars are answered."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest

from cronwax.commands import report
from cronwax.commands.sla import main
from state.errors import StateError
from state.report.calendar import Holiday, Hours, read_holidays
from state.report.sla import as_csv, as_html, as_json, measure
from tests.state.answer_rows import World, at
from tests.state.test_answers_installed import published

MARCH = (date(2025, 3, 1), date(2025, 3, 31))
DAY = 24 * 60
OFFICE = Hours(ZoneInfo("UTC"), frozenset(range(5)), time(9), time(17))


@pytest.fixture
def world():
    """March of 2025 from its third day on: a Monday."""
    world = World(now=40 * DAY)
    world.monitor(created_at=at(0), owner="team:<b>")
    world.check_in(0)
    world.incident(10 * 60, 18 * 60)  # Monday, 10:00 to 18:00
    world.incident(5 * DAY, 6 * DAY)  # Saturday
    return world


def test_only_hours_that_count_are_added_up(world):
    sla = measure(world.connection, "2025-03", "owner", OFFICE, [])
    (group,) = sla.groups
    assert group.us["failing"] == 7 * 3_600_000_000
    assert group.outside_us == 25 * 3_600_000_000
    assert sla.counted_seconds == 21 * 8 * 3600
    assert group.uptime == (21 * 8 - 7) / (21 * 8)


def test_holidays_do_not_count_and_are_named(world):
    sla = measure(
        world.connection,
        "2025-03",
        "owner",
        OFFICE,
        [Holiday(date(2025, 3, 3), date(2025, 3, 4), "Carnival")],
    )
    assert sla.groups[0].uptime == 1
    assert sla.counted_seconds == 19 * 8 * 3600
    assert "Holiday: 2025-03-03 to 2025-03-04 Carnival." in sla.left_out


def test_maintenance_in_which_misses_do_not_count_is_left_out_and_said(world):
    world.connection.execute("UPDATE monitors SET organization_id = 1")
    world.insert(
        "silences",
        silence_id="m",
        kind="maintenance",
        organization_id=1,
        misses_count=False,
        announced_at=at(0),
        starts_at=at(9 * 60),
        timezone="UTC",
        over_at=at(13 * 60),
    )
    world.insert("silence_windows", silence_id="m", starts_at=at(9 * 60), ends_at=at(13 * 60))
    sla = measure(world.connection, "2025-03", "owner", OFFICE, [])
    (group,) = sla.groups
    assert group.us["maintenance"] == 4 * 3_600_000_000
    assert group.us["failing"] == 4 * 3_600_000_000  # 13:00 to 17:00 of the incident that began at 10:00
    assert group.row()["maintenance_seconds"] == 4 * 3600
    assert "4.0 hours of maintenance in which misses and time-outs do not count." in sla.left_out


def test_without_hours_it_is_what_uptime_says(world):
    sla = measure(world.connection, "2025-03", "monitor", Hours(ZoneInfo("UTC")), [])
    begins, ends = datetime(2025, 3, 1, tzinfo=UTC), datetime(2025, 4, 1, tzinfo=UTC)
    assert world.rows("SELECT uptime FROM uptime($1, $2)", begins, ends) == [(sla.groups[0].uptime,)]
    assert [group.name for group in sla.groups] == ["1/backup production"]


def test_a_month_that_is_not_over_ends_at_the_event_clock(world):
    sla = measure(world.connection, "2025-04", "project", Hours(ZoneInfo("Europe/Vienna")), [])
    assert sla.ends == at(40 * DAY)
    assert sla.left_out[-1].startswith("What comes after 2025-04-12 00:00 UTC")
    with pytest.raises(StateError, match="2025-05: nothing is known of it yet"):
        measure(world.connection, "2025-05", "project", OFFICE, [])


def test_a_day_on_which_clocks_change_has_as_many_hours_as_it_has():
    vienna = Hours(ZoneInfo("Europe/Vienna"))
    begins, ends = (datetime(2025, 3, day, tzinfo=vienna.zone) for day in (30, 31))
    (span,) = vienna.spans(begins, ends, [])
    assert (span[1].astimezone(UTC) - span[0].astimezone(UTC)).total_seconds() == 23 * 3600


def test_all_formats_say_the_same_and_escape_what_jobs_sent(world):
    sla = measure(world.connection, "2025-03", "owner", OFFICE, [])
    (group,) = json.loads(as_json(sla))["groups"]
    names, values, end = as_csv(sla).split("\r\n")
    assert dict(zip(names.split(","), values.split(","), strict=True))["uptime"] == str(group["uptime"])
    assert end == ""
    assert "team:&lt;b&gt;" in as_html(sla)
    assert "95.833 %" in as_html(sla)


def test_plain_ranges(tmp_path):
    file = tmp_path / "free.txt"
    file.write_text("# ours\n2025-03-17\n2025-02-27 .. 2025-03-01  Long weekend # so\n2025-12-25 Christmas\n")
    assert read_holidays(file, *MARCH) == [
        Holiday(date(2025, 3, 1), date(2025, 3, 1), "Long weekend"),
        Holiday(date(2025, 3, 17), date(2025, 3, 17), ""),
    ]


ICS = """BEGIN:VCALENDAR
BEGIN:VEVENT
DTSTART;VALUE=DATE:20250303
DTEND;VALUE=DATE:20250305
SUMMARY:Carnival\\, all
  of it
END:VEVENT
BEGIN:VEVENT
DTSTART;VALUE=DATE:20200317
RRULE:FREQ=YEARLY
SUMMARY:St Patrick
END:VEVENT
BEGIN:VEVENT
DTSTART;TZID=Europe/Vienna:20250310T120000
DTEND;TZID=Europe/Vienna:20250310T130000
END:VEVENT
END:VCALENDAR
"""


def test_events_of_a_calendar_file(tmp_path):
    file = tmp_path / "free.ics"
    file.write_text(ICS.replace("\n", "\r\n"))
    assert read_holidays(file, *MARCH) == [
        Holiday(date(2025, 3, 3), date(2025, 3, 4), "Carnival, all of it"),
        Holiday(date(2025, 3, 10), date(2025, 3, 10), ""),
        Holiday(date(2025, 3, 17), date(2025, 3, 17), "St Patrick"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("a.txt", "2025-03-01\nEaster\n", "line 2: is not a day"),
        ("a.txt", "2025-03-05 .. 2025-03-01", "line 1: the range ends before it begins"),
        ("a.ics", "BEGIN:VEVENT\nDTSTART:tomorrow\nEND:VEVENT", "line 2: cannot be read"),
        ("a.ics", "BEGIN:VEVENT\nDTSTART:20250301\nRRULE:FREQ=OFTEN\nEND:VEVENT", "line 3: cannot be read"),
        (
            "a.ics",
            "BEGIN:VEVENT\nDTSTART:20200301\nRRULE:FREQ=SECONDLY\nEND:VEVENT",
            "line 3: cannot be read",
        ),
        ("a.ics", "BEGIN:VEVENT\nSUMMARY:x\nEND:VEVENT", "cannot be read"),
    ],
)
def test_a_calendar_that_cannot_be_read_is_one_line(tmp_path, name, text, complaint):
    (tmp_path / name).write_text(text)
    with pytest.raises(StateError, match=complaint):
        read_holidays(tmp_path / name, *MARCH)


def test_a_calendar_that_is_not_there_or_no_text_is_one_line(tmp_path):
    with pytest.raises(StateError, match="cannot read"):
        read_holidays(tmp_path / "none.ics", *MARCH)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StateError, match="not text in UTF-8"):
        read_holidays(tmp_path / "binary", *MARCH)


def test_the_command_writes_a_file_or_the_output(tmp_path, capsys):
    data = published(tmp_path).parent
    common = ["--month", "2025-03", "--data-dir", str(data)]
    assert (
        main([*common, "--project", "--format", "csv", "--hours", "00:00-24:00", "--days", "mon-fri,sun"])
        == 0
    )
    assert capsys.readouterr().out.splitlines()[1].startswith("2025-03,1,2,")
    assert main([*common, "--owner", "--out", str(tmp_path / "sla.html")]) == 0
    assert (tmp_path / "sla.html").read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        (["--month", "March"], 2, "March is not a month such as 2025-03"),
        (["--month", "2025-03", "--hours", "9-5"], 2, "is not a span of hours"),
        (["--month", "2025-03", "--hours", "17:00-09:00"], 2, "ends before it begins"),
        (["--month", "2025-03", "--days", "workdays"], 2, "is not a list of days"),
        (["--month", "2025-03", "--zone", "Vienna"], 2, "is not an IANA time zone"),
        (["--month", "2025-03", "--data-dir", "/nowhere"], 1, "nothing published yet"),
        (["--month", "2025-03", "--owner", "--project"], 2, "not allowed with"),
    ],
)
def test_a_wrong_command_line_is_one_line(capsys, words, status, complaint):
    try:
        found: object = main(words)
    except SystemExit as left:
        found = left.code
    error = capsys.readouterr().err
    assert (found, error.count("\n")) == (status, 1)
    assert complaint in error


def test_options_before_the_word_are_not_lost_in_silence(capsys):
    assert report.main(["--json", "sla", "--month", "2025-03"]) == 2
    assert "sla comes first, then its options: report sla --month 2025-03" in capsys.readouterr().err
