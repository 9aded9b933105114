"""The page about a snapshot."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from datetime import timedelta

import pytest

from cronwax.commands.report import main
from state.errors import StateError
from state.report.page import Bar, bars_of, render_page
from state.report.plots import plot_hours, plot_noisiest, plot_slowest
from state.report.record import Durations, read_day
from state.report.words import duration, moment, percent
from tests.state.answer_rows import World, at, minutes

DAY = 24 * 60
EVIL = """<script>alert("x")</script>'$x^2$&"""


def a_day(slug: str = "backup") -> World:
    """An hour unknown, then well; failing in the second and again in the last quarter of the day, twice missed."""
    world = World(now=DAY)
    incident = world.incident(3 * DAY / 4, slug=slug)
    world.incident(DAY / 4, DAY / 2, slug=slug)
    world.monitor(slug, status="error", open_incident_id=incident, owner="team:7", last_checkin=at(60))
    world.check_in(60, slug=slug, duration_ms=90_000)
    for minute in (DAY / 4, 3 * DAY / 4):
        world.check_in(minute, "missed", slug=slug, expected_time=at(minute))
    for kind in ("occurrence", "occurrence", "status_change"):
        told = {"project_id": 1, "slug": slug, "environment": "production", "created_at": at(5)}
        world.insert("status_changes", **told, payload_type=kind)
    return world


def page_of(world: World) -> str:
    return render_page(read_day(world.connection))


def texts(page: str) -> list[str]:
    """What a reader sees, piece by piece."""
    return [text.strip() for text in re.findall(r">([^<]+)<", page) if text.strip()]


def test_a_job_s_day_is_what_it_was_in_shares_of_it():
    (job,) = read_day(a_day().connection).jobs
    assert (job.known_from, job.disabled) == (1 / 24, [])
    assert job.failing == [(0.25, 0.5), (0.75, 1.0)]
    assert job.failures == [(0.25, "missed"), (0.75, "missed")]
    assert bars_of(job) == [
        Bar("ok", 4.17, 95.83, "well"),
        Bar("unknown", 0, 4.17, "nothing known yet"),
        Bar("failing", 25.0, 25.0, "incident"),
        Bar("failing", 75.0, 25.0, "incident"),
        Bar("missed", 25.0, 0.35, "missed"),
        Bar("missed", 75.0, 0.35, "missed"),
    ]


def test_the_time_for_which_a_monitor_was_disabled_is_neither_well_nor_failing_nor_unknown():
    world = World(now=DAY)
    world.monitor(monitor_status="disabled", created_at=at(-500))
    for status, part in [("disabled", 0.1), ("active", 0.2), ("disabled", 0.5)]:
        world.becomes(status, DAY * part)
    world.check_in(DAY * 0.25)
    world.incident(DAY * 0.4)
    (job,) = read_day(world.connection).jobs
    assert [(bar.kind, bar.left, bar.width) for bar in bars_of(job)] == [
        ("ok", 25, 75),
        ("unknown", 0, 25),
        ("failing", 40, 60),
        ("off", 10, 10),
        ("off", 50, 50),
    ]


def test_the_day_is_counted_by_hours_and_the_lists_by_weeks():
    day = read_day(a_day().connection)
    assert day.hours == {"ok": [0, 1, *[0] * 22], "missed": [*[0] * 6, 1, *[0] * 11, 1, *[0] * 5]}
    assert day.slowest == [((1, "backup", "production"), 90_000, 90_000, 90_000)]
    assert day.noisiest == [((1, "backup", "production"), 2, 1)]


def test_the_page_tells_open_incidents_first():
    seen = texts(page_of(a_day()))
    table = seen[seen.index("Owner") + 1 :]
    assert table[:7] == [
        *("backup", "1 · production", "2025-03-03 18:00", "6 h", "2025-03-03 01:00", "6 h", "team:7"),
    ]


def test_nothing_that_jobs_send_is_taken_for_html():
    page = page_of(a_day(slug=EVIL))
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_the_page_needs_nothing_from_elsewhere():
    page = page_of(a_day())
    assert not re.search(r"<(script|link|img|iframe|object)\b|@import|url\((?!#)", page)
    links = set(re.findall(r"https?://[^\s\"'<]+", page))
    assert links <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert "default-src 'none'" in page


def test_the_same_snapshot_gives_the_same_page():
    assert page_of(a_day()) == page_of(a_day())


def test_the_plots_are_well_formed_use_the_page_s_colours_and_no_id_twice():
    page = page_of(a_day())
    plots = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(plots) == 3
    ids = [
        element.get("id")
        for plot in plots
        for element in ElementTree.fromstring(plot).iter()
        if element.get("id")
    ]
    assert len(ids) == len(set(ids))
    variables = set(re.findall(r"^ *(?:[^{]*{)?.*?(--\w+):", page.split("</style>")[0], re.MULTILINE))
    used = set(re.findall(r"var\((--\w+)\)", "".join(plots)))
    assert {"--text", "--missed"} <= used
    assert variables
    assert all(f"{name}:" in page for name in used)
    assert set(re.findall(r"(?:fill|stroke): (#\w+)", "".join(plots))) <= set()


def svgs(page: str) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]


