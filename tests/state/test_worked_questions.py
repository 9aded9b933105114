"""The pages for analysts say what is so."""

from __future__ import annotations

import pytest

from state.schema.dictionary import dictionary
from tests.processes import demo_data
from tests.state.common_questions import ASKED
from tests.state.worked_questions import PAGE, QUERY, ROOT, answered, others


@pytest.mark.process
def test_every_worked_question_is_answered_as_printed():
    page = PAGE.read_text(encoding="utf-8")
    assert answered(page, demo_data()) == page, "renew it with: python -m tests.state.worked_questions"


def test_the_common_questions_are_those_that_are_compared_with_plain_python():
    page = PAGE.read_text(encoding="utf-8")
    for number, question in enumerate(ASKED, 1):
        assert f"### {number}. {question.text}\n```sql\n{question.sql}\n```\n" in page


def test_there_are_twenty_more_and_each_has_an_answer():
    page = others(PAGE.read_text(encoding="utf-8"))
    answers = [found["answer"].splitlines()[2:] for found in QUERY.finditer(page)]
    assert len(answers) == 20
    assert all(answers)


def test_the_dictionary_is_that_of_the_schema():
    page = (ROOT / "docs" / "tables.md").read_text(encoding="utf-8")
    assert page == dictionary(), "renew it with: python -m state.schema.dictionary > docs/tables.md"


def test_nothing_in_the_dictionary_is_left_undescribed():
    assert "|  |" not in dictionary()
    assert "[]" not in dictionary().split("## Tables")[0]
