"""docs/questions.md: queries and what they answer on the demo's data.

`python -m tests.state.worked_questions` runs the demo and writes the answers again; test_worked_questions.py checks
that they are what is printed.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from state.ask.rendering import text  # noqa: E402 - after the path is set
from state.publish.snapshot import open_snapshot  # noqa: E402
from tests.processes import demo_data  # noqa: E402

PAGE = ROOT / "docs" / "questions.md"
QUERY = re.compile(r"```sql\n(?P<query>.*?)```\n\n(?P<answer>(?:\|[^\n]*\n)*)", re.DOTALL)
"""A query, and the table of its answer below it."""


def answered(page: str, data_dir: Path) -> str:
    """The page with every query answered from a snapshot."""
    with open_snapshot(data_dir) as connection:

        def answer(found: re.Match[str]) -> str:
            result = connection.execute(found["query"])
            columns = [column[0] for column in result.description]
            rows = [columns, ["---"] * len(columns), *result.fetchall()]
            lines = [
                "| " + " | ".join(text(value).replace("|", "\\|") for value in row) + " |\n" for row in rows
            ]
            return f"```sql\n{found['query']}```\n\n{''.join(lines)}"

        return QUERY.sub(answer, page)


if __name__ == "__main__":
    PAGE.write_text(answered(PAGE.read_text(encoding="utf-8"), demo_data()), encoding="utf-8")
