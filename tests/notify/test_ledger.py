"""The ledger: what it holds survives, what is sent next, and what is wrong with a file."""

from __future__ import annotations

import sqlite3
import stat

import pytest

from cronwax.notify.ledger import NAME, LastingLedgerError, Ledger, LedgerError, Result
from cronwax.notify.notification import Notification
from cronwax.notify.plan import Plan
from cronwax.notify.planning import Planner
from cronwax.notify.policy import Policy, Traits
from cronwax.notify.routes import Route, Routes
from tests.notify.messages import ended, opened

DAY = 86_400_000


@pytest.fixture
def ledger(tmp_path):
    found = Ledger(tmp_path / "notify")
    yield found
    found.close()


def note(key: str, *lanes: str, target: str = "ops", created: int = 0) -> Notification:
    return Notification(
        key, target, "r", "opens", "failure", key, list(lanes), created, key, [], event=opened(key)
    )


def commit(ledger: Ledger, *notifications: Notification) -> None:
    ledger.commit(Plan(list(notifications)), {}, 0)


def sent_keys(ledger: Ledger, target: str = "ops") -> list[str]:
    """What is sent if everything is taken."""
    keys: list[str] = []
    done = None
    while (job := ledger.advance(target, done, 100, begin=True)) is not None:
        keys.append(job.notification.key)
        done = job, Result("sent", "200")
    return keys


def test_what_is_stored_is_there_after_opening_it_again(tmp_path):
    first = Ledger(tmp_path)
    planner = Planner(Policy(Routes((), Route("default", ("ops",))), {"ops": Traits()}, storm_size=1))
    planner.take(opened("a"), 5)
    planner.take(opened("b"), 5)
    planner.take(opened("c", 3), 5)
    planner.take(ended("c", 3), 5)
    first.commit(planner.take_plan(), {"x": "17"}, 5)
    first.close()
    second = Ledger(tmp_path)
    assert second.positions() == {"x": "17"}
    assert second.open_incidents() == planner.incidents
    assert second.windows() == planner._windows
    assert second.was_ended(opened("c", 3).key)
    assert not second.was_ended(opened("a").key)
    assert not second.was_ended("unheard of")
    assert len(sent_keys(second)) == 1
    second.close()


def test_file_and_folder_are_for_their_owner_only(tmp_path):
    ledger = Ledger(tmp_path / "notify")
    commit(ledger, note("a", "x"))
    assert stat.S_IMODE((tmp_path / "notify").stat().st_mode) == 0o700
    for file in (tmp_path / "notify").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    ledger.close()


def test_what_is_planned_twice_is_sent_once(ledger):
    commit(ledger, note("a", "x"))
    assert sent_keys(ledger) == ["a"]
    commit(ledger, note("a", "x"), note("b", "x"))
    assert sent_keys(ledger) == ["b"]


def test_the_oldest_is_sent_first_and_each_target_has_a_queue_of_its_own(ledger):
    commit(ledger, note("a", "x"), note("b", "y"), note("c", "x", target="chat"))
    assert sent_keys(ledger) == ["a", "b"]
    assert sent_keys(ledger, "chat") == ["c"]


def test_what_fails_delays_its_own_lane_and_no_other(ledger):
    commit(ledger, note("a1", "a"), note("a2", "a"), note("b", "b"), note("all", "a", "b"), note("c", "c"))
    first = ledger.advance("ops", None, 0, begin=True)
    assert first is not None
    ledger.advance("ops", (first, Result("failed", "it answers 500", 10_000)), 0, begin=False)
    assert sent_keys(ledger) == ["b", "c"]
    assert ledger.next_due_ms("ops") == 0  # a2 is due, but waits for a1
    again = ledger.advance("ops", None, 10_000, begin=True)
    assert again is not None
    assert (again.notification.key, again.number) == ("a1", 2)
    ledger.advance("ops", (again, Result("sent", "200")), 10_000, begin=False)
    assert sent_keys(ledger) == ["a2", "all"]
    assert ledger.next_due_ms("ops") is None


