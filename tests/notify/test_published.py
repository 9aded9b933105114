"""The notifier's attempts, on their way into the published tables."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from cronwax.notify.ledger import _SINCE_2, FOLDER, NAME, Ledger, Result
from cronwax.notify.notification import Notification
from cronwax.notify.plan import Plan
from dataflow.connectors.notify_ledger import LEDGER, NotifyLedger
from dataflow.monitors.silences import Silence
from state.schema.tables.silences import NotificationRow
from state.write.writer import StateWriter
from tests.notify.messages import opened, silence

SECOND = 1_000_000


@pytest.fixture
def ledger(tmp_path):
    found = Ledger(tmp_path / FOLDER)
    yield found
    found.close()


def notification(key: str, target: str = "ops") -> Notification:
    event = opened(key, project=3)
    return Notification(
        key, target, "nights", "opens", "failure", key, [key], 5_000, f"{key} failed", [], event=event
    )


def attempt(ledger: Ledger, at_ms: int, outcome: str = "sent", target: str = "ops", next_ms: int = 0) -> None:
    job = ledger.advance(target, None, at_ms, begin=True)
    assert job is not None
    ledger.advance(target, (job, Result(outcome, f"it was {outcome}", next_ms)), at_ms + 10, begin=False)


def shown(rows: list[NotificationRow]) -> list[tuple[object, ...]]:
    return [(row.message, row.attempt, row.outcome) for row in rows]


def announced(end_ms: int, **more: int) -> Silence:
    found = silence(end_ms, **more).silence
    assert found is not None
    return found


def test_the_ledger_is_where_the_flow_looks_for_it():
    assert str(LEDGER) == f"{FOLDER}/{NAME}"


def test_each_attempt_is_a_row_once_and_again_when_it_is_answered(tmp_path, ledger):
    reader = NotifyLedger(tmp_path)
    assert reader.rows() == []
    ledger.commit(Plan([notification("a"), notification("b")]), {}, 0)
    attempt(ledger, 6_000, "failed")
    attempt(ledger, 7_000)
    assert shown(reader.rows()) == [("a", 1, "failed"), ("a", 2, "sent")]
    assert reader.rows() == []
    job = ledger.advance("ops", None, 8_000, begin=True)
    assert job is not None
    assert shown(reader.rows()) == [("b", 1, None)]
    assert reader.rows() == []
    ledger.advance("ops", (job, Result("sent", "200")), 8_500, begin=False)
    [row] = reader.rows()
    assert row == NotificationRow(
        message="b",
        attempt=1,
        target="ops",
        route="nights",
        does="opens",
        kind="failure",
        project_id=3,
        slug="b",
        environment="production",
        incident_id=opened("b", project=3).incident_id,
        owner=None,
        title="b failed",
        planned_at=5 * SECOND,
        sent_at=8 * SECOND,
        answered_at=8 * SECOND + SECOND // 2,
        outcome="sent",
        detail="200",
    )
    assert reader.rows() == []


def test_an_attempt_that_was_cut_off_is_known_after_the_next_start(tmp_path, ledger):
    reader = NotifyLedger(tmp_path)
    ledger.commit(Plan([notification("a")]), {}, 0)
    ledger.advance("ops", None, 6_000, begin=True)
    assert shown(reader.rows()) == [("a", 1, None)]
    Ledger(tmp_path / FOLDER).close()
    assert shown(reader.rows()) == [("a", 1, "unknown")]


def test_another_ledger_in_its_place_is_read_from_its_beginning(tmp_path):
    reader = NotifyLedger(tmp_path)
    for key in ("a", "b"):
        with closing(Ledger(tmp_path / FOLDER)) as ledger:
            ledger.commit(Plan([notification(key)]), {}, 0)
            attempt(ledger, 6_000)
        assert shown(reader.rows()) == [(key, 1, "sent")]
        for file in (tmp_path / FOLDER).iterdir():
            file.rename(tmp_path / f"{key}-{file.name}")


def test_a_ledger_that_cannot_be_read_is_said_once_and_stops_nothing(tmp_path, caplog):
    (tmp_path / FOLDER).mkdir()
    (tmp_path / LEDGER).write_bytes(b"no database" * 100)
    reader = NotifyLedger(tmp_path)
    assert reader.rows() == reader.rows() == []
    assert caplog.text.count("its notifications are not published") == 1


def test_a_ledger_of_version_1_is_brought_to_version_2(tmp_path):
    with closing(Ledger(tmp_path / FOLDER)) as ledger:
        ledger.commit(Plan([notification("a")]), {"x": "1"}, 0)
    with closing(sqlite3.connect(tmp_path / LEDGER)) as db:
        db.executescript(
            "DROP TABLE silences; DROP VIEW published_attempts; UPDATE meta SET value = '1' WHERE name = 'version'"
        )
    with closing(Ledger(tmp_path / FOLDER)) as ledger:
        assert ledger.positions() == {"x": "1"}
        attempt(ledger, 6_000)
        ledger.commit(Plan(silences=[announced(9_000)]), {}, 0)
        assert [each.id for each in ledger.silences()] == ["s"]
    assert shown(NotifyLedger(tmp_path).rows()) == [("a", 1, "sent")]
    assert "published_attempts" in _SINCE_2


def test_silences_outlive_a_restart_and_are_forgotten_long_after(tmp_path, ledger):
    ledger.commit(Plan(silences=[announced(9_000)]), {}, 0)
    ledger.commit(Plan(silences=[announced(9_000, ended_ms=5_000)]), {}, 0)
    [known] = ledger.silences()
    assert known.over_us() == 5_000_000
    ledger.prune(5_000)
    assert len(ledger.silences()) == 1
    ledger.prune(5_001)
    assert ledger.silences() == []


def test_views_say_who_was_notified_which_targets_fail_and_who_is_noisy(tmp_path, ledger):
    ledger.commit(Plan([notification("a"), notification("b"), notification("c", "chat")]), {}, 0)
    attempt(ledger, 6_000, "failed")
    attempt(ledger, 7_000)
    attempt(ledger, 8_000)
    attempt(ledger, 8_000, "refused", "chat")
    writer = StateWriter.open(tmp_path)
    writer.write({"notifications": NotifyLedger(tmp_path).rows()})
    writer.commit()
    ask = writer.connection.execute
    found = ask(
        "SELECT slug, target, attempts, outcome, took_seconds FROM incident_notifications ORDER BY slug"
    ).fetchall()
    assert found == [
        ("a", "ops", 2, "sent", 2.01),
        ("b", "ops", 1, "sent", 3.01),
        ("c", "chat", 1, "refused", None),
    ]
    found = ask(
        "SELECT target, is_failing, sent, failed_attempts, given_up, detail FROM failing_targets ORDER BY target"
    ).fetchall()
    assert found == [("chat", True, 0, 0, 1, "it was refused"), ("ops", False, 2, 1, 0, "it was failed")]
    found = ask(
        "SELECT week::VARCHAR, slug, notifications, openings FROM notifications_weekly ORDER BY slug"
    ).fetchall()
    assert found == [("1969-12-29", "a", 1, 1), ("1969-12-29", "b", 1, 1)]
    writer.close()
