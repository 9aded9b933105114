"""The command itself: finding what was typed, help, and the answer to what goes wrong around every command."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from cronwax.commands.table import COMMANDS, question_names
from cronwax.main import USAGE, main
from tests.processes import PROJECT, settings

pytestmark = pytest.mark.process

HELP_SECONDS = 0.3


def cronwax(*arguments, **options):
    """Run the command in a process of its own, as run.sh does."""
    variables = {**settings(), "PYTHONPATH": str(PROJECT), **options.pop("variables", {})}
    return subprocess.run(
        [sys.executable, "-P", "-m", "cronwax", *arguments],
        env=variables,
        text=True,
        timeout=60,
        check=False,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL} | options,
    )


def test_the_list_names_every_command(capsys):
    assert main(["help"]) == 0
    listed = set(re.findall(r"^  ([a-z]+)\b", capsys.readouterr().out, re.MULTILINE))
    assert listed == {*COMMANDS, "status", "version", "help"}


def test_no_question_has_a_commands_name():
    assert not {*question_names()} & {*COMMANDS, "help", "version"}


def test_run_sh_lists_the_same_commands_before_anything_is_installed():
    shown = subprocess.run(["./run.sh", "help"], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert USAGE.read_text() in shown.stdout
    for command in ("setup", "test", "lint", "format", "types", "reference", "lock"):
        assert f"\n  {command} " in shown.stdout


@pytest.mark.parametrize("command", ["setup", "lint", "format", "types", "reference", "lock"])
def test_help_of_a_developers_command_runs_nothing(command):
    asked = subprocess.run(
        ["./run.sh", command, "--help"], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert asked.stdout.startswith("usage: ./run.sh")


@pytest.mark.parametrize("name", [*COMMANDS, "help", "why"])
def test_help_answers_at_once(name):
    best = min(_seconds_of_help(name) for _ in range(3))
    assert best < HELP_SECONDS


def _seconds_of_help(name):
    before = os.times()
    asked = cronwax(name, "--help")
    after = os.times()
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.startswith("usage: cronwax")
    # What it takes of a processor: how long others keep the machine from it says nothing about it.
    return after.children_user + after.children_system - before.children_user - before.children_system


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("statuss", "status"),
        ("reprot", "report or repair or project"),
        ("incident", "incidents"),
        ("ru", "run"),
    ],
)
def test_a_name_that_is_nearly_right_brings_a_suggestion(typed, meant, capsys):
    assert main([typed]) == 2
    complaint = f"cronwax: there is no command '{typed}'; do you mean {meant}?; cronwax help lists them\n"
    assert capsys.readouterr().err == complaint


def test_hints_name_the_command_that_was_typed(tmp_path):
    asked = cronwax("nosuch", variables={"CRONWAX_PROGRAM": "./run.sh"})
    assert asked.stderr == "cronwax: there is no command 'nosuch'; ./run.sh help lists them\n"


def test_a_question_is_asked_by_its_name_alone(tmp_path):
    asked = cronwax("status", "--data-dir", str(tmp_path))
    assert asked.returncode == 1
    assert asked.stderr == f"cronwax: {tmp_path}/monitors.duckdb: nothing published yet; run the flow first\n"


def test_paths_are_meant_from_where_the_caller_stands(tmp_path):
    made = cronwax("recovery", "store", "2", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert len(list((tmp_path / "store").glob("part-*.sqlite3"))) == 2


def test_a_folder_with_a_packages_name_takes_no_packages_place(tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "__init__.py").write_text("raise SystemExit('the wrong package')")
    (tmp_path / "dataflow").mkdir()
    (tmp_path / "dataflow" / "__init__.py").write_text("raise SystemExit('the wrong package')")
    ended = cronwax(
        "run",
        cwd=tmp_path,
        variables={"CRONWAX_SOURCE": "file", "CRONWAX_CHECKINS_PATH": "absent.jsonl"},
    )
    assert ended.returncode == 2
    assert "absent.jsonl" in ended.stderr
    assert "wrong package" not in ended.stderr


@pytest.mark.parametrize("arguments", [["help"], ["version"], ["sql", "--help"], ["completion", "bash"]])
def test_a_full_disk_behind_standard_output_is_one_line(arguments):
    with open("/dev/full", "w") as full:
        ended = cronwax(*arguments, stdout=full)
    assert (ended.returncode, ended.stderr) == (1, "cronwax: standard output: No space left on device\n")


@pytest.mark.parametrize("arguments", [("run",), ("sql", "SELECT 1"), ("report",), ("health",)])
def test_a_setting_that_is_nearly_one_is_refused_by_every_command(arguments, tmp_path):
    ended = cronwax(*arguments, variables={"CRONWAX_DATADIR": str(tmp_path)})
    assert ended.returncode == 2
    assert "CRONWAX_DATADIR: there is no such setting; do you mean CRONWAX_DATA_DIR?" in ended.stderr
    assert not list(tmp_path.iterdir())


def test_a_closed_standard_output_is_one_line():
    command = f"exec {sys.executable} -P -m cronwax help >&-"
    ended = subprocess.run(
        ["sh", "-c", command], env={**settings(), "PYTHONPATH": str(PROJECT)}, capture_output=True, text=True
    )
    assert (ended.returncode, ended.stderr) == (1, "cronwax: standard output is closed\n")


def test_a_reader_that_leaves_early_is_no_error():
    command = f"{sys.executable} -P -m cronwax help | true; echo ${{PIPESTATUS[0]}}"
    ended = subprocess.run(
        ["bash", "-c", command],
        env={**settings(), "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
    )
    assert (ended.stdout, ended.stderr) == ("0\n", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_that_names_the_command(shell, capsys):
    assert main(["completion", shell]) == 0
    assert "cronwax" in capsys.readouterr().out


def completed(line, tmp_path):
    """What the shell is offered after a line, as argcomplete's script asks for it."""
    answers = tmp_path / "answers"
    variables = {
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answers),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "_ARGCOMPLETE_IFS": "\n",
    }
    cronwax(variables=variables)
    return {word.strip() for word in answers.read_text().split("\n")}


def test_completion_offers_commands_questions_and_options(tmp_path):
    assert {"status", "sql", "run", "incidents"} <= completed("cronwax ", tmp_path)
    assert completed("cronwax rep", tmp_path) == {"repair", "report"}
    assert {"--data-dir", "--out"} <= completed("cronwax report --", tmp_path)
    assert {"check-in", "control", "lines"} <= completed("cronwax send ", tmp_path)
