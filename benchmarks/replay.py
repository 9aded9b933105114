"""replay: a day of check-ins from a file to DuckDB and messages, beside the floor and the plain reference."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from benchmarks import contender, inputs
from benchmarks.inputs import Input
from benchmarks.report import Figures, Report, interleaved, ratio

SIZE = 1_000_000

_QUERIES = {
    "check-ins": "SELECT status, count(*) FROM check_ins GROUP BY 1 ORDER BY 1",
    "incidents": "SELECT count(*), count({resolved}) FROM incidents",
    "messages": "SELECT count(*) FROM {messages}",
}


def run(size: int, runs: int) -> Report:
    """Messages per second, and whether flow and reference agree on what came out."""
    report = Report("replay", size, runs)
    source = inputs.replay(size)
    with TemporaryDirectory(prefix="cronwax-bench-") as name:
        folder = Path(name)
        found = interleaved(
            report,
            {
                "floor": _contender("floor", source, folder),
                "flow": _contender("flow", source, folder, "--recovery", str(folder / "flow" / "store")),
                "flow, no recovery": _contender("flow", source, folder / "plain"),
                "reference": _contender("reference", source, folder),
            },
        )
        report.notes.append(compare(folder / "flow" / "data", folder / "reference" / "data"))
    flow = found["flow"]
    report.aim("flow / floor, messages/s", ratio(flow, found["floor"], "per_s"), "0.20")
    report.aim("flow / reference, messages/s", ratio(flow, found["reference"], "per_s"), "3.0")
    report.ratios["flow / floor, CPU"] = ratio(found["floor"], flow, "us_cpu")
    report.ratios["recovery on / off, time"] = ratio(flow, found["flow, no recovery"], "us")
    return report


def per_message(figures: Figures) -> Figures:
    """What a run's seconds mean for one message."""
    messages = figures["messages"]
    return {
        "per_s": messages / figures["seconds"],
        "us": figures["seconds"] / messages * 1e6,
        "us_cpu": figures["cpu_seconds"] / messages * 1e6,
        "peak_mb": figures["peak_mb"],
    }


def _contender(kind: str, source: Input, folder: Path, *options: str) -> Callable[[], Figures]:
    def one_run() -> Figures:
        shutil.rmtree(folder / kind, ignore_errors=True)
        return per_message(contender.run(kind, source, folder / kind, *options))

    return one_run


def compare(flow: Path, reference: Path) -> str:
    """Hold what the flow left against what the reference left. Raises Failed where they disagree."""
    with duckdb.connect(flow / "monitors.duckdb", read_only=True) as ours:
        with sqlite3.connect(reference / "reference.sqlite3") as theirs:
            for name, query in _QUERIES.items():
                left = ours.execute(
                    query.format(resolved="resolving_timestamp", messages="status_changes")
                ).fetchall()
                right = theirs.execute(query.format(resolved="resolved", messages="messages")).fetchall()
                if left != right:
                    raise contender.Failed(f"flow and reference disagree about {name}: {left} and {right}")
        theirs.close()
    return "flow and reference agree on check-ins by status, incidents and messages"
