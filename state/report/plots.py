"""Charts as inline SVG: text stays text, and colours are the page's own, so that they follow light and dark."""

from __future__ import annotations

import io
import re
from datetime import datetime, timedelta
from typing import Any

from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from state.report.record import FAILING, Day, Key
from state.report.words import duration

_COLOURS = {
    name: f"#00{number:02d}fe" for number, name in enumerate(("text", "line", "ok", *FAILING, "accent"))
}
"""Stand-ins by the name of the page's variable; no other colour is used."""
_STYLE: Any = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 11,
    "text.color": _COLOURS["text"],
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "axes.edgecolor": _COLOURS["line"],
    "axes.labelcolor": _COLOURS["text"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _COLOURS["line"],
    "grid.linewidth": 0.6,
    "xtick.color": _COLOURS["text"],
    "ytick.color": _COLOURS["text"],
    "xtick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.major.size": 0,
}
_WIDTH = 5.0
"""Inches of 72 points: the width of a phone, so that text keeps its size there."""
_LONGEST_NAME = 26
_STEPS_MS = tuple(
    1_000 * second
    for second in (
        0.001,
        0.01,
        0.1,
        1,
        2,
        5,
        10,
        30,
        60,
        120,
        300,
        600,
        1_200,
        3_600,
        7_200,
        21_600,
        86_400,
        604_800,
    )
)
_MOST_TICKS = 5


def plot_hours(day: Day) -> Markup:
    """Check-ins by the hour: above all of them, below those that failed, by how."""

    def draw(figure: Figure) -> None:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1, 1.3))
        hours = range(24)
        totals = [sum(counts[hour] for counts in day.hours.values()) for hour in hours]
        above.bar(hours, totals, color=_COLOURS["accent"], width=0.8)
        above.set_title("all check-ins", loc="left", fontsize=11)
        bottom = [0] * 24
        for status in FAILING:
            counts = day.hours.get(status, [0] * 24)
            below.bar(hours, counts, bottom=bottom, color=_COLOURS[status], width=0.8, label=status)
            bottom = [low + count for low, count in zip(bottom, counts, strict=True)]
        below.set_title("failed", loc="left", fontsize=11)
        below.legend(ncols=3, frameon=False, loc="lower right", bbox_to_anchor=(1.02, 0.97), handlelength=0.8)
        below.set_xticks(range(0, 24, 4), [_hour(day.begins, hour) for hour in range(0, 24, 4)])
        for axes in (above, below):
            axes.grid(visible=False, axis="x")
            axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))

    return _plot("hours", 3.4, draw)


def plot_slowest(day: Day) -> Markup:
    """The slowest jobs: from the median to the 95th percentile, and the longest run."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for place, runs in enumerate(day.slowest):
            axes.plot(
                [runs.p50_ms, runs.p95_ms],
                [place] * 2,
                color=_COLOURS["accent"],
                linewidth=7,
                solid_capstyle="round",
            )
            axes.plot([runs.max_ms], [place], "o", color=_COLOURS["timeout"], markersize=4)
        _name_rows(axes, [runs.key for runs in day.slowest])
        longest = max(runs.max_ms for runs in day.slowest)
        step = next((step for step in _STEPS_MS if longest < step * _MOST_TICKS), longest / _MOST_TICKS)
        ticks = [step * place for place in range(_MOST_TICKS + 1) if step * place <= longest]
        axes.set_xticks(ticks, [duration(timedelta(milliseconds=tick)) if tick else "0" for tick in ticks])
        axes.set_xlim(0, longest * 1.04)

    return _plot("slowest", 0.8 + 0.27 * len(day.slowest), draw)


def plot_noisiest(day: Day) -> Markup:
    """The noisiest jobs: messages sent about failures, and about their resolution."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        places = range(len(day.noisiest))
        failures = [told.occurrences for told in day.noisiest]
        resolutions = [told.resolutions for told in day.noisiest]
        axes.barh(places, failures, color=_COLOURS["error"], height=0.6)
        axes.barh(places, resolutions, left=failures, color=_COLOURS["ok"], height=0.6)
        _name_rows(axes, [told.key for told in day.noisiest])
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))

    return _plot("noisiest", 0.8 + 0.27 * len(day.noisiest), draw)


def _name_rows(axes: Any, keys: list[Key]) -> None:
    axes.set_yticks(range(len(keys)), [_short(key) for key in keys])
    axes.set_ylim(len(keys) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")


def _short(key: Key) -> str:
    project, slug, environment = key
    name = f"{project}/{slug}" if environment == "production" else f"{project}/{slug} {environment}"
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _hour(begins: datetime, hour: int) -> str:
    return f"{begins + timedelta(hours=hour):%H:%M}"


def _plot(name: str, height: float, draw: Any) -> Markup:
    """The SVG that `draw` fills: without a size, dates or ids that another plot could have too."""
    with rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        draw(figure)
        out = io.StringIO()
        canvas: Any = FigureCanvasSVG(figure)
        canvas.print_svg(out, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = out.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="patch_1">.*?</g>', "", svg, count=1, flags=re.DOTALL)  # the figure's white ground
    svg = re.sub(
        r'<svg [^>]*?(viewBox="[^"]*")[^>]*>',
        r'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" \1>',
        svg,
        count=1,
    )
    svg = re.sub(r'\bid="([\w.]+_\d+)"', rf'id="{name}-\1"', svg)
    for variable, colour in _COLOURS.items():
        svg = svg.replace(colour, f"var(--{variable})")
    return Markup(svg)  # noqa: S704 - matplotlib has escaped the names in it
