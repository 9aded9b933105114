"""What the charts show, as places in a drawing; `charts.html` draws them. Lengths are in the drawing's units."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple
from unicodedata import east_asian_width

from state.report.record import FAILING, Day, Key
from state.report.words import duration

_RIGHT = 356
"""Where charts end. The drawing is 360 wide, like a phone, so that text keeps its size there."""
_DIGIT = 6.5
"""About the width of a digit of an axis."""
_ROW_HEIGHT = 30
_LONGEST_NAME = 42
"""Columns; a name of wide letters takes two of them for each."""
_STEPS_SECONDS = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_200),
    *(1_800, 3_600, 7_200, 14_400, 21_600, 43_200, 86_400, 172_800, 604_800, 1_209_600, 2_592_000),
)
_MOST_STEPS = 5


class Tick(NamedTuple):
    """A place on an axis."""

    at: float
    label: str


class Mark(NamedTuple):
    """A rectangle in the colour that the page has for `colour`; `says` is what a pointer is shown."""

    colour: str
    x: float
    y: float
    width: float
    height: float
    says: str


class Panel(NamedTuple):
    """Columns over the hours of the day, in a field of the drawing."""

    top: float
    bottom: float
    lines: list[Tick]
    columns: list[Mark]


class Row(NamedTuple):
    """A job in a chart of jobs: its name and figure, and below them its marks. `dot` is where its longest run is."""

    top: float
    name: str
    figure: str
    marks: list[Mark]
    dot: float | None = None


class Hours(NamedTuple):
    """Check-ins by the hour: above all of them, below those that failed, by how."""

    summary: str
    left: float
    right: float
    all: Panel
    failed: Panel
    hours: list[Tick]


class Jobs(NamedTuple):
    """A chart with a row for each job, over one axis."""

    name: str
    title: str
    summary: str
    bottom: float
    rows: list[Row]
    axis: list[Tick]


def plot_hours(day: Day) -> Hours:
    """The check-ins of the day."""
    nothing = [0] * 24
    totals = [sum(counts) for counts in zip(nothing, *day.hours.values(), strict=True)]
    failures = {status: day.hours.get(status, nothing) for status in FAILING}
    failed = [sum(counts) for counts in zip(*failures.values(), strict=True)]
    begins = [f"{day.begins + timedelta(hours=hour):%H:%M}" for hour in range(24)]
    widest = max(len(f"{_top(counts):,}") for counts in (totals, failed))
    left = 8 + _DIGIT * widest
    slot = (_RIGHT - left) / 24
    busiest = totals.index(max(totals))
    by_kind = ", ".join(f"{sum(counts):,} {status}" for status, counts in failures.items())
    return Hours(
        f"{sum(totals):,} check-ins in 24 hours, most in the hour from {begins[busiest]} ({totals[busiest]:,}). "
        f"Failed: {by_kind}.",
        left,
        _RIGHT,
        _panel(24, 94, left, slot, {"accent": totals}, "check-ins", begins),
        _panel(128, 214, left, slot, failures, "", begins),
        [Tick(round(left + slot * (hour + 0.5), 2), begins[hour]) for hour in range(0, 24, 4)],
    )


def plot_slowest(day: Day) -> Jobs:
    """The slowest jobs: from the median to the 95th percentile, and the longest run."""
    longest = max(runs.max_ms for runs in day.slowest)
    axis = _durations_axis(longest)
    rows, summary = [], []
    for place, runs in enumerate(day.slowest):
        median, most, longest_run = (_x(value, longest) for value in (runs.p50_ms, runs.p95_ms, runs.max_ms))
        says = (
            f"median {_milliseconds(runs.p50_ms)}, 95th percentile {_milliseconds(runs.p95_ms)}, "
            f"longest {_milliseconds(runs.max_ms)}"
        )
        summary.append(f"{_name(runs.key)}: {says}")
        marks = [
            Mark("unknown", most, 19.5, round(longest_run - most, 2), 1, says),
            Mark("accent", median, 16, max(round(most - median, 2), 3), 8, says),
        ]
        row = Row(_ROW_HEIGHT * place, _short(runs.key), _milliseconds(runs.p95_ms), marks, longest_run)
        rows.append(row)
    bottom = _ROW_HEIGHT * len(rows)
    return Jobs(
        "slowest", "Slowest jobs, by the length of their runs", "; ".join(summary), bottom, rows, axis
    )


def plot_noisiest(day: Day) -> Jobs:
    """The noisiest jobs: messages sent about failures, and about their resolution."""
    most = max(sent.occurrences + sent.resolutions for sent in day.noisiest)
    step = _step(most)
    top = max(most, 1)
    axis = [Tick(_x(value, top), f"{value:,}") for value in range(0, most + 1, step)]
    rows, summary = [], []
    for place, sent in enumerate(day.noisiest):
        says = f"{sent.occurrences:,} about failures, {sent.resolutions:,} about resolutions"
        summary.append(f"{_name(sent.key)}: {says}")
        start, middle, end = (
            _x(value, top) for value in (0, sent.occurrences, sent.occurrences + sent.resolutions)
        )
        marks = [
            Mark("error", start, 16, round(middle - start, 2), 8, says),
            Mark("ok", middle, 16, round(end - middle, 2), 8, says),
        ]
        figure = f"{sent.occurrences + sent.resolutions:,}"
        rows.append(Row(_ROW_HEIGHT * place, _short(sent.key), figure, [m for m in marks if m.width > 0]))
    bottom = _ROW_HEIGHT * len(rows)
    return Jobs("noisiest", "Noisiest jobs, by messages sent", "; ".join(summary), bottom, rows, axis)


def _panel(
    top: float,
    bottom: float,
    left: float,
    slot: float,
    stacks: dict[str, list[int]],
    noun: str,
    begins: list[str],
) -> Panel:
    """Columns of the counts by colour, one on the other; without a `noun`, a count is named by its colour."""
    heights = [sum(counts) for counts in zip(*stacks.values(), strict=True)]
    highest = _top(heights)
    unit = (bottom - top) / highest
    lines = [
        Tick(round(bottom - unit * value, 2), f"{value:,}")
        for value in range(0, highest + 1, _step(max(heights)))
    ]
    columns = []
    for hour in range(24):
        y = bottom
        for colour, counts in stacks.items():
            height = unit * counts[hour]
            y -= height
            if height:
                says = f"{begins[hour]}: {counts[hour]:,} {noun or colour}"
                x = left + slot * (hour + 0.1)
                columns.append(
                    Mark(colour, round(x, 2), round(y, 2), round(slot * 0.8, 2), round(height, 2), says)
                )
    return Panel(top, bottom, lines, columns)


def _step(most: int) -> int:
    """The least of 1, 2, 5, 10, 20, ... that takes at most `_MOST_STEPS` to `most`."""
    size = 1
    while True:
        for step in (size, 2 * size, 5 * size):
            if step * _MOST_STEPS >= most:
                return step
        size *= 10


def _top(counts: Sequence[int]) -> int:
    """Where an axis of counts ends: at the first of its steps that is not below any."""
    step = _step(max(counts))
    return step * max(-(-max(counts) // step), 1)


def _durations_axis(longest_ms: float) -> list[Tick]:
    seconds = longest_ms / 1_000
    step = next((step for step in _STEPS_SECONDS if seconds <= step * _MOST_STEPS), seconds / _MOST_STEPS)
    ticks = [step * place for place in range(_MOST_STEPS + 1) if step * place <= seconds]
    return [Tick(_x(tick, seconds), duration(timedelta(seconds=tick)) if tick else "0") for tick in ticks]


def _x(value: float, most: float) -> float:
    """Where a value is on an axis as wide as the drawing, from 0 to `most`."""
    return round((_RIGHT - 4) * value / most, 2) if most else 0


def _milliseconds(value: float) -> str:
    return duration(timedelta(milliseconds=value))


def _name(key: Key) -> str:
    project, slug, environment = key
    return f"{project}/{slug}" if environment == "production" else f"{project}/{slug} {environment}"


def _short(key: Key) -> str:
    name = _name(key)
    if _columns(name) <= _LONGEST_NAME:
        return name
    name = name[:_LONGEST_NAME]
    while _columns(name) >= _LONGEST_NAME:
        name = name[:-1]
    return f"{name}…"


def _columns(name: str) -> int:
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in name)
