"""The pages for analysts say what is so."""

from __future__ import annotations

import pytest

from state.schema.dictionary import dictionary
from tests.processes import demo_data
from tests.state.worked_questions import PAGE, QUERY, ROOT, answered


@pytest.mark.process
def test_every_worked_question_is_answered_as_printed():
    page = PAGE.read_text(encoding="utf-8")
    assert answered(page, demo_data()) == page, "renew it with: python -m tests.state.worked_questions"


def test_there_are_twenty_and_each_has_an_answer():
    answers = [found["answer"].splitlines()[2:] for found in QUERY.finditer(PAGE.read_text(encoding="utf-8"))]
    assert len(answers) == 20
    assert all(answers)


def test_the_dictionary_is_that_of_the_schema():
    page = (ROOT / "docs" / "tables.md").read_text(encoding="utf-8")
    assert page == dictionary(), "renew it with: python -m state.schema.dictionary > docs/tables.md"


def test_nothing_in_the_dictionary_is_left_undescribed():
    assert "|  |" not in dictionary()
    assert "[]" not in dictionary().split("## Tables")[0]
