"""What was tried of hints and suggestions (the table is in test_trials.py): what is wrong, where, and what to type."""

from __future__ import annotations

import gzip
import json
import re
import subprocess

import pytest

from tests.builders import HOURLY, as_line, check_in, control
from tests.commands.terminal import COMMAND, SLUG, piped, said, seen, variables
from tests.processes import PROJECT, end, start, write_jsonl

pytestmark = pytest.mark.process

GOOD = [check_in(60 * n, "nightly", number=n + 1, config=HOURLY) for n in range(3)]


def flow(folder, *arguments, **settings):
    """A flow over a file, in the caller's folder."""
    named = {f"CRONWAX_{name.upper()}": str(value) for name, value in settings.items()}
    return piped(folder / "data", "run", *arguments, cwd=folder, **{"CRONWAX_SOURCE": "file", **named})


def test_what_to_type_next_is_about_the_folder_that_was_filled(tmp_path):
    ended = piped("mine", "demo", cwd=tmp_path)
    assert "next: cronwax status --data-dir mine\n" in ended.stdout
    assert "then: cronwax sql --data-dir mine for a prompt" in ended.stdout
    assert piped("data", "status", "--data-dir", "mine", cwd=tmp_path).returncode == 0


def text(lines):
    return b"".join(as_line(line) + b"\n" for line in lines)


UNREADABLE = {
    "gzip under a wrong name": (gzip.compress(text(GOOD)), "line 1: JSON is malformed"),
    "UTF-16": (text(GOOD).decode().encode("utf-16"), "line 1: JSON is malformed"),
    "CSV": (b"ts,slug,status\n2025-03-03,a,ok\n", "line 1: JSON is malformed"),
    "an array": (
        json.dumps(GOOD).encode() + b"\n",
        "line 1: the line as a whole: Expected `object`, got `array`",
    ),
    "pretty-printed": (json.dumps(GOOD[0], indent=2).encode(), "line 1: Input data was truncated"),
    "a number": (b"5\n", "line 1: the line as a whole: Expected `object`, got `int`"),
    "messages without ts": (text([{"message": GOOD[0]["message"]}]), "line 1: ts is missing or not a time"),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_input_that_cannot_be_read_names_the_first_reason_and_where_all_of_it_is(tmp_path, kind):
    content, reason = UNREADABLE[kind]
    (tmp_path / "checkins.jsonl").write_bytes(content)
    ended = flow(tmp_path, checkins_path="checkins.jsonl")
    assert "MALFORMED_MESSAGE" in ended.stdout
    (line,) = [line for line in ended.stdout.splitlines() if line.startswith("not read: ")]
    assert reason in line
    assert line.endswith(f"all of it is in {tmp_path / 'data' / 'dead_letters.jsonl'}")
    assert (tmp_path / "data" / "dead_letters.jsonl").exists()


def test_what_is_set_and_not_used_is_said(tmp_path):
    write_jsonl(tmp_path / "in.jsonl", GOOD)
    ended = flow(tmp_path, checkins_path="in.jsonl", kafka_bootstrap_servers="localhost:1")
    assert ended.returncode == 0
    lines = [line for line in ended.stderr.splitlines() if " read, " not in line]
    assert lines == ["cronwax: CRONWAX_KAFKA_BOOTSTRAP_SERVERS is set and not used: CRONWAX_SOURCE is file"]


def test_a_path_of_check_ins_that_the_demo_would_not_read_is_refused(tmp_path):
    ended = piped(tmp_path, "demo", CRONWAX_CHECKINS_PATH="in.jsonl")
    assert (
        said(ended)
        == "CRONWAX_CHECKINS_PATH is set, but CRONWAX_SOURCE is demo: set CRONWAX_SOURCE=file to read it"
    )


def test_the_demos_data_is_not_mixed_with_others_silently(tmp_path):
    write_jsonl(tmp_path / "in.jsonl", GOOD)
    assert flow(tmp_path, checkins_path="in.jsonl").stderr.count("cronwax: ") == 1  # its progress
    mixed = piped(tmp_path / "data", "demo", cwd=tmp_path)
    assert "holds other data (" in mixed.stderr
    assert "in.jsonl" in mixed.stderr
    again = flow(tmp_path, checkins_path="in.jsonl")
    assert "holds data of the demo (demo), to which this is added; set CRONWAX_DATA_DIR" in again.stderr


def test_options_that_contradict_are_refused(data):
    assert said(piped(data, "why", f"1/{SLUG}", "--project", "2")) == (
        f"1/{SLUG} is of project 1, and --project says 2"
    )
    assert "--at belongs to why" in said(piped(data, "status", "--at", "now"))
    assert "usage: cronwax status" in said(piped(data, "status", "--open"))


@pytest.mark.parametrize("question", ["timeline", "checkins", "why", "status", "samples"])
def test_a_slug_that_there_is_not_is_named_with_those_nearly_like_it(data, question):
    line = said(piped(data, question, SLUG[:-2]))
    assert SLUG[:-2] in line
    assert f"do you mean {SLUG}?" in line
    assert "do you mean" not in said(piped(data, question, "nosuch"))


@pytest.mark.parametrize("words", [["statuss"], ["sql", "statuss"], ["sql", "wy"]])
def test_a_question_nearly_right_brings_a_suggestion(data, words):
    assert re.search(r"do you mean (status|why)", said(piped(data, *words)))


def test_the_list_of_questions_has_why():
    shown = subprocess.run(
        [*COMMAND, "sql", "--help"], env=variables("data"), cwd=PROJECT, capture_output=True
    )
    assert b"\n  why [PROJECT/]SLUG" in shown.stdout


@pytest.mark.parametrize("typed", [";", " ", ";;", ""])
def test_a_statement_of_nothing_is_no_unknown_question(data, typed):
    assert said(piped(data, "sql", typed)) == "there is no question and no SQL in that"


def test_a_statement_that_only_changes_something_answers_nothing(data):
    ended = piped(data, "sql", "CREATE TEMP TABLE t AS SELECT 1 AS a; SELECT a FROM t")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "a\n1\n", "")


