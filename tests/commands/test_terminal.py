"""What a person at a terminal sees: tables that fit, whole values, nothing that acts on the terminal, no traceback."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import time

import pexpect
import pytest

from tests.commands.terminal import (
    COLOURS,
    COMMAND,
    INCIDENT,
    NASTY,
    SLUG,
    WIDTHS,
    assert_no_traceback,
    cpu_seconds,
    piped,
    seen,
    variables,
)
from tests.state.state_rows import guid

pytestmark = pytest.mark.process


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("question", ["status", "incidents", "checkins"])
def test_no_line_is_longer_than_the_terminal_and_names_are_whole(data, width, question):
    shown = COLOURS.sub("", seen(data, width, question))
    assert max(len(line) for line in shown.splitlines()) <= width
    assert SLUG in shown
    if question == "incidents":
        assert INCIDENT in shown
    if question == "checkins":
        assert str(guid(1)) in shown or "00000000-0000-0000-0000-000000000001" in shown


def test_times_have_no_fractions_and_a_zone_that_is_asked_for(data):
    shown = COLOURS.sub("", seen(data, 120, "incidents", "--zone", "Europe/Vienna"))
    assert "2025-03-03 01:00:00" in shown
    assert "times in Europe/Vienna" in shown
    assert "00.123" not in shown


def test_what_is_left_out_is_named(data):
    shown = COLOURS.sub("", seen(data, 80, "status", SLUG))
    assert "no room for owner, schedule" in shown
    assert "owner" in COLOURS.sub("", seen(data, 80, "status", SLUG, "--record"))


def test_status_is_headed_by_its_age(data):
    assert re.match(r"as of 2025-03-03 00:00 UTC, published \d+ (s|min) ago\n", seen(data, 120, "status"))


@pytest.mark.parametrize("arguments", [["status"], ["sql", "SELECT environment FROM monitor_environments"]])
def test_nothing_in_a_name_acts_on_the_terminal(data, arguments):
    for shown in (COLOURS.sub("", seen(data, 120, *arguments)), piped(data, *arguments).stdout):
        assert not [each for each in shown if not each.isprintable() and each not in "\n\t"]
        assert r"\x1b[31mvil\x9b2J\u202egnp\u200b" in shown


def test_json_and_csv_are_exact(data):
    rows = [json.loads(line) for line in piped(data, "status", "--json").stdout.splitlines()]
    assert NASTY in {row["environment"] for row in rows}
    read = list(csv.DictReader(io.StringIO(piped(data, "status", "--csv").stdout)))
    assert NASTY in {row["environment"] for row in read}


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_json_is_valid_in_any_encoding_and_for_any_number(data, encoding):
    query = "SELECT 'ü\u202e' AS u, 'nan'::DOUBLE AS n, ['inf'::DOUBLE] AS i, 1 AS a, 2 AS a"
    answered = piped(data, "sql", "--json", query, PYTHONIOENCODING=encoding)
    assert (answered.returncode, answered.stderr) == (0, "")

    def refuse(word):
        raise AssertionError(word)

    row = json.loads(answered.stdout, parse_constant=refuse)
    assert row == {"u": "ü\u202e", "n": None, "i": [None], "a": 1, "a_1": 2}


@pytest.mark.parametrize("arguments", [["status"], ["sql", "SELECT 'ü'"], ["why", SLUG], ["help"]])
def test_an_ascii_terminal_is_no_error(data, arguments):
    assert "Traceback" not in seen(data, 80, *arguments, PYTHONIOENCODING="ascii")
    ended = piped(data, *arguments, PYTHONIOENCODING="ascii")
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("arguments", [["status"], ["why", SLUG], ["status", "--json"], ["health", "--json"]])
def test_a_full_disk_behind_an_answer_is_one_line(data, arguments):
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [*COMMAND, *arguments],
            env=variables(data),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (ended.returncode, ended.stderr) == (1, "cronwax: standard output: No space left on device\n")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "<&- >&-"])
def test_closed_standard_files_are_no_traceback(data, closed):
    ended = subprocess.run(
        ["sh", "-c", f"exec {' '.join(COMMAND)} sql {closed}"],
        env=variables(data),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.stderr in ("", "cronwax: standard output is closed\n")


COMMANDS_THAT_ARE_INTERRUPTED = [
    ["status"],
    ["sql", "SELECT count(*) FROM range(10000000000) AS a(x), range(100) AS b(y) WHERE x % 7 = y"],
    ["why", SLUG],
    ["report"],
    ["help"],
    ["recovery", "store", "3"],
    ["run"],
]


@pytest.mark.parametrize("arguments", COMMANDS_THAT_ARE_INTERRUPTED, ids=lambda words: words[0])
def test_a_signal_in_the_first_seconds_is_no_traceback(data, tmp_path, arguments):
    wait = random.Random(arguments[0])
    for _ in range(4 if os.environ.get("CRONWAX_TEST_FULL") == "1" else 2):
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=tmp_path,
            env=variables(tmp_path / "data" if arguments == ["run"] else data),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        time.sleep(0.06 + wait.random())  # Python itself takes some 30 ms before it runs a line of ours
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert_no_traceback(err)


WHILE_IT_STARTS = """
import os, _signal as signal
change = signal.{name}
def interrupted(*how):
    signal.{name} = change
    os.kill(os.getpid(), signal.SIGINT)
    return change(*how)
