"""sampling: what active sampling rules cost all check-ins of their organization."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import contender, inputs
from benchmarks.inputs import START_S, Input
from benchmarks.replay import per_message
from benchmarks.report import Figures, Report, interleaved, ratio

SIZE = 400_000
"""Messages; a hundredth as many monitors, 50 in a project: enough projects for 2000 rules."""
RULES = (0, 10, 2000)
_RULES_OF_A_PROJECT = 50


def run(size: int, runs: int) -> Report:
    """The replay's input in one organization, behind this many rules."""
    report = Report("sampling", size, runs)
    source = inputs.replay(size)
    with TemporaryDirectory(prefix="cronwax-bench-") as name:
        folder = Path(name)
        projects = folder / "projects.json"
        projects.write_text("{}")  # all of organization 1
        contenders = {}
        for count in RULES:
            path = _with_rules(source.path, count, inputs.project_of(max(4, size // 100) - 1), folder)
            ruled = Input(path, projects, source.messages)
            contenders[f"{count:,} rules"] = _contender(ruled, folder / "run")
        found = interleaved(report, contenders)
    for count in RULES[1:]:
        name = f"{count:,} rules"
        report.ratios[f"throughput with {name} / none"] = ratio(found[name], found["0 rules"], "per_s")
        report.ratios[f"CPU with {name} / none"] = ratio(found[name], found["0 rules"], "us_cpu")
    return report


def _contender(source: Input, folder: Path) -> Callable[[], Figures]:
    def one_run() -> Figures:
        shutil.rmtree(folder, ignore_errors=True)
        limit = {"max_monitors_per_organization": "1000000", "sample_new_monitors": "false"}
        return per_message(contender.run("flow", source, folder, **limit))

    return one_run


def _with_rules(checkins: Path, count: int, projects: int, folder: Path) -> Path:
    path = folder / f"rules-{count}.jsonl"
    with path.open("wb") as whole, checkins.open("rb") as rest:
        for rule in _rules(min(count, projects * _RULES_OF_A_PROJECT), projects):
            line = {"ts": START_S, "control": rule}
            whole.write(json.dumps(line).encode() + b"\n")
        shutil.copyfileobj(rest, whole, 1 << 20)
    return path


def _rules(count: int, projects: int) -> Iterator[dict[str, Any]]:
    """A third about one monitor each, a third about long failures, a third about names that end so."""
    for number in range(count):
        slug = f"job-{number * 37 % (projects * 50):07d}"
        conditions: list[dict[str, Any]] = [
            {"op": "eq", "name": "monitor.slug", "value": slug},
            {
                "op": "and",
                "inner": [
                    {"op": "eq", "name": "status", "value": "error"},
                    {"op": "gt", "name": "duration", "value": number},
                ],
            },
            {"op": "glob", "name": "monitor.slug", "value": f"*-*{number}"},
        ]
        yield {
            "type": "upsert_sampling_rule",
            "organization_id": 1,
            "project_ids": [1 + number % projects],
            "condition": conditions[number % 3],
            "start": START_S - 3600,
            "end": START_S + 3 * 86_400,
            "num_samples": 1_000_000,
            "sample_rate": 0.01,
            "query": "",
        }
