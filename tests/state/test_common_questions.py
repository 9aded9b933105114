"""Each question of analysts in at most three lines of SQL says what plain Python says: on the demo and on six random
weeks, hot and cold, from one shard and two, in whatever time zone the session has."""

from __future__ import annotations

from datetime import UTC, datetime
from math import isclose
from pathlib import Path
from typing import Any

import duckdb
import pytest

from state.publish.snapshot_views import SNAPSHOT
from state.schema.catalogue import TABLES
from tests.processes import demo_data
from tests.state import common_questions_of_what_is, six_weeks
from tests.state.common_questions import ASKED, Asked
from tests.state.plain_answers import Facts

Answers = dict[str, list[tuple[Any, ...]]]
assert common_questions_of_what_is  # which adds to ASKED
ZONES = {"hot": "UTC", "cold": "Pacific/Auckland"}


@pytest.fixture(scope="module")
def weeks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folders = {name: tmp_path_factory.mktemp(name) for name in ZONES}
    six_weeks.write(six_weeks.lines_of(), *folders.values())
    return {name: folder / SNAPSHOT for name, folder in folders.items()}


@pytest.fixture(scope="module")
def expected(weeks: dict[str, Path]) -> Answers:
    """Worked out once: the cold tables hold the same."""
    return plain(weeks["hot"])


def plain(path: Path) -> Answers:
    with duckdb.connect(path, read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        facts = Facts(connection)
    return {question.text: [*question.plain(facts)] for question in ASKED}


def assert_same(path: Path, zone: str, question: Asked, wanted: list[tuple[Any, ...]]) -> None:
    with duckdb.connect(path, read_only=True) as connection:
        connection.execute(f"SET TimeZone = '{zone}'")
        found = connection.execute(question.sql).fetchall()
    found, wanted = in_order(found), in_order(wanted)
    assert len(found) == len(wanted)
    for got, want in zip(found, wanted, strict=True):
        assert all(map(is_same, got, want)), f"{got} and not {want}"


def in_order(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Times in UTC; sorted by all that is no fraction."""
    plain_rows = [
        tuple(cell.astimezone(UTC) if isinstance(cell, datetime) and cell.tzinfo else cell for cell in row)
        for row in rows
    ]
    return sorted(plain_rows, key=lambda row: [repr(cell) for cell in row if not isinstance(cell, float)])


def is_same(got: Any, want: Any) -> bool:
    if isinstance(got, float | int) and isinstance(want, float | int) and not isinstance(got, bool):
        return isclose(got, want, rel_tol=1e-9, abs_tol=1e-6)
    return bool(got == want)


@pytest.mark.parametrize("name", ZONES)
@pytest.mark.parametrize("question", ASKED, ids=lambda question: question.text)
def test_six_weeks_are_answered_as_plain_python_does(
    weeks: dict[str, Path], expected: Answers, name: str, question: Asked
) -> None:
    wanted = expected[question.text]
    assert wanted, "nothing is asked here"
    assert_same(weeks[name], ZONES[name], question, wanted)


@pytest.fixture(scope="module")
def demo() -> tuple[Path, Answers]:
    path = demo_data() / SNAPSHOT
    return path, plain(path)


@pytest.mark.process
@pytest.mark.parametrize("question", ASKED, ids=lambda question: question.text)
def test_the_demo_is_answered_as_plain_python_does(demo: tuple[Path, Answers], question: Asked) -> None:
    path, expected = demo
    assert_same(path, "America/New_York", question, expected[question.text])


CONDITIONS = {
    "check_ins": {
        "duration_ms": "status <> 'missed' OR duration_ms IS NULL",
        "timeout_at": "(timeout_at IS NULL) = (status <> 'in_progress')",
        "expected_time": "status <> 'missed' OR expected_time = date_added",
        "date_updated": "status NOT IN ('missed') OR date_updated > date_added",
        "status": "status IN ('in_progress', 'ok', 'error', 'missed', 'timeout', 'unknown')",
    },
    "monitors": {
        "status": "status IN ('active', 'disabled')",
        "schedule_type": "schedule_type IN ('crontab', 'interval')",
        "updated_at": "updated_at >= created_at",
        "owner": "owner IS NULL OR owner LIKE 'team:%' OR owner LIKE 'user:%'",
    },
    "monitor_environments": {
        "status": "status IN ('active', 'ok', 'error')",
        "open_incident_id": "(open_incident_id IS NOT NULL) = (status = 'error')",
        "next_checkin_latest": "next_checkin_latest > next_checkin",
        "sdk": "sdk IS NULL OR sdk LIKE 'sentry%'",
    },
    "incidents": {
        "incident_id": "regexp_full_match(incident_id, '[0-9a-f]{32}')",
        "fingerprint": "regexp_full_match(fingerprint, '[0-9a-f]{32}')",
        "starting_timestamp": "starting_timestamp = (SELECT any_value(c.date_added) FROM check_ins AS c"
        " WHERE c.check_in_id = starting_check_in_id)",
        "resolving_timestamp": "(resolving_timestamp IS NULL) = EXISTS (FROM monitor_environments AS e"
        " WHERE e.open_incident_id = incident_id)",
    },
    "run_decisions": {
        "verdict": "verdict IN ('failure', 'success')",
        "overruled_by": "overruled_by IS NULL OR (NOT counted AND overruled_by > date_added)",
        "message": "message IS NULL OR message IN ('sent', 'muted', 'flapping')",
        "system_incident_id": "system_incident_id IS NULL OR NOT counted",
        "noticed_at": "noticed_at >= date_added",
    },
    "processing_errors": {
        "received_at": "received_at IS NOT NULL",
        "error_types": "len(error_types) > 0",
    },
    "status_changes": {
        "payload_type": "payload_type IN ('occurrence', 'status_change', 'monitor_broken', 'monitor_muted',"
        " 'monitor_unmuted', 'system_incident_started', 'system_incident_ended')",
        "slug": "(slug IS NULL) = (payload_type LIKE 'system%')",
    },
    "clock_ticks": {
        "deviation": "deviation IS NULL OR expected > 0",
        "decided_at": "decided_at IS NULL OR decided_at >= minute",
        "decision": "decision IN ('normal', 'incident', 'abnormal', 'recovering')",
    },
}
"""What the comments of columns say, as far as it can be said as a condition of each row."""


@pytest.mark.parametrize(
    ("table", "column"), [(table, column) for table, columns in CONDITIONS.items() for column in columns]
)
def test_the_comment_of_a_column_holds_in_every_row(weeks: dict[str, Path], table: str, column: str) -> None:
    assert column in TABLES[table].names
    with duckdb.connect(weeks["hot"], read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        query = f"FROM {table} WHERE NOT coalesce({CONDITIONS[table][column]}, false) LIMIT 3"
        assert connection.execute(query).fetchall() == []


def test_each_question_takes_three_lines_at_most() -> None:
    assert [question.text for question in ASKED if question.sql.count("\n") > 2] == []
    assert len(ASKED) == 29
