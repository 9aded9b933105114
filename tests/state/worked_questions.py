"""docs/questions.md: queries and what they answer on the demo's data.

`python -m tests.state.worked_questions` runs the demo and writes the answers again; test_worked_questions.py checks
that they are what is printed. The common questions and their SQL are those of common_questions.py, which are compared
with plain Python; the others stand on the page, where only their answers are written.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import duckdb

ROOT = Path(__file__).parent.parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from state.ask.rendering import text  # noqa: E402 - after the path is set
from state.publish.snapshot import open_snapshot  # noqa: E402
from tests.processes import demo_data  # noqa: E402
from tests.state import common_questions_of_what_is  # noqa: E402
from tests.state.common_questions import ASKED  # noqa: E402

assert common_questions_of_what_is  # which adds to ASKED

PAGE = ROOT / "docs" / "questions.md"
QUERY = re.compile(r"```sql\n(?P<query>.*?)```\n\n(?P<answer>(?:\|[^\n]*\n)*)", re.DOTALL)
"""A query, and the table of its answer below it."""
COMMON = re.compile(r"(?<=<!-- common questions: generated -->\n).*?(?=<!-- end -->)", re.DOTALL)
"""Where the common questions are."""
_SHOWN = 5
"""Rows of their answers."""


def answered(page: str, data_dir: Path) -> str:
    """The page with every query answered from a snapshot."""
    with open_snapshot(data_dir) as connection:

        def answer(found: re.Match[str]) -> str:
            columns, rows = _asked(connection, found["query"])
            return f"```sql\n{found['query']}```\n\n{_table(columns, rows)}"

        before, _, after = _parts(page)
        common = "".join(
            _common(number, question.text, question.sql, *_asked(connection, question.sql))
            for number, question in enumerate(ASKED, 1)
        )
        return f"{QUERY.sub(answer, before)}\n{common}" + QUERY.sub(answer, after)


def others(page: str) -> str:
    """The page without the common questions."""
    before, _, after = _parts(page)
    return before + after


def _parts(page: str) -> tuple[str, str, str]:
    found = COMMON.search(page)
    assert found is not None, "the page has no place for the common questions"
    return page[: found.start()], found[0], page[found.end() :]


def _asked(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Columns and rows; fractions without the digits that depend on the order in which they are added up."""
    result = connection.execute(query)
    rows = [
        tuple(round(cell, 6) if isinstance(cell, float) else cell for cell in row)
        for row in result.fetchall()
    ]
    return [column[0] for column in result.description], rows


def _common(number: int, text_: str, sql: str, columns: list[str], rows: list[tuple[Any, ...]]) -> str:
    """A question, its SQL, and the first rows of its answer; where nothing orders them, in the order of their texts."""
    if "ORDER BY" not in sql:
        rows = sorted(rows, key=lambda row: [text(value) for value in row])
    more = f"\n... and {len(rows) - _SHOWN:,} rows more.\n" if len(rows) > _SHOWN else ""
    answer = _table(columns, rows[:_SHOWN]) if rows else "No rows: there was none on the demo's day.\n"
    return f"### {number}. {text_}\n```sql\n{sql}\n```\n\n{answer}{more}\n"


def _table(columns: list[str], rows: list[tuple[Any, ...]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(
        "| " + " | ".join(text(value).replace("|", "\\|") for value in row) + " |\n" for row in lines
    )


if __name__ == "__main__":
    PAGE.write_text(answered(PAGE.read_text(encoding="utf-8"), demo_data()), encoding="utf-8")
