"""Scenarios that end in a question: what `cronwax why` says of them, and what it does not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.run_scenarios import PROJECT, Scenario, run_flow
from tests.warm import run_flow_warm

CASES = {path.stem: path for path in sorted((Path(__file__).parent / "why").glob("*.json"))}

pytestmark = pytest.mark.process


@pytest.mark.parametrize("case", CASES)
def test_why_says_what_the_scenario_shows(case: str, tmp_path: Path) -> None:
    raw: dict[str, Any] = json.loads(CASES[case].read_text(encoding="utf-8"))
    scenario = Scenario(raw["name"], raw.get("settings", {}), {"checkins.jsonl": raw["input"]}, {})
    assert run_flow(scenario, tmp_path, run_flow_warm) is None
    for asked in raw["why"]:
        text = _answer(asked["ask"].split(), tmp_path / "data")
        assert [each for each in asked["says"] if each not in text] == [], text
        assert [each for each in asked["says_not"] if each in text] == [], text


def _answer(words: list[str], data: Path) -> str:
    """As a person asks, with its standard output in a pipe."""
    command, *rest = words
    done = subprocess.run(
        [sys.executable, "-m", "cronwax", command, *rest, "--data-dir", str(data)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout
