"""What `cronwax sql` does: asks questions of the published snapshot and shows the answers."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, tzinfo
from functools import partial
from pathlib import Path
from typing import Any

import duckdb

from cronwax.commands.arguments import UsageError, check_setting_names, complain, near
from cronwax.commands.scheduled import FlowSchedules
from cronwax.commands.shown import watch
from state.ask.age import Age, age_of
from state.ask.moments import read_moment
from state.ask.prompt import statements
from state.ask.questions import QUESTIONS, CannotNarrowError, Narrowing, Parameters, Question
from state.ask.rendering import Renderer, render_csv, render_json, render_plain, render_table, text
from state.ask.terminal import clean, wrapped
from state.ask.why import COLUMNS, as_text, reached_by, why
from state.errors import StateError, reason
from state.publish.snapshot import open_snapshot

Converse = Callable[[duckdb.DuckDBPyConnection, argparse.Namespace], None]
"""Answers a person at a terminal, or a pipe."""
WHY = "why"
_EXTRA = (
    *("organization_id", "name", "mttr_seconds", "mtbf_seconds", "longest_seconds"),
    *("early_seconds", "failing_seconds", "lasted_seconds"),
)
"""Columns for programs, which say what others say for people: a terminal leaves them out first."""
_LESS = ("owner", "check_in_id", "project_id")
"""What it leaves out next, where a question does not say."""
_CURRENT = ("status", "incidents", "muted", "lag")
"""Questions about now: on a terminal they are headed by how old the answer is."""


def ask(options: argparse.Namespace, converse: Converse) -> int:
    """Answer a checked command line; returns the exit status. `converse` answers one without a question."""
    try:
        check_setting_names()
        if options.watch:
            return watch(lambda: _ask_once(options, converse), options.every)
        _ask_once(options, converse)
        return 0
    except StateError as error:
        complain(str(error))
        return 1
    except (UsageError, duckdb.ProgrammingError, duckdb.NotSupportedError, duckdb.DataError) as error:
        show_error(error)
        return 2
    except duckdb.Error as error:
        show_error(error)
        return 2 if "read-only" in str(error) else 1


def _ask_once(options: argparse.Namespace, converse: Converse) -> None:
    with open_snapshot(options.data_dir) as connection:
        answer_all(connection, options, converse)


def answer_all(
    connection: duckdb.DuckDBPyConnection, options: argparse.Namespace, converse: Converse
) -> None:
    """Answer what the command line asks. Raises UsageError, StateError and DuckDB's errors."""
    words: list[str] = options.question
    if words[:1] == [WHY]:
        _explain(connection, options)
    elif words and words[0] in QUESTIONS:
        _answer_question(connection, words[0], options)
    elif words:
        answer(connection, words[0], {}, renderer(options))
    else:
        converse(connection, options)


def renderer(
    options: argparse.Namespace, optional: tuple[str, ...] = (), heading: tuple[str, ...] = ()
) -> Renderer:
    """How answers are shown: as it was asked for, else as a table for a person and plain for a pipe."""
    zone: tzinfo = options.zone or UTC
    if options.json:
        return partial(render_json, zone=zone)
    if options.csv:
        return partial(render_csv, zone=zone)
    if options.record or sys.stdout.isatty():
        return partial(render_table, zone=zone, optional=optional, as_records=options.record, heading=heading)
    return partial(render_plain, zone=zone)


def answer(
    connection: duckdb.DuckDBPyConnection, query: str, parameters: Parameters, render: Renderer
) -> int:
    """Run statements and show what they answer; the number of rows. What only changes something answers nothing."""
    count = 0
    for statement in connection.extract_statements(query):
        result = connection.execute(statement, parameters or None)
        if result.description and statement.type in (duckdb.StatementType.SELECT, *_ANSWERING):
            counted = _Counted(_rows(result))
            render([column[0] for column in result.description], counted, sys.stdout)
            count += counted.count
    return count


_ANSWERING = (
    duckdb.StatementType.EXPLAIN,
    duckdb.StatementType.PRAGMA,
    duckdb.StatementType.CALL,
    duckdb.StatementType.EXECUTE,
    duckdb.StatementType.RELATION,
)


class _Counted:
    """Rows, counted as they are read."""

    def __init__(self, rows: Iterator[tuple[Any, ...]]) -> None:
        self._rows = rows
        self.count = 0

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        for row in self._rows:
            self.count += 1
            yield row


