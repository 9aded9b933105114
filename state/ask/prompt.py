"""Statements from a person at a terminal, or from a pipe."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from state.ask.questions import QUESTIONS, Parameters

Statement = tuple[str, Parameters]
"""SQL and its parameters."""

_TABLES = """
    SELECT table_name AS "table", comment AS meaning
    FROM duckdb_tables() WHERE NOT internal
    UNION ALL SELECT view_name, comment FROM duckdb_views() WHERE NOT internal
    UNION ALL SELECT function_name, comment FROM duckdb_functions() WHERE NOT internal
    ORDER BY ALL"""
_SCHEMA = """
    SELECT table_name AS "table", column_name AS "column", data_type AS type, comment AS meaning
    FROM duckdb_columns() WHERE NOT internal AND ($name IS NULL OR table_name = $name)
    ORDER BY table_name, column_index"""
_HELP = """\
SQL, up to a semicolon. .tables lists tables, views and macros, .schema [TABLE] their columns, .quit ends.
Questions with a name: {}
"""


def read_statements() -> Iterator[Statement]:
    """The statements of standard input, up to its end or `.quit`; a command comes out as its query.

    A statement ends where a line ends with a semicolon, or with the input.
    """
    pending = ""
    for line in _lines():
        word, *rest = line.split() or [""]
        if not pending and word == ".quit":
            return
        if not pending and (command := _command(word, rest)) is not None:
            yield command
            continue
        pending = f"{pending}\n{line}" if pending else line.strip()
        if pending.rstrip().endswith(";"):
            yield pending, {}
            pending = ""
    if pending:
        yield pending, {}


def _command(word: str, rest: list[str]) -> Statement | None:
    if word == ".tables":
        return _TABLES, {}
    if word == ".schema":
        return _SCHEMA, {"name": rest[0] if rest else None}
    question = QUESTIONS.get(word.removesuffix(";"))
    if question is None or rest or question.is_required:
        return None
    return question.query, question.fill()


def _lines() -> Iterator[str]:
    if not sys.stdin.isatty():
        yield from (line.rstrip("\n") for line in sys.stdin)
        return
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401 - importing it gives `input` its line editing
    print(_HELP.format(", ".join(name for name, question in QUESTIONS.items() if not question.is_required)))
    while True:
        try:
            yield input("cronwax> ")
        except KeyboardInterrupt:
            print()
        except EOFError:
            print()
            return