def test_a_syntax_error_shows_where_to_a_person_and_is_one_line_for_a_program(data):
    shown = seen(data, 80, "sql", "SELECT 1 +")
    assert "cronwax: Parser Error" in shown
    assert "LINE 1: SELECT 1 +" in shown
    assert "^" in shown
    said(piped(data, "sql", "SELECT 1 +"))


TIMES = [
    "10:30",
    "now",
    "yesterday 3:00",
    "2 hours ago",
    "2025-03-03T08:00",
    "3:00 Europe/Vienna",
    "2025-03-03 8:00",
]


@pytest.mark.parametrize("typed", TIMES)
def test_a_time_is_what_a_person_types(demo, typed):
    ended = piped(demo, "why", "303/tls-certificates", "--at", typed)
    # The demo's data begins at 3 March, 0:00 UTC: yesterday is that day, as its clock stands at the end of it.
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stderr
    assert piped(demo, "checkins", "--from", typed).returncode == 0


def test_a_time_that_is_none_is_one_line_with_examples(demo):
    assert said(piped(demo, "why", "303/tls-certificates", "--at", "teatime")) == (
        "--at: teatime is not a time; write it like 2025-03-03T08:00, 10:30, yesterday 3:00, 2 hours ago, now"
    )


def test_a_time_after_all_data_is_said_and_one_before_it_too(demo):
    later = piped(demo, "why", "303/tls-certificates", "--at", "2026-01-01")
    assert later.returncode == 0
    assert later.stderr == "cronwax: the data ends at 2025-03-04T00:00:00Z: the answer is as of then\n"
    before = piped(demo, "why", "303/tls-certificates", "--at", "2024-01-01")
    assert "2025-03-03" in before.stdout + before.stderr
    assert "2024-01-01 00:00 UTC: ok" not in before.stdout


@pytest.fixture
def log(data, tmp_path):
    """A data folder with a snapshot and an intake's log: controls can be sent without a broker."""
    place = tmp_path / "data"
    write_jsonl(
        tmp_path / "in.jsonl",
        [control(0, "upsert_monitor", project_id=1, monitor_slug="nightly", monitor_config=HOURLY)],
    )
    assert flow(tmp_path, checkins_path="in.jsonl").returncode == 0
    (place / "intake" / "controls").mkdir(parents=True)
    (place / "intake" / "log.json").write_text('{"version": 1, "partitions": 1}')
    return place


@pytest.mark.parametrize(
    "kind", [["mute", "--muted", "true"], ["set-monitor-status", "--status", "disabled"], ["reset"]]
)
def test_a_control_of_something_unknown_is_doubted_where_a_snapshot_is_at_hand(log, kind):
    name, *options = kind
    ended = piped(log, "send", "control", name, "--project", "1", "--slug", "nighty", *options)
    assert ended.returncode == 0
    assert ended.stderr == (
        f"cronwax: the snapshot in {log}: no monitor nighty in project 1; do you mean nightly? It is sent; the flow "
        "refuses what it does not know either\n"
    )
    known = piped(log, "send", "control", name, "--project", "1", "--slug", "Nightly", *options)
    assert (known.returncode, known.stderr) == (0, "")


def test_a_control_is_sent_as_json_says(log):
    sent = piped(
        log, "send", "--json", "control", "mute", "--project", "1", "--slug", "nightly", "--muted", "true"
    )
    assert json.loads(sent.stdout) == {"message": "control mute", "file": str(log / "intake" / "controls")}


