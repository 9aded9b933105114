"""Markdown for the reference pages."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterable, Sequence

MADE_BY = "This page is made from the code by `./run.sh reference`; do not edit it by hand."


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells may hold any text in one or more lines."""
    lines = [_line(head), "|" + "---|" * len(head)]
    return "\n".join([*lines, *(_line([_cell(text) for text in row]) for row in rows)])


def attribute_docstrings(cls: type) -> dict[str, str]:
    """The docstring behind each attribute of a class, as written in its source, in one line each."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for statement, after in zip(definition.body, definition.body[1:], strict=False):
        name = _assigned(statement)
        if name and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            found[name] = " ".join(str(after.value.value).split())
    return found


def _assigned(statement: ast.stmt) -> str | None:
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        return statement.target.id
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
        return statement.targets[0].id
    return None


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
