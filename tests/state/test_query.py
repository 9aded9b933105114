"""The `sql` command, as a person or a script calls it."""

from __future__ import annotations

import io
import json
import shutil
import sys
from typing import Any

import duckdb
import pytest

from cronwax.commands.sql import main
from state.ask.questions import QUESTIONS
from state.ask.rendering import render_table
from state.ask.summary import print_summary, summarize
from state.publish.publish import Publisher
from state.publish.snapshot_views import SNAPSHOT
from state.schema.tables.runs import IncidentRow, ProcessingErrorRow, StatusChangeRow
from state.schema.tables.sampling import SampleRow
from state.write.writer import StateWriter
from tests.shared import made_once
from tests.state.state_rows import START_US, check_in, environment, guid, monitor, partition, row, write

INCIDENT = "ab" * 16
ROWS: dict[str, list[Any]] = {
    "monitors": [monitor(), monitor(slug="mail", name="Mail")],
    "monitor_environments": [environment(), environment(slug="mail", status="error", incident=INCIDENT)],
    "check_ins": [check_in(1), check_in(2, "missed", slug="mail", minute=5)],
    "incidents": [
        row(IncidentRow, INCIDENT, 1, "mail", "production", INCIDENT, guid(2), START_US),
        row(
            IncidentRow,
            *("cd" * 16, 1, "backup", "production", "cd" * 16, guid(1), START_US),
            *(guid(3), START_US + 90_000_000),
        ),
    ],
    "status_changes": [
        row(
            StatusChangeRow,
            *("m1", "occurrence", 1, "mail", "production", INCIDENT, guid(2), START_US, b"{}"),
        ),
        row(
            StatusChangeRow,
            *("m2", "status_change", 1, "backup", "production", "cd" * 16, guid(3), START_US, b"{}"),
        ),
    ],
    "processing_errors": [
        row(
            ProcessingErrorRow,
            *(guid(9), START_US, ["MONITOR_INVALID_CONFIG", "MONITOR_NOT_FOUND"], b"[]", b"{}"),
            *(1, "nope", None, None, "checkins", 0, 17),
        )
    ],
    "check_in_samples": [
        row(
            SampleRow,
            *(guid(1), 1, "backup", "production", None, 0.5, START_US, b'{"a":\n1}', "checkins", 0, 5),
        )
    ],
    "partitions": [partition(18)],
}


def published(folder):
    writer = StateWriter.open(folder)
    write(writer, **ROWS)
    Publisher(writer, folder, 0, lambda: START_US / 1_000_000).publish()
    writer.close()


