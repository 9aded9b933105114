"""The scenarios' own tools: what counts as the same, what as a difference, and that every case can fail."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import zstandard

from tests.scenarios.run_scenarios import (
    BadScenarioError,
    agrees,
    differences,
    environment_for,
    read_scenario,
    unmatched,
    write_input,
)

CASES = sorted((Path(__file__).parent / "cases").glob("*.json"))
GUID = "c0de0000000000000000000000000001"


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ("2025-03-03T01:00:00Z", datetime(2025, 3, 3, 1, tzinfo=UTC)),
        ("2025-03-03T01:00:00Z", "2025-03-03T02:00:00+01:00"),
        (GUID, UUID(GUID)),
        (GUID, str(UUID(GUID)).upper()),
        ({"a": {"b": 1}}, '{"a": {"b": 1, "c": 2}, "d": 3}'),
        ([{"type": "X"}], '[{"type": "X", "detail": 1}]'),
        (["A", "B"], ["A", "B"]),
        (1, 1.0),
        (None, None),
    ],
)
def test_values_that_mean_the_same_agree(expected: Any, actual: Any) -> None:
    assert agrees(expected, actual)


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ("2025-03-03T01:00:00Z", datetime(2025, 3, 3, 1, 0, 1, tzinfo=UTC)),
        ("2025-03-03T01:00:00Z", None),
        (GUID, UUID(int=1)),
        ("ok", "error"),
        ({"a": None}, {}),
        ({"a": 1}, "{not json"),
        (["A", "B"], ["B", "A"]),
        (["A"], ["A", "B"]),
        (True, 1),
        (0, False),
        (None, "null"),
        ("1", 1),
    ],
)
def test_values_that_differ_do_not_agree(expected: Any, actual: Any) -> None:
    assert not agrees(expected, actual)


def test_a_row_that_fits_many_leaves_the_others_theirs() -> None:
    rows = [{"status": "ok", "slug": "a"}, {"status": "ok", "slug": "b"}]
    wanted = [{"status": "ok"}, {"slug": "a"}]
    assert unmatched(wanted, rows) == []
    assert unmatched(wanted[::-1], rows) == []


def test_one_row_does_not_stand_for_two() -> None:
    assert unmatched([{"status": "ok"}, {"status": "ok"}], [{"status": "ok"}]) == [{"status": "ok"}]


def test_a_wrong_count_is_a_difference() -> None:
    expect = {"incidents": {"count": 1}}
    assert differences(expect, {"incidents": [{}]}) == []
    assert len(differences(expect, {"incidents": []})) == 1
    assert len(differences(expect, {"incidents": [{}, {}]})) == 1


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_every_case_passes_on_the_tables_it_asks_for_and_on_no_others(path: Path) -> None:
    expect = read_scenario(path).expect
    tables = {
        name: (rows := wanted.get("rows", [])) + [{}] * (wanted.get("count", len(rows)) - len(rows))
        for name, wanted in expect.items()
    }
    assert differences(expect, tables) == []
    for name, rows in tables.items():
        smaller = tables | {name: rows[1:] if rows else [{}]}
        assert differences(expect, smaller), f"{name} may hold anything"


def test_compressed_input_is_what_its_name_says(tmp_path: Path) -> None:
    lines = ["as it stands", {"ts": 1}]
    text = b'as it stands\n{"ts": 1}\n'
    for name in ("a.jsonl", "a.jsonl.gz", "a.jsonl.zst"):
        write_input(tmp_path / name, lines)
    assert (tmp_path / "a.jsonl").read_bytes() == text
    assert gzip.decompress((tmp_path / "a.jsonl.gz").read_bytes()) == text
    assert zstandard.decompress((tmp_path / "a.jsonl.zst").read_bytes()) == text


def test_a_run_sees_the_scenarios_settings_and_none_of_the_callers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRONWAX_RATE_LIMIT", "99")
    case = scenario_file(tmp_path, settings={"MONITOR_SEATS": 2, "PROJECTS": {"1": 7}})
    variables = environment_for(read_scenario(case), tmp_path)
    assert variables["CRONWAX_MONITOR_SEATS"] == "2"
    assert "CRONWAX_RATE_LIMIT" not in variables
    assert json.loads(Path(variables["CRONWAX_PROJECTS_PATH"]).read_text()) == {"1": 7}


@pytest.mark.parametrize(
    "change",
    [
        {"expects": {}},
        {"expect": {}},
        {"expect": {"monitors": {}}},
        {"expect": {"monitors": {"rows": []}}},
        {"expect": {"monitors": {"row": [{}], "count": 1}}},
        {"inputs": {}},
        {"name": ""},
    ],
)
def test_a_scenario_that_would_test_nothing_is_none(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(BadScenarioError):
        read_scenario(scenario_file(tmp_path, **change))


def scenario_file(folder: Path, **change: Any) -> Path:
    path = folder / "case.json"
    path.write_text(json.dumps({"name": "n", "input": [], "expect": {"monitors": {"count": 0}}} | change))
    return path