@pytest.mark.parametrize("outcome", ["refused", "expired"])
def test_what_is_dead_is_not_tried_again_and_keeps_its_reason(ledger, outcome):
    commit(ledger, note("a1", "a"), note("a2", "a"))
    job = ledger.advance("ops", None, 0, begin=True)
    assert job is not None
    following = ledger.advance("ops", (job, Result(outcome, "it answers 400")), 5, begin=True)
    assert following is not None
    assert following.notification.key == "a2"
    assert ledger.query("SELECT state, detail FROM outbox WHERE key = 'a1'", {}) == [
        ("dead", "it answers 400")
    ]


def test_an_attempt_that_was_cut_off_is_made_again_and_shown_as_unknown(tmp_path):
    first = Ledger(tmp_path)
    commit(first, note("a", "x"))
    assert first.advance("ops", None, 0, begin=True) is not None
    first.close()
    second = Ledger(tmp_path)
    job = second.advance("ops", None, 1, begin=True)
    assert job is not None
    assert job.number == 2
    assert second.query("SELECT number, outcome FROM attempts ORDER BY number", {}) == [
        (1, "unknown"),
        (2, None),
    ]
    second.close()


def test_what_is_still_open_is_what_was_taken_and_is_not_over(ledger):
    planner = Planner(Policy(Routes((), Route("default", ("ops",))), {"ops": Traits(groups=True)}))
    for slug in ("a", "b", "c"):
        planner.take(opened(slug), 0)
    ledger.commit(planner.take_plan(), {}, 0)
    assert ledger.still_open("ops") == []
    sent_keys(ledger)
    planner.take(ended("b"), 5)
    ledger.commit(planner.take_plan(), {}, 5)
    assert [each.event.slug for each in ledger.still_open("ops") if each.event] == ["a", "c"]


def test_what_is_old_is_forgotten_but_not_what_is_open_or_waits(ledger):
    planner = Planner(Policy(Routes((), Route("default", ("ops",))), {"ops": Traits(groups=True)}))
    planner.take(opened("a"), 0)
    planner.take(opened("b"), 0)
    ledger.commit(planner.take_plan(), {}, 0)
    sent_keys(ledger)
    planner.take(ended("b"), 0)
    ledger.commit(planner.take_plan(), {}, 0)
    assert ledger.prune(DAY) == 1  # b's opening; its end still waits
    sent_keys(ledger)
    assert ledger.prune(DAY) == 1
    assert len(ledger.still_open("ops")) == 1
    assert ledger.query("SELECT count(*) FROM attempts", {}) == [(1,)]
    assert not ledger.was_ended(ended("b").key)


def test_what_waits_for_a_target_that_nobody_knows_is_given_up_in_the_end(ledger):
    commit(ledger, note("a", "x", created=5), note("b", "x", created=50), note("c", "x", target="known"))
    assert ledger.expire({"known"}, 10, 60) == [("ops", 1)]
    assert sent_keys(ledger) == ["b"]
    assert sent_keys(ledger, "known") == ["c"]


def test_a_damaged_file_is_one_line(tmp_path):
    tmp_path.joinpath(NAME).write_bytes(b"nonsense" * 1000)
    with pytest.raises(LastingLedgerError, match="file is not a database; put back one that is whole"):
        Ledger(tmp_path)


def test_a_newer_ledger_is_refused(tmp_path):
    Ledger(tmp_path).close()
    with sqlite3.connect(tmp_path / NAME) as db:
        db.execute("UPDATE meta SET value = '99'")
    db.close()
    with pytest.raises(LastingLedgerError, match="a newer Cronwax wrote it"):
        Ledger(tmp_path)


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match="Not a directory"):
        Ledger(tmp_path / "file" / "notify")


def test_a_commit_that_fails_leaves_nothing(ledger):
    before = ledger.positions()
    broken = Plan([note("a", "x")], windows={("ops", "opens"): object()})  # type: ignore[dict-item]
    with pytest.raises(TypeError):
        ledger.commit(broken, {"x": "1"}, 0)
    assert ledger.positions() == before
    assert sent_keys(ledger) == []
