"""Docs and texts for users stay free of a few words that only the authors understood at once.

The list is short on purpose: words that are wrong in every sentence here. It does not judge style. Docstrings and
comments are not looked at, but for those that the reference pages are made from.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INSTEAD = {
    "told": "notified, sent or reported",
    "anew": "again",
    "mend": "fix",
    "mends": "fixes",
    "mended": "fixed",
    "mending": "fixing",
}
WORDS = re.compile(rf"\b({'|'.join(INSTEAD)})\b", re.IGNORECASE)
NOT_YET = ("docs/tables.md",)
"""Files, by how their path begins, that still hold such words: comments of views."""
CODE_BLOCK = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)

PAGES = [
    *ROOT.glob("*.md"),
    *ROOT.glob("docs/**/*.md"),
    ROOT / "docs/alerts.yml",
    *ROOT.glob("examples/*.md"),
]
MODULES = [path for package in ("dataflow", "cronwax", "state") for path in ROOT.glob(f"{package}/**/*.py")]


def found_in(texts: Iterator[tuple[int, str]]) -> list[str]:
    return [
        f"line {line}: {word!r}; say {INSTEAD[word.lower()]}"
        for line, text in texts
        for word in WORDS.findall(text)
    ]


def prose(page: str) -> Iterator[tuple[int, str]]:
    """The lines of a page that are not in a code block, with their numbers."""
    without_code = CODE_BLOCK.sub(lambda block: "\n" * block[0].count("\n"), page)
    return ((number, line) for number, line in enumerate(without_code.splitlines(), 1))


def literals(module: str) -> Iterator[tuple[int, str]]:
    """The texts in a module's code with their lines: parts of f-strings among them, docstrings not."""
    tree = ast.parse(module)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.lineno, node.value


def checked(paths: list[Path]) -> list[str]:
    names = sorted(path.relative_to(ROOT).as_posix() for path in paths)
    return [name for name in names if not name.startswith(NOT_YET)]


@pytest.mark.parametrize("name", checked(PAGES))
def test_a_page_says_it_plainly(name):
    assert found_in(prose((ROOT / name).read_text(encoding="utf-8"))) == []


def test_texts_in_code_say_it_plainly():
    wrong = {name: found_in(literals((ROOT / name).read_text(encoding="utf-8"))) for name in checked(MODULES)}
    assert {name: found for name, found in wrong.items() if found} == {}


def test_such_words_are_found_in_pages_outside_of_code():
    page = "Begin anew.\n```\ntold\n```\nIt is amended, and mended."
    assert found_in(prose(page)) == ["line 1: 'anew'; say again", "line 5: 'mended'; say fixed"]


def test_such_words_are_found_in_texts_of_code_and_not_in_docstrings():
    module = '"""Told."""\ntold = f"{told} is told"\nraise ValueError("Mend" " it")\n'
    assert found_in(literals(module)) == [
        "line 2: 'told'; say notified, sent or reported",
        "line 3: 'Mend'; say fix",
    ]