def _rows(result: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    while batch := result.fetchmany(10_000):
        yield from batch


def _answer_question(connection: duckdb.DuckDBPyConnection, name: str, options: argparse.Namespace) -> None:
    question, words = QUESTIONS[name], options.question[1:]
    age = age_of(connection)
    by = _narrowing(options, words[0] if words else None, age)
    query, parameters = asked(connection, question, by, options.open, options.days)
    if by.slug is not None:
        check_slug(connection, by)
    if name in _CURRENT and sys.stdout.isatty() and not (options.json or options.csv):
        print(clean(age.headline(datetime.now(UTC), options.zone or UTC)))
    optional = (*_EXTRA, *(question.optional or _LESS))
    render = renderer(options, optional, question.heading)
    if name == "lag":
        _answer_lag(connection, query, parameters, render, options.data_dir)
    else:
        answer(connection, query, parameters, render)


def _answer_lag(
    connection: duckdb.DuckDBPyConnection,
    query: str,
    parameters: Parameters,
    render: Renderer,
    data_dir: Path,
) -> None:
    """How far the flow has read, and how much there is still to read, where that can be found out."""
    result = connection.execute(query, parameters or None)
    columns = [column[0] for column in result.description]
    rows: list[tuple[Any, ...]] = result.fetchall()
    if os.environ.get("CRONWAX_KAFKA_BOOTSTRAP_SERVERS") or (data_dir / "intake").is_dir():
        from cronwax.commands.unread import unread  # slow to import

        left = unread(data_dir, [(row[0], row[1]) for row in rows])
        if left is not None:
            columns.append(left.column)
            rows = [(*row, left.of((row[0], row[1]), row[2])) for row in rows]
    render(columns, rows, sys.stdout)


def asked(
    connection: duckdb.DuckDBPyConnection,
    question: Question,
    by: Narrowing,
    is_flagged: bool = False,
    days: int | None = None,
) -> tuple[str, Parameters]:
    """The statement of a question, and its parameters. Raises UsageError for what it cannot be narrowed by."""
    query, parameters = question.asked((), Narrowing(), is_flagged, days)
    described = connection.execute(f"DESCRIBE {query}", parameters or None).fetchall()
    columns = [column[0] for column in described]
    try:
        return question.asked(columns, by, is_flagged, days)
    except CannotNarrowError as error:
        raise UsageError(
            f"--{error} does not belong to this question: its answer has no such column"
        ) from None


def _narrowing(options: argparse.Namespace, words: str | None, age: Age) -> Narrowing:
    project, slug = split_slug(words) if words is not None else (None, None)
    if project is not None and options.project is not None and project != options.project:
        raise UsageError(f"{words} is of project {project}, and --project says {options.project}")
    zone = options.zone or UTC
    return Narrowing(
        project=options.project if project is None else project,
        slug=slug,
        environment=options.environment,
        owner=options.owner,
        search=options.search,
        begin=_moment("--from", options.begin, age, zone),
        end=_moment("--to", options.end, age, zone),
    )


def split_slug(word: str) -> tuple[int | None, str]:
    """What `[PROJECT/]SLUG` says. Raises UsageError."""
    project, _, slug = word.rpartition("/")
    if project and not (project.isascii() and project.isdecimal()):
        raise UsageError(f"{word}: must be SLUG or PROJECT/SLUG, the project a number")
    return (int(project) if project else None), slug


def check_slug(connection: duckdb.DuckDBPyConnection, by: Narrowing) -> None:
    """Whether there is such a monitor, or was. Raises UsageError with those whose names are nearly the same."""
    known = connection.execute(
        """
        SELECT slug FROM (
            SELECT project_id, slug FROM monitors
            UNION SELECT project_id, slug FROM controls WHERE type = 'delete_monitor'
        ) WHERE $project::UBIGINT IS NULL OR project_id = $project
        """,
        {"project": by.project},
    ).fetchall()
    slugs = [slug for (slug,) in known]
    found = connection.execute(
        "SELECT count(*) FROM (SELECT unnest($slugs) AS slug) WHERE slug GLOB $slug",
        {"slugs": slugs, "slug": by.slug},
    ).fetchone()
    if not (found and found[0]):
        where = "" if by.project is None else f" in project {by.project}"
        raise UsageError(f"there is no monitor {by.slug}{where}{near(by.slug or '', slugs)}")


def _moment(option: str, words: str | None, age: Age, zone: tzinfo) -> datetime | None:
    if words is None:
        return None
    try:
        return read_moment(words, age.event_clock or datetime.now(UTC), zone)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


def _explain(connection: duckdb.DuckDBPyConnection, options: argparse.Namespace) -> None:
    age = age_of(connection)
    by = _narrowing(options, options.question[1], age)
    assert by.slug is not None
    at = _moment("--at", options.at, age, options.zone or UTC)
    reached = reached_by(connection)
    if at is not None and reached is not None and at >= reached:
        if age.event_clock is not None and at > age.event_clock:
            complain(
                f"the data ends at {text(age.event_clock, options.zone or UTC)}: the answer is as of then"
            )
        at = None
    try:
        sentences = why(connection, by.slug, by.project, by.environment, at, FlowSchedules())
    except StateError as error:  # no such monitor or environment
        slugs = [slug for (slug,) in connection.execute("SELECT DISTINCT slug FROM monitors").fetchall()]
        raise UsageError(f"{error}{'' if by.slug in slugs else near(by.slug, slugs)}") from None
    if options.json or options.csv:
        renderer(options)(COLUMNS, sentences, sys.stdout)
        return
    width = _width() if sys.stdout.isatty() else None
    for line in as_text(sentences):
        shown = clean(line)
        print(shown if width is None else wrapped(shown, width))


def _width() -> int:
    return shutil.get_terminal_size().columns


def show_error(error: Exception) -> None:
    """What is wrong, in one line; for a person also where: DuckDB gives the line and a caret."""
    complain(clean(reason(error)))
    if sys.stderr.isatty():
        for block in str(error).split("\n\n")[1:]:
            if "^" in block:
                for line in block.splitlines():
                    print(clean(line), file=sys.stderr)


def work_off(connection: duckdb.DuckDBPyConnection, options: argparse.Namespace) -> None:
    """Answer the statements of standard input; a wrong one ends the work."""
    for query, parameters in statements(line.rstrip("\n") for line in sys.stdin):
        answer(connection, query, parameters, renderer(options))
