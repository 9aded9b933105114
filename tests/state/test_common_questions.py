"""Each question of analysts in at most three lines of SQL says what plain Python says: on the demo and on six random
weeks, hot and cold, from one shard and two, in whatever time zone the session has."""

from __future__ import annotations

from datetime import UTC, datetime
from math import isclose
from pathlib import Path
from typing import Any

import duckdb
import pytest

from state.publish.snapshot_views import SNAPSHOT
from tests.state import common_questions_of_what_is, six_weeks
from tests.state.common_questions import ASKED, Asked
from tests.state.plain_answers import Facts

Answers = dict[str, list[tuple[Any, ...]]]
assert common_questions_of_what_is  # which adds to ASKED
ZONES = {"hot": "UTC", "cold": "Pacific/Auckland"}


@pytest.fixture(scope="module")
def weeks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folders = {name: tmp_path_factory.mktemp(name) for name in ZONES}
    six_weeks.write(six_weeks.lines_of(), *folders.values())
    return {name: folder / SNAPSHOT for name, folder in folders.items()}


@pytest.fixture(scope="module")
def expected(weeks: dict[str, Path]) -> Answers:
    """Worked out once: the cold tables hold the same."""
    return plain(weeks["hot"])


def plain(path: Path) -> Answers:
    with duckdb.connect(path, read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        facts = Facts(connection)
    return {question.text: [*question.plain(facts)] for question in ASKED}


def assert_same(path: Path, zone: str, question: Asked, wanted: list[tuple[Any, ...]]) -> None:
    with duckdb.connect(path, read_only=True) as connection:
        connection.execute(f"SET TimeZone = '{zone}'")
        found = connection.execute(question.sql).fetchall()
    found, wanted = in_order(found), in_order(wanted)
    assert len(found) == len(wanted)
    for got, want in zip(found, wanted, strict=True):
        assert all(map(is_same, got, want)), f"{got} and not {want}"


def in_order(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Times in UTC; sorted by all that is no fraction."""
    plain_rows = [
        tuple(cell.astimezone(UTC) if isinstance(cell, datetime) and cell.tzinfo else cell for cell in row)
        for row in rows
    ]
    return sorted(plain_rows, key=lambda row: [repr(cell) for cell in row if not isinstance(cell, float)])


def is_same(got: Any, want: Any) -> bool:
    if isinstance(got, float | int) and isinstance(want, float | int) and not isinstance(got, bool):
        return isclose(got, want, rel_tol=1e-9, abs_tol=1e-6)
    return bool(got == want)


@pytest.mark.parametrize("name", ZONES)
@pytest.mark.parametrize("question", ASKED, ids=lambda question: question.text)
def test_six_weeks_are_answered_as_plain_python_does(
    weeks: dict[str, Path], expected: Answers, name: str, question: Asked
) -> None:
    wanted = expected[question.text]
    assert wanted, "nothing is asked here"
    assert_same(weeks[name], ZONES[name], question, wanted)


def test_each_question_takes_three_lines_at_most() -> None:
    assert [question.text for question in ASKED if question.sql.count("\n") > 2] == []
    assert len(ASKED) == 29
