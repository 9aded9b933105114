"""What was tried of output (the table is in test_trials.py): it fits, it is exact, and no end of it is a traceback."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time

import duckdb
import pexpect
import pyte
import pytest

from cronwax.commands.table import COMMANDS
from state.ask.questions import QUESTIONS
from tests.commands.terminal import (
    COLOURS,
    COMMAND,
    SLUG,
    WIDTHS,
    assert_no_traceback,
    cpu_seconds,
    piped,
    said,
    seen,
    variables,
)
from tests.processes import PROJECT, end, start

pytestmark = pytest.mark.process

ASKS_ALL = """
import sys
from cronwax.main import main
for words in sys.argv[1:]:
    print("=", words, flush=True)
    main(words.split())
"""
"""Asks one question after the other in one process."""
ABOUT_ONE = {name: f"{name} tls-certificates" for name in ("why", "timeline", "samples")}
EVERY_QUESTION = [ABOUT_ONE.get(name, name) for name in (*QUESTIONS, "why")]


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("width", WIDTHS)
def test_every_answer_fits_the_terminal(demo, width, encoding):
    shown = seen(
        demo,
        width,
        *EVERY_QUESTION,
        command=[sys.executable, "-c", ASKS_ALL],
        PYTHONIOENCODING=encoding,
    )
    assert "Traceback" not in shown
    for answer in COLOURS.sub("", shown).split("\n= "):
        question, *lines = answer.splitlines()
        assert lines, question
        # A value that is longer than the terminal by itself is whole, alone on its line.
        too_long = [line for line in lines if len(line) > width and " " in line[24:].strip()]
        assert not too_long, (question, too_long[:3])
    if encoding == "ascii":
        assert shown.isascii()


@pytest.mark.parametrize("width", WIDTHS)
def test_a_table_is_as_straight_on_the_screen_as_it_was_sent(demo, width):
    screen = pyte.Screen(width, 40)
    stream = pyte.Stream(screen)
    stream.feed(seen(demo, width, "incidents", "--open").replace("\n", "\r\n"))
    lines = [line.rstrip() for line in screen.display if line.strip()]
    assert len([line for line in lines if "tls-certificates" in line]) == 1
    for slug in ("tls-certificates", "cache-warmer-us", "log-rotation"):
        assert any(slug in line for line in lines), lines
    ids = [word for line in lines for word in line.split() if len(word) == 32]
    assert len(ids) == 3


EVERY_COMMAND = {
    "help": ["help"],
    "version": ["version"],
    "completion": ["completion", "bash"],
    "sql": ["sql", "SELECT range AS n FROM range(100000)"],
    "status": ["status"],
    "why": ["why", SLUG],
    "json": ["status", "--json"],
    "csv": ["checkins", "--csv"],
    "health": ["health"],
    "report": ["report"],
    "recovery": ["recovery", "store", "2"],
    "project": ["project", "add", "7"],
    "send": ["send", "control", "mute", "--project", "1", "--slug", SLUG, "--muted", "true"],
    "notify": ["notify", "--help"],
    "demo": ["demo"],
}


def test_every_command_is_among_those_that_are_tried():
    # These need a broker or run until they are stopped; the signals below are sent to them. Two need a recovery store
    # and change what is there; tests/recovery tries them.
    others = {"run", "serve", "intake", "tail", "kafka", "bench", "repair", "reshard"}
    assert {*COMMANDS} - {*EVERY_COMMAND} == others


@pytest.fixture
def folder(data, tmp_path):
    """A folder to stand in, with a data folder that has a snapshot and an intake's log."""
    place = tmp_path / "data"
    place.mkdir()
    os.link(data / "monitors.duckdb", place / "monitors.duckdb")
    (place / "intake" / "controls").mkdir(parents=True)
    (place / "intake" / "log.json").write_text('{"version": 1, "partitions": 1}')
    return tmp_path


def started(folder, arguments, **files):
    place = folder / ("other" if arguments == ["demo"] else "data")
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=variables(place),
        timeout=120,
        check=False,
        text=True,
        **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | files,
    )


@pytest.mark.parametrize("arguments", EVERY_COMMAND.values(), ids=EVERY_COMMAND.keys())
def test_a_full_disk_behind_any_command_is_one_line(folder, arguments):
    with open("/dev/full", "w") as full:
        ended = started(folder, arguments, stdout=full)
    lines = [line for line in ended.stderr.splitlines() if " read, " not in line]
    assert len(lines) == 1, ended.stderr
    assert lines[0].startswith("cronwax: ")
    assert lines[0].endswith("No space left on device")


@pytest.mark.parametrize("arguments", EVERY_COMMAND.values(), ids=EVERY_COMMAND.keys())
def test_a_reader_that_leaves_before_any_command_answers_is_no_error(folder, arguments):
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as pipe:
        ended = started(folder, arguments, stdout=pipe)
    assert [line for line in ended.stderr.splitlines() if " read, " not in line] == []


@pytest.mark.parametrize("arguments", EVERY_COMMAND.values(), ids=EVERY_COMMAND.keys())
def test_any_command_without_standard_files_says_so_or_does_its_work(folder, arguments):
    place = folder / ("other" if arguments == ["demo"] else "data")
    command = 'exec "$@" <&- >&- 2>said'
    subprocess.run(
        ["sh", "-c", command, "sh", *COMMAND, *arguments],
        cwd=folder,
        env=variables(place),
        timeout=120,
        check=False,
    )
    lines = [line for line in (folder / "said").read_text().splitlines() if " read, " not in line]
    assert lines in ([], ["cronwax: standard output is closed"])