@pytest.fixture
def data(tmp_path, monkeypatch):
    shutil.copytree(made_once("to-be-asked", published), tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("CRONWAX_DATA_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def ask(data, capsys):
    def ask_it(*arguments):
        """What is printed, as lines of fields; the command must succeed."""
        assert main([*arguments]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        return [line.split("\t") for line in out.splitlines()]

    return ask_it


def test_a_piped_answer_is_plain_lines_with_tabs(ask):
    assert ask(
        "SELECT slug, date_added, duration_ms, expected_time, true AS t FROM check_ins ORDER BY slug"
    ) == [
        ["slug", "date_added", "duration_ms", "expected_time", "t"],
        ["backup", "2025-03-03T00:00:00Z", "120", "", "true"],
        ["mail", "2025-03-03T00:05:00Z", "120", "", "true"],
    ]


def test_several_statements_are_answered_one_by_one(ask):
    assert ask("SELECT 1 AS a; SELECT ';' AS b") == [["a"], ["1"], ["b"], [";"]]


def test_a_line_is_a_row_whatever_a_value_holds(ask):
    assert ask("SELECT 'a\tb\nc' AS x")[1:] == [["a\\tb\\nc"]]


def test_json_is_an_object_a_line(data, capsys):
    main(
        [
            "--json",
            "SELECT positions, check_in_id, 1.5 AS rate FROM snapshot_info, check_ins ORDER BY ALL LIMIT 1",
        ]
    )
    assert json.loads(capsys.readouterr().out) == {
        "positions": [
            {"topic": "checkins", "partition": 0, "position": 18, "clock": "2025-03-03T00:00:00Z"},
        ],
        "check_in_id": "00000000-0000-0000-0000-000000000001",
        "rate": 1.5,
    }


def test_csv_quotes_what_needs_it(data, capsys):
    main(["--csv", "SELECT 'a,b' AS x, NULL AS y"])
    assert capsys.readouterr().out == 'x,y\r\n"a,b",\r\n'


def test_status_shows_failing_ones_first(ask):
    header, *rows = ask("status")
    assert [(row[1], row[3]) for row in rows] == [("mail", "error"), ("backup", "ok")]
    assert rows[0][header.index("since")] == "2025-03-03T00:00:00Z"


def test_open_incidents_are_those_not_resolved(ask):
    assert [row[1] for row in ask("incidents", "--open")[1:]] == ["mail"]
    assert {row[1]: row[5] for row in ask("incidents")[1:]} == {"mail": "0:00:00", "backup": "0:01:30"}


def test_errors_are_counted_by_type(ask):
    assert [row[:2] for row in ask("errors")[1:]] == [
        ["MONITOR_INVALID_CONFIG", "1"],
        ["MONITOR_NOT_FOUND", "1"],
    ]


def test_check_ins_can_be_those_of_one_monitor(ask):
    assert [row[2] for row in ask("checkins")[1:]] == ["mail", "backup"]
    assert [row[2] for row in ask("checkins", "backup")[1:]] == ["backup"]


def test_samples_are_those_of_one_monitor(ask):
    assert [row[-1] for row in ask("samples", "backup")[1:]] == ['{"a":\\n1}']
    assert ask("samples", "mail")[1:] == []


def test_uptime_can_look_back_over_any_number_of_days(data, ask):
    with duckdb.connect(data / SNAPSHOT) as connection:
        connection.execute("UPDATE snapshot_info SET event_clock = event_clock + INTERVAL 60 HOUR")
    columns = ["slug", "uptime_percent", "ok", "failing", "unknown"]
    by_days = {}
    for days in ("2", "4"):
        header, *rows = ask("uptime", "--days", days)
        by_days[days] = [[row[header.index(column)] for column in columns] for row in rows]
    assert by_days == {
        "2": [
            ["mail", "0.0", "0:00:00", "48:00:00", "0:00:00"],
            ["backup", "100.0", "48:00:00", "0:00:00", "0:00:00"],
        ],
        "4": [
            ["mail", "0.0", "0:00:00", "60:00:00", "36:00:00"],
            ["backup", "99.958", "59:58:30", "0:01:30", "36:00:00"],
        ],
    }


@pytest.mark.parametrize("days", ["0", "-1", "36501", "many", "1.5", "٣" * 9])
def test_a_wrong_number_of_days_is_told(data, capsys, days):
    with pytest.raises(SystemExit):
        main(["uptime", "--days", days])
    assert "is not a whole number from 1 to 36500" in capsys.readouterr().err


def test_a_timeline_is_that_of_one_monitor(data, ask):
    with duckdb.connect(data / SNAPSHOT) as connection:
        connection.execute("UPDATE snapshot_info SET event_clock = event_clock + INTERVAL 1 HOUR")
    happened = [["incident", "opened"], ["message", "occurrence"], ["check-in", "missed"]]
    assert [row[3:5] for row in ask("timeline", "mail")[1:]] == happened
    assert [row[3:5] for row in ask("timeline", "1/mail")[1:]] == happened


@pytest.mark.parametrize("name", sorted(QUESTIONS))
def test_every_question_has_an_answer(ask, name):
    header, *rows = ask(name, *["mail"] * QUESTIONS[name].is_required)
    assert all(len(row) == len(header) for row in rows)


def test_why_is_answered_in_sentences(ask):
    (first, *_), *more = ask("why", "backup")
    assert first == "1/backup, production, at 2025-03-03 00:01:30 UTC: ok."
    assert len(more) > 3
    (then, *_), *_ = ask("why", "1/backup", "--environment", "production", "--at", "2025-03-03T00:00")
    assert then == "1/backup, production, at 2025-03-03 00:00 UTC: error, since 2025-03-03 00:00 UTC."


def test_why_is_an_object_a_sentence_for_programs(data, capsys):
    assert main(["--json", "why", "backup"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {row["about"] for row in rows} >= {"state", "schedule", "message"}
    assert {(row["project_id"], row["slug"], row["environment"]) for row in rows} == {
        (1, "backup", "production")
    }


def test_rules_without_any_is_only_a_header(ask):
    assert len(ask("rules")) == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["samples"], "usage: cronwax samples [PROJECT/]SLUG"),
        (["errors", "extra"], "usage: cronwax errors"),
        (["timeline"], "usage: cronwax timeline [PROJECT/]SLUG [--days N]"),
        (["status", "--days", "3"], "usage: cronwax status"),
        (["status", "--at", "2025-03-03"], "--at belongs to why"),
        (["why"], "usage: cronwax why [PROJECT/]SLUG [--at TIME] [--project ID] [--environment NAME]"),
        (["why", "mail", "--days", "3"], "usage: cronwax why"),
        (["why", "a/mail"], "a/mail: must be SLUG or PROJECT/SLUG, the project a number"),
        (["why", "mail", "--project", "2"], "no check-in of a monitor mail in project 2"),
        (["why", "nope"], "1 that named it was rejected"),
        (["uptime", "--open"], "usage: cronwax uptime [[PROJECT/]SLUG] [--days N]"),
        (["--days", "3", "SELECT 1"], "--open, --days, --project and the like belong to questions"),
        (["incident"], "incident: no such question; do you mean incidents?"),
        (["xyz"], "xyz: no such question (status, incidents, "),
        (["checkins", "bakup"], "there is no monitor bakup; do you mean backup?"),
        (["timeline", "2/mail"], "there is no monitor mail in project 2"),
        (["why", "bakup"], "do you mean backup?"),
        (["why", "1/mail", "--project", "2"], "1/mail is of project 1, and --project says 2"),
        (["errors", "--owner", "team:a"], "--owner does not belong to this question"),
        (["status", "--from", "noon"], "--from: noon is not a time; write it like"),
        (["why", "mail", "--at", "2025-13-01"], "--at: 2025-13-01 is not a time; write it like"),
        (["SELECT", "1"], "put SQL into one pair of quotes"),
        (["SELEC 1"], 'Parser Error: syntax error at or near "SELEC"'),
        (["SELECT nope FROM check_ins"], '"nope" not found'),
        (["DELETE FROM check_ins"], "read-only"),
    ],
)
def test_a_wrong_question_is_one_clear_line(data, capsys, arguments, told):
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("cronwax: ")
    assert told in err
    assert err.count("\n") == 1


def test_before_anything_is_published_it_says_so(tmp_path, capsys):
    assert main(["--data-dir", str(tmp_path), "status"]) == 1
    assert (
        capsys.readouterr().err
        == f"cronwax: {tmp_path / SNAPSHOT}: nothing published yet; run the flow first\n"
    )


@pytest.mark.parametrize("change", ["UPDATE schema_info SET version = 99", "DROP TABLE schema_info"])
def test_a_snapshot_of_another_version_is_one_clear_line(data, capsys, change):
    with duckdb.connect(data / SNAPSHOT) as connection:
        connection.execute(change)
    assert main(["status"]) == 1
    told = capsys.readouterr().err
    assert "schema version 99" in told or "not one of Cronwax" in told
    assert told.count("\n") == 1


def piped(monkeypatch, text):
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def test_statements_are_read_from_a_pipe(ask, monkeypatch):
    piped(monkeypatch, "SELECT 1\n  AS a;\nerrors\nSELECT 2 AS b;\n.quit\nSELECT 3;")
    assert [row[0] for row in ask()] == [
        "a",
        "1",
        "error_type",
        "MONITOR_INVALID_CONFIG",
        "MONITOR_NOT_FOUND",
        "b",
        "2",
    ]


def test_the_last_statement_needs_no_semicolon(ask, monkeypatch):
    piped(monkeypatch, "\nSELECT 2 AS b\n")
    assert ask() == [["b"], ["2"]]


def test_tables_and_columns_can_be_listed_with_their_meaning(ask, monkeypatch):
    piped(monkeypatch, ".tables\n.schema incidents\n")
    rows = ask()
    assert ["incidents", "resolving_timestamp"] in [row[:2] for row in rows]
    assert all(len(row[-1]) > 10 for row in rows if row[0] not in {"table"})


def test_a_wrong_statement_in_a_pipe_ends_the_work(data, monkeypatch, capsys):
    piped(monkeypatch, "SELECT 1 AS a;\nSELEC;\nSELECT 2 AS b;\n")
    assert main([]) == 2
    assert capsys.readouterr().out == "a\n1\n"


def test_a_table_shows_a_thousand_rows_and_says_that_there_are_more():
    out = io.StringIO()
    render_table(["n"], ((number,) for number in range(1_001)), out)
    assert "999" in out.getvalue()
    assert "1000\n" not in out.getvalue()
    assert "1,000 rows shown, there are more" in out.getvalue()


def test_the_summary_counts_what_happened(data):
    assert summarize(data) == {
        "monitors": {"error": 1, "ok": 1},
        "check-ins": {"missed": 1, "ok": 1},
        "incidents": {"opened": 2, "resolved": 1},
        "messages": {"occurrence": 1, "status_change": 1},
        "errors": {"MONITOR_INVALID_CONFIG": 1, "MONITOR_NOT_FOUND": 1},
    }


def test_a_piped_summary_is_plain_lines_and_ends_with_what_to_type_next(capsys):
    print_summary({"check-ins": {"missed": 1_234, "ok": 1}, "errors": {}})
    assert capsys.readouterr().out == "check-ins: 1,234 missed, 1 ok\nerrors: none\nnext: cronwax status\n"
