"""The runbook and the page of troubles: every command is run, every alert, exit line and error type is on the page."""

from __future__ import annotations

import ast
import json
import re
import shlex
from importlib import import_module

import pytest

from cronwax.commands.table import COMMANDS, question_names
from dataflow.connectors.demo_troubles import lines_of_troubles
from dataflow.monitors.errors import ErrorType
from tests.commands.worked_console import PAGES, answered, prepare, run
from tests.processes import PROJECT

pytestmark = pytest.mark.process

RUNBOOK = (PROJECT / "docs" / "runbook.md").read_text(encoding="utf-8")
ALERTS = (PROJECT / "docs" / "alerts.yml").read_text(encoding="utf-8")
ENDING_ERRORS = {
    *("FlowError", "StartError", "LastingError", "KafkaStartError", "KafkaAwayError"),
    *("StateError", "LogError", "StoreError", "SourceError", "NotHeldError"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("console"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_answer_is_what_is_printed(page, folder):
    text = page.read_text(encoding="utf-8")
    assert answered(text, folder).splitlines() == text.splitlines()


@pytest.mark.parametrize("command", ["./run.sh health", "./run.sh version"])
def test_what_answers_otherwise_each_time_is_run_as_well(command, folder):
    assert command in RUNBOOK.splitlines()
    shown = run(f"{command} || true", folder)
    assert re.match(r"unhealthy: the event clock is \d+ days old|cronwax \d", shown), shown


@pytest.mark.parametrize("command", re.findall(r"^(?!\$)(?:\./run\.sh) .*$", RUNBOOK, re.MULTILINE))
def test_a_command_that_is_not_run_here_is_one_that_there_is(command):
    words = shlex.split(command.partition("|")[0].partition("<")[0].partition(">")[0])[1:]
    assert_parses(words)


@pytest.mark.parametrize("command", re.findall(r"`\./run\.sh ([^`]*)`", RUNBOOK))
def test_a_command_in_a_sentence_is_one_that_there_is(command):
    assert_parses(shlex.split(command))


def assert_parses(words):
    if words in (["demo", "troubles"], ["version"]):
        return
    if words[0] in question_names():
        words = ["sql", *words]
    import_module(COMMANDS[words[0]].module).parser().parse_args(words[1:])


def test_every_alert_has_its_part():
    alerts = set(re.findall(r"- alert: (\w+)", ALERTS))
    assert set(re.findall(r"^### (Cronwax\w+)$", RUNBOOK, re.MULTILINE)) == alerts


def test_every_processing_error_has_its_line():
    table = RUNBOOK.partition("## I see a processing error")[2]
    named = {
        name
        for row in table.splitlines()
        if row.startswith("| `")
        for name in re.findall(r"`([A-Z_]+)`", row.split("|")[1])
    }
    assert named == set(ErrorType)


def exit_lines():
    """The texts of the errors that end a process, with ... for what is put in."""
    for package in ("dataflow", "state"):
        for path in sorted((PROJECT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
                    text = words_of(node.exc.args[0])
                    if getattr(node.exc.func, "id", "") in ENDING_ERRORS and re.search("[a-z]", text):
                        yield text


def words_of(node):
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(words_of(value) for value in node.values)
    if isinstance(node, ast.IfExp):
        return f"{words_of(node.body)} {words_of(node.orelse)}"
    return (
        words_of(node.value)
        if isinstance(node, ast.FormattedValue) and isinstance(node.value, ast.IfExp)
        else "\N{HORIZONTAL ELLIPSIS}"
    )


def test_every_exit_line_is_on_the_page_and_no_other():
    table = RUNBOOK.partition("## I see it end")[2].partition("## I see a processing error")[0]
    parts = [
        part
        for row in table.splitlines()
        if row.startswith("| `")
        for part in re.findall(r"`([^`]*)`", row.split("|")[1])
    ]
    lines = list(exit_lines())
    assert len(lines) > 80
    assert [line for line in lines if not any(part in line for part in parts)] == []
    unknown = "no check-in of a monitor"  # its text is put together elsewhere
    assert [
        part
        for part in parts
        if part not in ("PATH: REASON", unknown) and not any(part in line for line in lines)
    ] == []


def test_the_story_is_the_same_each_time():
    (first,) = lines_of_troubles()
    lines_of_troubles.cache_clear()
    assert lines_of_troubles() == (first,)
    times = [json.loads(line)["ts"] for line in first]
    assert times == sorted(times)