signal.{name} = interrupted
from cronwax.__main__ import run
run()
"""


@pytest.mark.parametrize("name", ["signal", "pthread_sigmask"])
def test_a_signal_while_ctrl_c_is_given_its_meaning_ends_the_command(data, name):
    ended = subprocess.run(
        [sys.executable, "-c", WHILE_IT_STARTS.format(name=name), "status"],
        env=variables(data),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGINT, "", "")


def prompt(data, tmp_path):
    child = pexpect.spawn(
        COMMAND[0],
        [*COMMAND[1:], "sql"],
        env=variables(data, XDG_STATE_HOME=str(tmp_path), PAGER="cat"),
        dimensions=(40, 120),
        encoding="utf-8",
        timeout=20,
    )
    child.expect("cronwax>")
    return child


def test_ctrl_c_at_the_prompt_drops_what_was_typed(data, tmp_path):
    child = prompt(data, tmp_path)
    child.send("SELECT 1,\r")
    child.expect("\\.\\.\\.>")
    child.send("2 AS lost")
    child.sendintr()
    child.expect("cronwax>")
    child.send("status\r")
    child.expect("as of 2025-03-03")
    child.expect("cronwax>")
    child.send("quit\r")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def wait_until_busy(pid):
    """Wait until a process has used the processor for half a second: the prompt itself takes far less."""
    before = cpu_seconds(pid)
    until = time.monotonic() + 60
    while cpu_seconds(pid) < before + 0.5:
        assert time.monotonic() < until, "it does nothing"
        time.sleep(0.01)


def test_ctrl_c_stops_a_query_and_the_prompt_goes_on(data, tmp_path):
    child = prompt(data, tmp_path)
    child.send("SELECT count(*) FROM range(10000000000) AS a(x), range(100) AS b(y) WHERE x % 7 = y;\r")
    wait_until_busy(child.pid)
    child.sendintr()
    child.expect("cronwax: stopped")
    child.expect("cronwax>")
    child.send("SELECT 41 + 1 AS answer;\r")
    child.expect("42")
    child.expect("cronwax>")
    child.sendeof()
    child.expect(pexpect.EOF)


@pytest.mark.parametrize(
    ("typed", "answered"),
    [
        ("help", "never-recovered"),
        ("why " + SLUG, "sent about it"),
        ("incidents --open", INCIDENT),
        ("SELEC 1;", "Parser Error"),
        ("SELECT 1 +;", r"\^"),
        (".tables", "monitor_status"),
        (".json\rSELECT 1 AS a;", '{"a": 1}'),
        ("statuss", "do you mean status"),
    ],
)
def test_the_prompt_answers(data, tmp_path, typed, answered):
    child = prompt(data, tmp_path)
    child.send(typed + "\r")
    child.expect(answered)
    child.expect("cronwax>")
    child.send(".quit\r")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_the_prompt_completes_and_remembers(data, tmp_path):
    child = prompt(data, tmp_path)
    child.send("monitor_sta\t")
    child.expect("monitor_status")
    child.sendintr()
    child.send("SELECT 'remembered' AS x;\r")
    child.expect("1 row")
    child.expect("cronwax>")
    child.sendeof()
    child.expect(pexpect.EOF)
    assert "remembered" in (tmp_path / "cronwax" / "sql_history").read_text()
    assert os.stat(tmp_path / "cronwax" / "sql_history").st_mode & 0o077 == 0
