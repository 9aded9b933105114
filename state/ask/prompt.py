"""Statements in the lines that a person or a pipe sends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from state.ask.questions import QUESTIONS, Narrowing, Parameters

Statement = tuple[str, Parameters]
"""SQL and its parameters."""

_TABLES = """
    SELECT table_name AS "table", comment AS meaning
    FROM duckdb_tables() WHERE schema_name = 'main' AND NOT internal AND coalesce(comment, '') NOT LIKE 'Internal:%'
    UNION ALL SELECT view_name, comment FROM duckdb_views() WHERE schema_name = 'main' AND NOT internal
    UNION ALL SELECT function_name, comment FROM duckdb_functions()
    WHERE NOT internal AND function_name NOT LIKE 'cronwax_%'
    ORDER BY ALL"""
_SCHEMA = """
    SELECT table_name AS "table", column_name AS "column", data_type AS type, comment AS meaning
    FROM duckdb_columns()
    WHERE NOT internal AND (table_name = $name OR ($name IS NULL AND schema_name = 'main'))
    ORDER BY table_name, column_index"""
QUIT = (".quit", ".exit", "quit", "exit")
"""What ends a prompt or a pipe, alone on its line."""


def statements(lines: Iterable[str]) -> Iterator[Statement]:
    """The statements in lines without a person, up to their end or `.quit`; a command comes out as its query.

    A statement ends where a line ends with a semicolon, or with the input.
    """
    pending = ""
    for line in lines:
        words = line.split()
        if not pending and words[:1] and words[0] in QUIT and len(words) == 1:
            return
        if not pending and (command := command_of(words)) is not None:
            yield command
            continue
        pending = f"{pending}\n{line}" if pending else line.strip()
        if is_complete(pending):
            if pending.strip("; \n\t"):
                yield pending, {}
            pending = ""
    if pending:
        yield pending, {}


def is_complete(text: str) -> bool:
    """Whether a statement ends with this text."""
    return text.rstrip().endswith(";")


def command_of(words: list[str]) -> Statement | None:
    """The statement of a command that begins with a dot, or of a question's name alone; None if it is neither."""
    if not words:
        return None
    word, *rest = words
    if word == ".tables":
        return _TABLES, {}
    if word == ".schema":
        return _SCHEMA, {"name": rest[0].rstrip(";") if rest else None}
    question = QUESTIONS.get(word.removesuffix(";"))
    if question is None or rest or question.is_required:
        return None
    return question.asked((), Narrowing())
