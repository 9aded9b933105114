"""What a benchmark found: a table, and a JSON file that the next run is compared with."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.inputs import SEED

FOLDER = Path("build/bench")
_PACKAGES = ("bytewax", "confluent-kafka", "croniter", "duckdb", "msgspec", "pyarrow", "pydantic")
Figures = dict[str, float]


@dataclass
class Report:
    """The figures of one benchmark: medians by contender, and ratios, each taken within one run."""

    name: str
    size: int
    runs: int
    figures: dict[str, Figures] = field(default_factory=dict)
    ratios: Figures = field(default_factory=dict)
    targets: dict[str, str] = field(default_factory=dict)
    """By ratio or figure, what is aimed at."""
    notes: list[str] = field(default_factory=list)
    seed: int = SEED
    versions: dict[str, str] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)

    def aim(self, name: str, value: float, target: str) -> None:
        """Add a ratio, and what it should be."""
        self.ratios[name] = value
        self.targets[name] = target


def interleaved(report: Report, contenders: Mapping[str, Callable[[], Figures]]) -> dict[str, list[Figures]]:
    """Run all contenders in turn, as often as asked for; the medians go into the report, all figures come back."""
    found: dict[str, list[Figures]] = {name: [] for name in contenders}
    for run in range(report.runs):
        for name, contender in contenders.items():
            started = time.monotonic()
            found[name].append(contender())
            print(
                f"{report.name}: run {run + 1} of {report.runs}, {name}: {time.monotonic() - started:.1f} s",
                flush=True,
            )
    for name, figures in found.items():
        report.figures[name] = medians(figures)
    return found


def medians(figures: list[Figures]) -> Figures:
    """The median of each figure."""
    return {name: median(run[name] for run in figures) for name in figures[0]}


def ratio(above: list[Figures], below: list[Figures], figure: str) -> float:
    """The median of the ratios of two contenders' runs, side by side."""
    return median(a[figure] / b[figure] for a, b in zip(above, below, strict=True))


def publish(report: Report, folder: Path | None = None) -> None:
    """Print the report beside the last one of the same size, and take its place."""
    report.versions = {name: version(name) for name in _PACKAGES} | {"python": platform.python_version()}
    report.machine = _machine()
    folder = folder or FOLDER
    path = folder / f"{report.name}.json"
    last = _last(path, report)
    _show(report, last)
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(report), indent=2) + "\n")
    print(f"{path}\n")


def _machine() -> dict[str, Any]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(memory / 2**30, 1),
        "system": platform.system(),
        "architecture": platform.machine(),
    }


def _last(path: Path, report: Report) -> dict[str, Any]:
    try:
        last = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return last if isinstance(last, dict) and last.get("size") == report.size else {}


def _show(report: Report, last: dict[str, Any]) -> None:
    console = Console(width=None if sys.stdout.isatty() else 120)
    columns = list(dict.fromkeys(name for figures in report.figures.values() for name in figures))
    table = Table(
        title=f"{report.name} (size {report.size:,}, median of {report.runs})", title_justify="left"
    )
    table.add_column("")
    for column in columns:
        table.add_column(column.replace("_", " "), justify="right")
    for name, figures in report.figures.items():
        before = last.get("figures", {}).get(name, {})
        cells = (
            _cell(figures[column], before.get(column)) if column in figures else "" for column in columns
        )
        table.add_row(name, *cells)
    console.print(table)
    for name, value in report.ratios.items():
        aim = f"  (aim: {report.targets[name]})" if name in report.targets else ""
        console.print(f"{name}: {_cell(value, last.get('ratios', {}).get(name))}{aim}", highlight=False)
    for note in report.notes:
        console.print(note, highlight=False)


def _cell(value: float, before: float | None) -> str:
    digits = 0 if abs(value) >= 1_000 or value == int(value) else 1 if abs(value) >= 100 else 2
    text = f"{value:,.{digits}f}"
    if before:
        text += f" ({100 * (value / before - 1):+.0f} %)"
    return text
