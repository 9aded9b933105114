"""The prompt of `cronwax sql`."""

from __future__ import annotations

import argparse
import io
import os
import pydoc
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import duckdb
from prompt_toolkit import PromptSession
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.lexers import PygmentsLexer
from pygments.lexers.sql import SqlLexer

from cronwax.commands.arguments import complain, near
from cronwax.commands.asking import answer, renderer, show_error
from cronwax.commands.shown import Shown
from state.ask.prompt import QUIT, command_of, is_complete
from state.ask.questions import QUESTIONS
from state.ask.terminal import clean

_HELP = """\
SQL, up to a semicolon; it may go over several lines. Ctrl-C drops what was typed, or stops the query.

  .tables                tables, views and macros
  .schema [TABLE]        their columns
  .json .csv .record     how answers are shown from now on; .table is the usual way
  .quit, Ctrl-D          the end

Questions, with the options that {program} sql --help lists:
"""
Ask = Callable[[duckdb.DuckDBPyConnection, list[str], argparse.Namespace], None]
"""Answers a question given as words, in the form that the options say."""
_FORMS = (".table", ".json", ".csv", ".record")
_KEYWORDS = (
    "SELECT FROM WHERE GROUP BY ORDER LIMIT JOIN LEFT ON USING AS AND OR NOT NULL IS IN LIKE COUNT DISTINCT"
)


class Prompt:
    """Reads statements, questions and commands from a person, and answers each."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, options: argparse.Namespace, ask: Ask) -> None:
        self._connection = connection
        self._ask_question = ask
        self._options = options
        os.environ.setdefault("PROMPT_TOOLKIT_NO_CPR", "1")  # not every terminal answers where its cursor is
        self._session: PromptSession[str] = PromptSession(
            history=_history(),
            completer=WordCompleter(_words(connection), ignore_case=True, WORD=False),
            lexer=PygmentsLexer(SqlLexer),
            multiline=True,
            key_bindings=_keys(),
            prompt_continuation="    ...> ",
            complete_while_typing=False,
        )

    def run(self) -> None:
        """Until `.quit` or Ctrl-D."""
        print("SQL up to a semicolon, or a question such as status; help lists all, .quit ends.")
        while True:
            try:
                line = self._session.prompt("cronwax> ")
            except KeyboardInterrupt:
                continue
            except EOFError:
                return
            words = line.split()
            if len(words) == 1 and words[0].rstrip(";") in QUIT:
                return
            if line.strip("; \t\n"):
                self._take(line.strip())

    def _take(self, line: str) -> None:
        word = line.split()[0].rstrip(";")
        stopped = threading.Event()
        try:
            with _interruptible(self._connection, stopped):
                if word in ("help", ".help", "?"):
                    _show_help()
                elif word in _FORMS:
                    self._set_form(word)
                elif word in (*QUESTIONS, "why"):
                    self._ask(line)
                elif (command := command_of(line.split())) is not None:
                    self._show(*command)
                elif is_complete(line):
                    self._show(line, {})
                else:
                    complain(
                        f"{clean(word)}: no such question or command{near(word, [*QUESTIONS, 'why', 'help'])}"
                    )
        except (duckdb.Error, RuntimeError) as error:
            if stopped.is_set():
                complain("stopped")
            else:
                show_error(error)
        except KeyboardInterrupt:
            complain("stopped")

    def _ask(self, line: str) -> None:
        try:
            words = shlex.split(line.rstrip("; "))
        except ValueError as error:
            complain(f"{error}: close it")
            return
        self._ask_question(self._connection, words, self._options)

    def _show(self, query: str, parameters: dict[str, object]) -> None:
        """Show answers, in a pager where they are longer than the terminal."""
        out, real = io.StringIO(), sys.stdout
        render = renderer(self._options)
        sys.stdout = Shown(out, real)
        try:
            answer(self._connection, query, parameters, render)
        finally:
            sys.stdout = real
        text = out.getvalue()
        if text.count("\n") < os.get_terminal_size().lines:
            real.write(text)
            real.flush()
        else:
            pydoc.pipepager(text, os.environ.get("PAGER") or "less -RSFX")

    def _set_form(self, word: str) -> None:
        for form in ("json", "csv", "record"):
            setattr(self._options, form, word == f".{form}")


def _keys() -> KeyBindings:
    """Enter ends what is complete; else it begins another line."""
    keys = KeyBindings()

    @keys.add("enter")
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        text = buffer.text.strip()
        word = text.split()[0].rstrip(";") if text else ""
        is_sql = text and not text.startswith(".") and word.upper() in _SQL_WORDS
        if not is_sql or is_complete(text):
            buffer.validate_and_handle()
        else:
            buffer.insert_text("\n")

    return keys


_SQL_WORDS = frozenset(
    """
    SELECT FROM WITH VALUES DESCRIBE SUMMARIZE SHOW EXPLAIN PRAGMA SET RESET CREATE DROP INSERT UPDATE DELETE COPY
    ATTACH DETACH USE CALL PIVOT UNPIVOT TABLE EXPORT INSTALL LOAD ALTER
    """.split()  # noqa: SIM905 - a list of words would be longer than it is clear
)
"""What a statement begins with: only such a line goes on until its semicolon."""


def _history() -> History:
    """Between sessions, in the user's state folder; in memory where there is none to write to."""
    base = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    folder = Path(base) / "cronwax"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = folder / "sql_history"
        file.touch(mode=0o600)
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(file))


def _words(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """What Tab completes: questions, tables, columns, macros, slugs, keywords."""
    named = connection.execute(
        """
        SELECT DISTINCT name FROM (
            SELECT table_name AS name FROM duckdb_tables() WHERE schema_name = 'main' AND NOT internal
            UNION ALL SELECT view_name FROM duckdb_views() WHERE schema_name = 'main' AND NOT internal
            UNION ALL SELECT column_name FROM duckdb_columns() WHERE schema_name = 'main' AND NOT internal
            UNION ALL SELECT function_name FROM duckdb_functions()
                WHERE NOT internal AND function_name NOT LIKE 'cronwax_%'
            UNION ALL (SELECT DISTINCT slug FROM monitors LIMIT 5000)
        ) ORDER BY name
        """
    ).fetchall()
    words = [*QUESTIONS, "why", "help", ".tables", ".schema", ".quit", *_FORMS, *(name for (name,) in named)]
    return [clean(word) for word in dict.fromkeys([*words, *_KEYWORDS.split()])]


@contextmanager
def _interruptible(connection: duckdb.DuckDBPyConnection, stopped: threading.Event) -> Iterator[None]:
    """Within it, Ctrl-C stops the query that runs, and sets `stopped`."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        stopped.set()
        connection.interrupt()
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _show_help() -> None:
    from state.program import program

    print(_HELP.format(program=program()))
    for name, question in QUESTIONS.items():
        print(f"  {name:22} {question.help}")
    print(f"  {'why SLUG':22} in sentences, why a monitor is in its state")