RUN_ON = {
    **EVERY_COMMAND,
    "tail": ["tail"],
    "serve": ["serve", "--port", "0"],
    "intake": ["intake", "--port", "0"],
    "lines": ["send", "lines"],
    "notifier": ["notify"],
    "help of run": ["run", "--help"],
}


@pytest.mark.parametrize("arguments", RUN_ON.values(), ids=RUN_ON.keys())
def test_a_signal_in_the_first_two_seconds_is_no_traceback(folder, arguments):
    moments = random.Random(f"{arguments}")
    others = {"tail": {"CRONWAX_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}}.get(arguments[0], {})
    for number in (signal.SIGINT, moments.choice((signal.SIGTERM, signal.SIGHUP))):
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=folder,
            env=variables(folder / "data", **others),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        time.sleep(0.06 + 1.94 * moments.random() ** 2)  # Python takes 30 ms before it runs a line of ours
        process.send_signal(number)
        try:
            _, err = process.communicate(timeout=60)
        finally:
            process.kill()
        assert_no_traceback(err)


MAX_SECONDS = 1.0
"""Of a processor, before a command has said anything."""


@pytest.mark.parametrize(
    "arguments", [["status"], ["why", "tls-certificates"], ["report"], ["health"], ["incidents"]]
)
def test_an_answer_takes_less_than_a_second_of_a_processor(demo, tmp_path, arguments):
    assert any(_seconds(demo, arguments) < MAX_SECONDS for _ in range(3))


@pytest.mark.parametrize(
    "arguments", [["demo"], ["run"], ["sql"], ["serve", "--port", "0"]], ids=lambda words: words[0]
)
def test_a_terminal_shows_something_before_a_second_of_a_processor_is_used(demo, tmp_path, arguments):
    child = pexpect.spawn(
        COMMAND[0],
        [*COMMAND[1:], *arguments],
        env=variables(demo if arguments == ["sql"] else tmp_path / "data"),
        timeout=60,
        cwd=PROJECT,
    )
    child.expect(".")
    used = cpu_seconds(child.pid)
    child.kill(signal.SIGTERM)
    child.expect(pexpect.EOF)  # serve ends its parts first
    child.close(force=True)
    assert used < MAX_SECONDS


def test_a_report_about_nothing_says_so_at_once(tmp_path):
    assert any(_seconds(tmp_path, ["report"]) < MAX_SECONDS / 2 for _ in range(3))
    assert (
        said(piped(tmp_path, "report"), 1)
        == f"{tmp_path}/monitors.duckdb: nothing published yet; run the flow first"
    )


def _seconds(data, arguments):
    before = os.times()
    piped(data, *arguments)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def test_a_report_needs_no_home_folder(demo, tmp_path):
    ended = piped(demo, "report", "--out", "page.html", cwd=tmp_path, HOME="/nonexistent", XDG_CACHE_HOME="")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert (tmp_path / "page.html").read_text().lower().startswith("<!doctype html")
    assert piped(demo, "report", "--out", "page.html", cwd=tmp_path).returncode == 0


def test_a_report_is_written_over_no_other_file(data, tmp_path):
    kept = tmp_path / "checkins.jsonl"
    kept.write_text("{}\n")
    assert "is not a page" in said(piped(data, "report", "--out", str(kept)))
    assert kept.read_text() == "{}\n"
    assert said(piped(data, "report", "--out", "-", cwd=tmp_path)).startswith("--out: - is not a file")
    assert os.listdir(tmp_path) == ["checkins.jsonl"]


def test_an_interrupted_demo_says_that_it_stopped_early(tmp_path):
    child = pexpect.spawn(
        COMMAND[0],
        [*COMMAND[1:], "demo"],
        env=variables(tmp_path / "data", CRONWAX_BATCH_SIZE="1"),
        dimensions=(40, 120),
        encoding="utf-8",
        timeout=60,
        cwd=PROJECT,
    )
    child.expect(" read, ")
    child.sendintr()
    child.expect("stopped early \\(SIGINT\\): what was read until then is published")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


@pytest.mark.parametrize("arguments", [["status"], ["why", SLUG], ["report"], ["health"]])
def test_a_folder_that_cannot_be_read_is_one_line(data, tmp_path, arguments):
    (tmp_path / "monitors.duckdb").mkdir()
    said(piped(tmp_path, *arguments), 1)
    (tmp_path / "monitors.duckdb").rmdir()
    (tmp_path / "monitors.duckdb").write_bytes(b"no database" * 1000)
    said(piped(tmp_path, *arguments), 1)
    said(piped(tmp_path / "monitors.duckdb", *arguments), 1)


def test_a_folder_that_cannot_be_written_to_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    for arguments in (
        ["demo", "--data-dir", "file"],
        ["recovery", "file", "2"],
        ["recovery", "file/below", "2"],
    ):
        said(piped(tmp_path / "data", *arguments, cwd=tmp_path))


@pytest.mark.parametrize("arguments", [["status"], ["report"], ["health"], ["why", SLUG]])
def test_a_newer_releases_snapshot_is_one_line(data, tmp_path, arguments):
    shutil.copy(data / "monitors.duckdb", tmp_path)
    with duckdb.connect(str(tmp_path / "monitors.duckdb")) as connection:
        connection.execute("UPDATE schema_info SET version = 999")
    assert "newer" in said(piped(tmp_path, *arguments), 1)


def test_a_newer_releases_state_is_one_line_of_the_flow(demo, tmp_path):
    shutil.copytree(demo, tmp_path / "data")
    with duckdb.connect(str(tmp_path / "data" / "state" / "shard-000.duckdb")) as connection:
        connection.execute("UPDATE schema_info SET version = 999")
    ended = end(start(variables(tmp_path / "data")))
    assert (ended.status, len(ended.complaints)) == (2, 1), ended.err
    assert "newer" in ended.complaints[0]
