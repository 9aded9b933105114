"""The reference pages say what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest

from cronwax.reference.commands import commands_page
from cronwax.reference.markdown import attribute_docstrings
from cronwax.reference.pages import FOLDER, PAGES, write_pages
from dataflow.monitors.errors import ErrorType
from dataflow.settings import SECTIONS, Settings

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_the_code_makes(name):
    assert (ROOT / FOLDER / name).read_text(encoding="utf-8") == PAGES[name](), "renew it: ./run.sh reference"


def test_every_setting_says_what_it_means():
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_every_section_begins_at_a_setting():
    assert set(SECTIONS) <= set(Settings.model_fields)
    assert next(iter(SECTIONS)) == next(iter(Settings.model_fields))


def test_every_error_type_says_what_it_means():
    assert set(attribute_docstrings(ErrorType)) == {kind.name for kind in ErrorType}


def test_pages_are_written_once(tmp_path):
    assert {path.name for path in write_pages(tmp_path)} == set(PAGES)
    assert write_pages(tmp_path) == []


def test_every_argument_of_a_command_says_what_it_means():
    assert [
        line for line in commands_page().splitlines() if line.startswith("|") and line.endswith("|  |")
    ] == []


def test_the_page_of_commands_does_not_depend_on_who_makes_it(monkeypatch):
    monkeypatch.setenv("CRONWAX_PROGRAM", "./run.sh")
    monkeypatch.setenv("CRONWAX_DATA_DIR", "elsewhere")
    monkeypatch.setenv("COLUMNS", "30")
    assert commands_page() == (ROOT / FOLDER / "commands.md").read_text(encoding="utf-8")
