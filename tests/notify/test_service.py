"""The notifier as a whole: its first start, its stops, its commands, and what is wrong around it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator

import pytest

from cronwax.notify import service
from cronwax.notify.ledger import FOLDER, Ledger
from cronwax.notify.routes_file import RoutesFile
from cronwax.notify.service import Notifier
from cronwax.notify.snapshot_facts import SnapshotFacts
from cronwax.notify.sources.occurrences_file import OccurrencesFile
from tests.builders import START_S, check_in, control, pulse
from tests.intake.running import wait_for
from tests.notify.messages import failure, recovery, system_incident
from tests.notify.places import Place, route_all, titles
from tests.notify.receivers import Receiver
from tests.processes import run, settings, write_jsonl


class Running:
    """A notifier in this process, whose clock is set by the test."""

    def __init__(self, place: Place, since_us: int | None = None) -> None:
        self.now_ms = START_S * 1000
        self.ledger = Ledger(place.data / FOLDER)
        source = OccurrencesFile(place.occurrences)
        facts = SnapshotFacts(place.data)
        routes = RoutesFile(place.routes)
        self.notifier = Notifier(source, self.ledger, routes, facts, since_us, lambda: self.now_ms)
        self.problem: BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.notifier.run()
        except BaseException as error:
            self.problem = error

    def stop(self) -> None:
        self.notifier.stop()
        self.thread.join(20)
        assert not self.thread.is_alive()
        self.ledger.close()
        assert self.problem is None


@pytest.fixture
def notify(place: Place) -> Iterator[Callable[..., Running]]:
    made: list[Running] = []

    def begin(**given) -> Running:
        made.append(Running(place, **given))
        return made[-1]

    yield begin
    for each in made:
        if each.thread.is_alive():
            each.stop()


def test_a_first_start_tells_only_of_what_is_still_open(place: Place, notify, receiver: Receiver):
    route_all(place, ops=receiver)
    past = [message for number in range(1, 500) for message in (failure("a", number), recovery("a", number))]
    place.happen(
        [*past, failure("b"), failure("a", 500), failure("b", again=1, at_s=60), system_incident(), b"{"]
    )
    running = notify()
    wait_for(lambda: len(receiver.taken) >= 3)
    place.happen([recovery("b"), failure("c")])
    wait_for(lambda: len(receiver.taken) >= 5)
    running.stop()
    assert titles(receiver) == [
        "b (production) failed",
        "a (production) failed",
        "Monitoring is blind: check-ins are being lost",
        "b (production) recovered",
        "c (production) failed",
    ]


def test_since_tells_of_what_happened_since_and_of_nothing_before(place: Place, notify, receiver: Receiver):
    route_all(place, ops=receiver)
    place.happen(
        [failure("old", at_s=-100), failure("a", at_s=10), recovery("a", at_s=20), failure("b", at_s=30)]
    )
    running = notify(since_us=START_S * 1_000_000)
    wait_for(lambda: len(receiver.taken) >= 3)
    place.happen([recovery("old"), recovery("b")])
    wait_for(lambda: len(receiver.taken) >= 4)
    running.stop()
    assert titles(receiver) == [
        "a (production) failed",
        "a (production) recovered",
        "b (production) failed",
        "b (production) recovered",
    ]


def test_a_thousand_incidents_in_a_minute_make_one_digest_for_each_target(place: Place, notify, receivers):
    chat, mail = receivers(), receivers()
    route_all(place, chat=chat, mail=mail)
    running = notify()
    wait_for(lambda: running.ledger.positions())
    place.happen([failure(f"job-{number}") for number in range(1_000)])
    wait_for(lambda: len(chat.taken) == len(mail.taken) == 10)
    running.now_ms += 60_000
    wait_for(lambda: len(chat.taken) == len(mail.taken) == 11)
    place.happen([recovery(f"job-{number}") for number in range(1_000)])
    wait_for(lambda: len(chat.taken) == len(mail.taken) == 21)
    running.now_ms += 60_000
    wait_for(lambda: len(chat.taken) == len(mail.taken) == 22)
    running.stop()
    for each in (chat, mail):
        digests = [body["digest"] for body in each.bodies if body["digest"]]
        assert [(digest["of"], digest["count"]) for digest in digests] == [("opens", 990), ("ends", 990)]


def test_what_is_planned_survives_a_restart_and_digests_are_not_forgotten(place: Place, notify, receiver):
    route_all(place, "storm_size = 1", ops=receiver)
    first = notify()
    wait_for(lambda: first.ledger.positions())
    place.happen([failure("a"), failure("b"), failure("c")])
    wait_for(lambda: receiver.taken)
    first.stop()
    second = notify()
    second.now_ms += 60_000
    wait_for(lambda: len(receiver.taken) == 2)
    place.happen([recovery("b")])
    wait_for(lambda: len(receiver.taken) == 3)
    second.stop()
    assert titles(receiver) == [
        "a (production) failed",
        "2 more incidents opened within a minute",
        "b (production) recovered",
    ]


def test_routes_that_change_hold_at_once_and_a_faulty_version_changes_nothing(
    place: Place, notify, receivers, monkeypatch, caplog
):
    from cronwax.notify import routes_file

    monkeypatch.setattr(routes_file, "CHECK_SECONDS", 0.0)
    caplog.set_level(logging.INFO, "cronwax")
    first, second = receivers(), receivers()
    route_all(place, ops=first)
    running = notify()
    wait_for(lambda: running.ledger.positions())
    place.happen([failure("a")])
    wait_for(lambda: first.taken)
    place.routes.write_text("nonsense")
    wait_for(lambda: "the version before stays in force" in caplog.text)
    place.happen([failure("b")])
    wait_for(lambda: len(first.taken) == 2)
    route_all(place, ops=second)
    wait_for(lambda: "routes_read" in caplog.text)
    place.happen([recovery("a")])
    wait_for(lambda: second.taken)
    running.stop()
    assert titles(second) == ["a (production) recovered"]
    assert caplog.text.count("stays in force") == 1


def test_messages_that_cannot_be_read_are_passed_over(place: Place, notify, receiver: Receiver, caplog):
    route_all(place, ops=receiver)
    running = notify()
    wait_for(lambda: running.ledger.positions())
    place.happen(
        [b"nonsense", b'{"payload_type": "occurrence"}', b"", failure("a"), b'{"payload_type": "new"}']
    )
    wait_for(lambda: receiver.taken)
    running.stop()
    assert running.notifier.counts.unreadable == 3
    assert "nonsense" not in caplog.text


def test_another_file_in_its_place_is_read_from_its_start_and_nothing_is_sent_twice(
    place: Place, notify, receiver
):
    route_all(place, ops=receiver)
    running = notify()
    wait_for(lambda: running.ledger.positions())
    place.happen([failure("a"), failure("b"), failure("c"), recovery("c")])
    wait_for(lambda: len(receiver.taken) == 4)
    place.occurrences.unlink()
    # `a` was resolved meanwhile, `b` is still open, `d` is new, `e` came and went.
    place.happen([failure("a"), recovery("a"), failure("b"), failure("d"), failure("e"), recovery("e")])
    wait_for(lambda: len(receiver.taken) == 6)
    place.happen([recovery("b")])
    wait_for(lambda: len(receiver.taken) == 7)
    running.stop()
    assert titles(receiver)[4:] == [
        "a (production) recovered",
        "d (production) failed",
        "b (production) recovered",
    ]


def test_a_disk_that_is_full_ends_it_with_one_line(place: Place, notify, receiver: Receiver):
    route_all(place, ops=receiver)
    running = notify()
    wait_for(lambda: running.ledger.positions())
    running.ledger._db.execute("PRAGMA max_page_count = 1")
    place.happen([failure(f"job-{number}") for number in range(1_000)])
    running.thread.join(20)
    assert "database or disk is full" in str(running.problem)
    running.problem = None


# --- with what the snapshot knows


@pytest.mark.process
def test_routes_by_owner_usual_durations_and_deleted_monitors_come_from_the_snapshot(
    place: Place, notify, receivers, monkeypatch, tmp_path
):
    """The flow runs over a file; the notifier reads what it has left, and what it adds to it."""
    monkeypatch.setattr(service, "GONE_SECONDS", 0.0)
    billing, others = receivers(), receivers()
    place.routes.write_text(
        f"""
        [targets.billing]
        type = "webhook"
        url = "{billing.url}"
        [targets.others]
        type = "webhook"
        url = "{others.url}"
        [[routes]]
        owner = "team:bill*"
        targets = ["billing"]
        [default]
        targets = ["others"]
        """
    )
    hourly = {"schedule": {"type": "crontab", "value": "0 * * * *"}, "max_runtime": 20, "checkin_margin": 5}
    owned = {**hourly, "owner": "team:billing"}
    lines = []
    for hour in range(5):
        for slug, config in (("owned", owned), ("orphan", hourly)):
            number = hour * 10 + len(slug)
            lines.append(check_in(3600 * hour, slug, "in_progress", number, config=config))
            if hour < 4:
                lines.append(check_in(3600 * hour + 240, slug, "ok", number, start_s=3600 * hour + 240))
    lines.sort(key=lambda line: line["ts"])
    feed = tmp_path / "feed"
    write_jsonl(feed / "a.jsonl", [*lines, pulse(3600 * 4 + 1800)])
    chosen = settings(source="file", checkins_path=feed, data_dir=place.data)
    assert run(chosen).status == 0
    running = notify()
    wait_for(lambda: billing.taken and others.taken)
    [body] = billing.bodies
    assert body["title"] == "owned (production) timed out"
    assert body["incident"]["monitor"]["owner"] == "team:billing"
    assert "It ran for 20 min. Usually it takes 4 min." in body["text"]
    assert titles(others) == ["orphan (production) timed out"]
    # The flow runs again, from the start: the monitor is deleted in the end.
    write_jsonl(
        feed / "a.jsonl",
        [
            *lines,
            pulse(3600 * 4 + 1800),
            control(3600 * 4 + 1900, "delete_monitor", project_id=1, monitor_slug="orphan"),
            pulse(3600 * 4 + 2100),
        ],
    )
    assert run(chosen).status == 0
    wait_for(lambda: len(others.taken) == 2)
    running.stop()
    assert titles(others)[1] == "orphan (production): the monitor or its environment was deleted"
    assert len(billing.taken) == 1


def test_a_fault_of_the_program_in_one_target_ends_the_process_and_is_shown(
    place: Place, notify, receiver, monkeypatch
):
    from cronwax.notify.delivery import Worker

    def faulty(*_: object) -> None:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr(Worker, "_attempt", faulty)
    route_all(place, ops=receiver)
    running = notify()
    wait_for(lambda: running.ledger.positions())
    place.happen([failure("a")])
    running.thread.join(20)
    assert isinstance(running.problem, ZeroDivisionError)
    running.problem = None