def test_recovery_and_report_say_what_they_made(data, tmp_path):
    made = piped(data, "recovery", "store", "2", "--json", cwd=tmp_path)
    assert json.loads(made.stdout) == {"store": "store", "parts": 2}
    packed = json.loads(piped(data, "recovery", "store", "--json", cwd=tmp_path).stdout)
    assert packed["store"] == "store"
    assert packed["bytes"] > 0
    assert piped(data, "recovery", "store", cwd=tmp_path).stdout.startswith("cronwax: store: ")
    page = json.loads(piped(data, "report", "--out", "page.html", "--json", cwd=tmp_path).stdout)
    assert page == {"file": "page.html", "bytes": (tmp_path / "page.html").stat().st_size}


def test_the_home_folder_is_meant_where_the_shell_has_left_its_sign(data, tmp_path):
    home = {"HOME": str(tmp_path), "cwd": tmp_path}
    write_jsonl(tmp_path / "in.jsonl", GOOD)
    (tmp_path / "projects.json").write_text("{}")
    ended = piped(
        "~/mine",
        "run",
        CRONWAX_SOURCE="file",
        CRONWAX_CHECKINS_PATH="~/in.jsonl",
        CRONWAX_PROJECTS_PATH="~/projects.json",
        **home,
    )
    assert ended.returncode == 0, ended.stderr
    assert piped("x", "status", "--data-dir=~/mine", **home).returncode == 0
    assert piped("~/mine", "report", "--out=~/page.html", **home).returncode == 0
    assert piped("x", "recovery", "~/store", "1", **home).returncode == 0
    ended = piped(
        "~/mine",
        "run",
        "--recovery-directory=~/store",
        "-s",
        "0.5",
        "-b",
        "0",
        CRONWAX_SOURCE="file",
        CRONWAX_CHECKINS_PATH="~/in.jsonl",
        **home,
    )
    assert ended.returncode == 0, ended.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "in.jsonl",
        "mine",
        "page.html",
        "projects.json",
        "store",
    ]


def test_a_broker_that_is_away_is_one_line_of_send(tmp_path):
    arguments = ["send", "control", "set-seats", "--organization", "1", "--seats", "3"]
    ended = piped(tmp_path, *arguments, CRONWAX_KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert said(ended, 1).startswith("Kafka at 127.0.0.1:1 does not answer: ")


@pytest.mark.parametrize(
    "given", [["-r", "store"], ["-r", "store", "-s", "10"], ["--recovery-directory=store", "-b", "0"]]
)
def test_what_a_recovery_store_needs_beside_it_is_one_line(tmp_path, given):
    line = said(piped(tmp_path, "run", *given))
    assert "needs -" in line
    assert "http" not in line


@pytest.mark.parametrize("given", ["half", "-1", "nan", "1e9"])
def test_an_epoch_is_a_number_of_seconds(tmp_path, given):
    line = said(piped(tmp_path, "run", f"-s={given}"))
    assert line.startswith(f"argument -s/--snapshot-interval: invalid number of seconds value: '{given}'")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"1": 1, "2": "acme"}', "project 2: Expected `int | object`, got `str`"),
        ('{"1": {"keyz": []}}', "project 1: Object contains unknown field `keyz`"),
        ('{"acme": 1}', 'the key "acme" is not a project\'s number'),
        ('{"1": 5, "1": 6}', 'the key "1" is given twice'),
        ('{"1": {"organization": 1, "organization": 2}}', 'the key "organization" is given twice'),
    ],
)
def test_a_wrong_projects_file_says_which_key(tmp_path, content, reason):
    path = tmp_path / "projects.json"
    path.write_text(content)
    for words in (["demo"], ["project", "list"]):
        assert reason in said(piped(tmp_path, *words, CRONWAX_PROJECTS_PATH=str(path)))


def test_a_projects_file_may_begin_with_a_byte_order_mark(tmp_path):
    path = tmp_path / "projects.json"
    path.write_bytes(b'\xef\xbb\xbf{"1": 1}')
    assert (
        piped(tmp_path, "project", "list", CRONWAX_PROJECTS_PATH=str(path)).stdout
        == "project 1, organization 1\n"
    )


def test_check_ins_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "in.jsonl").write_bytes(b"\xef\xbb\xbf" + text(GOOD))
    assert "MALFORMED" not in flow(tmp_path, checkins_path="in.jsonl").stdout


def test_a_flow_says_at_once_what_is_wrong_before_it_reads(tmp_path):
    ended = end(
        start(variables(tmp_path, CRONWAX_SOURCE="file", CRONWAX_CHECKINS_PATH=str(tmp_path / "none.jsonl")))
    )
    assert (ended.status, len(ended.complaints)) == (2, 1)