def test_every_chart_has_a_title_and_says_in_words_what_it_shows():
    titles, descriptions = [], []
    for svg in svgs(page_of(a_day())):
        title, description = svg[0], svg[1]
        assert svg.get("role") == "img"
        assert svg.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
        titles.append(title.text)
        descriptions.append(description.text)
    assert titles == [
        "Check-ins by the hour",
        "Noisiest jobs, by messages sent",
        "Slowest jobs, by the length of their runs",
    ]
    assert descriptions == [
        "3 check-ins in 24 hours, most in the hour from 01:00 (1). Failed: 0 error, 2 missed, 0 timeout.",
        "1/backup: 2 about failures, 1 about resolutions",
        "1/backup: median 1 min 30 s, 95th percentile 1 min 30 s, longest 1 min 30 s",
    ]


def _luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it, of #rgb or #rrggbb."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    shares = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_charts_stand_out_from_the_page_as_wcag_asks(theme):
    page = page_of(a_day())
    colours = dict(re.findall(r"--(\w+): (#\w+)", re.findall(r":root {(.*?)}", page, re.DOTALL)[theme]))
    card = _luminance(colours["card"])

    def contrast(name: str) -> float:
        low, high = sorted([card, _luminance(colours[name])])
        return (high + 0.05) / (low + 0.05)

    assert all(contrast(name) >= 4.5 for name in ("text", "faint"))
    assert all(contrast(name) >= 3 for name in ("accent", "ok", "error", "missed", "timeout"))


def test_columns_are_as_high_as_their_counts_on_the_axis():
    hours = [0] * 24
    hours[1], hours[2] = 30, 60
    day = read_day(a_day().connection)
    day.hours = {"ok": hours, "error": [0, 20, *[0] * 22]}
    chart = plot_hours(day)
    assert [line.label for line in chart.all.lines] == ["0", "20", "40", "60"]
    first, second = chart.all.columns
    assert (first.height, second.height) == pytest.approx((70 * 50 / 60, 70), abs=0.01)
    assert first.y + first.height == pytest.approx(chart.all.bottom)
    assert first.says == "01:00: 50 check-ins"
    assert [(mark.colour, mark.says) for mark in chart.failed.columns] == [("error", "01:00: 20 error")]


@pytest.mark.parametrize(("slug", "shown"), [("a" * 40, "1/" + "a" * 40), ("a" * 41, "1/" + "a" * 39 + "…")])
def test_only_a_name_too_long_for_its_row_is_shortened(slug, shown):
    chart = plot_noisiest(read_day(a_day(slug).connection))
    assert chart.rows[0].name == shown


def test_a_name_of_wide_letters_is_shortened_to_the_same_width():
    chart = plot_noisiest(read_day(a_day("字" * 50).connection))
    assert chart.rows[0].name == "1/" + "字" * 19 + "…"


def test_a_job_s_longest_run_is_where_the_axis_ends_and_its_bar_before_it():
    day = read_day(a_day().connection)
    day.slowest = [Durations((1, "a", "production"), 60_000, 120_000, 240_000)]
    chart = plot_slowest(day)
    assert [tick.label for tick in chart.axis] == ["0", "1 min", "2 min", "3 min", "4 min"]
    _, bar = chart.rows[0].marks
    assert (bar.x, bar.x + bar.width, chart.rows[0].dot) == (
        chart.axis[1].at,
        chart.axis[2].at,
        chart.axis[4].at,
    )


def test_a_snapshot_without_jobs_is_a_page_too():
    page = page_of(World(now=0))
    assert "None." in page
    assert len(re.findall("<svg", page)) == 1


def test_before_anything_was_read_there_is_nothing_to_report():
    with pytest.raises(StateError, match="nothing to report yet"):
        read_day(World(now=None).connection)


def test_without_a_snapshot_it_is_one_clear_line(tmp_path, capsys):
    assert main(["--data-dir", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert told.startswith("cronwax: ")
    assert told.endswith("nothing published yet; run the flow first\n")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (minutes(0), "0 s"),
        (timedelta(milliseconds=20), "20 ms"),
        (timedelta(seconds=61), "1 min 1 s"),
        (minutes(60), "1 h"),
        (minutes(3 * DAY + 125), "3 d 2 h"),
        (minutes(DAY + 5), "1 d"),
        (None, ""),
    ],
)
def test_durations_are_said_in_their_two_largest_units(value, said):
    assert duration(value) == said


@pytest.mark.parametrize(
    ("value", "said"), [(1, "100 %"), (0.99999, "99.99 %"), (0.5, "50.00 %"), (None, "–")]
)
def test_almost_the_whole_is_not_rounded_up_to_it(value, said):
    assert percent(value) == said


def test_moments_are_said_in_utc():
    assert moment(at(61)) == "2025-03-03 01:01"


@pytest.mark.parametrize("name", ["checkins.jsonl", "-"])
def test_a_file_that_is_not_a_page_is_not_overwritten(tmp_path, capsys, name):
    (tmp_path / name).write_text('{"ts": 1}')
    assert main(["--data-dir", str(tmp_path), "--out", str(tmp_path / name)]) == 2
    assert (tmp_path / name).read_text() == '{"ts": 1}'
    assert capsys.readouterr().err.startswith("cronwax: ")
