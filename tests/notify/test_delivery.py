"""Sending: retries, order, targets that fail, and none that delays another."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from cronwax.notify import delivery
from cronwax.notify.backoff import LONGEST_RETRY_AFTER_SECONDS, Backoff
from cronwax.notify.counts import Counts
from cronwax.notify.delivery import Delivery
from cronwax.notify.ledger import Ledger
from cronwax.notify.planning import Planner
from cronwax.notify.routes_file import RoutesTables, read_routes
from cronwax.notify.service import waiting
from tests.notify.messages import ended, opened
from tests.notify.receivers import Answer, Receiver


class House:
    """A ledger, its workers, and a planner that fills it."""

    def __init__(self, folder) -> None:
        self.path = folder / "notify.toml"
        self.ledger = Ledger(folder / "notify")
        self.counts = Counts(lambda: 0, lambda: waiting(self.ledger), lambda: 0)
        self.failures: list[Exception] = []
        self.delivery = Delivery(self.ledger, self.counts, self.failures.append)
        self.planner: Planner | None = None

    def follow(self, **urls: str) -> RoutesTables:
        """Have targets of these names and addresses, all of which are notified of everything."""
        return self.follow_text(
            "\n".join(f'[targets.{name}]\ntype = "webhook"\nurl = "{url}"' for name, url in urls.items()),
            *urls,
        )

    def follow_text(self, text: str, *names: str) -> RoutesTables:
        listed = ", ".join(f'"{name}"' for name in names)
        self.path.write_text(
            f"storm_size = 100000\nretry_first = 0.01\nretry_longest = 0.05\n{text}\n[default]\ntargets = [{listed}]\n"
        )
        tables, _ = read_routes(self.path)
        if self.planner is None:
            self.planner = Planner(tables.policy(), was_ended=self.ledger.was_ended)
        self.planner.policy = tables.policy()
        self.delivery.follow(tables)
        return tables

    def happen(self, *events) -> None:
        assert self.planner is not None
        now_ms = time.time_ns() // 1_000_000
        for event in events:
            self.planner.take(event, now_ms)
        self.ledger.commit(self.planner.take_plan(), {}, now_ms)
        self.delivery.wake()

    def states(self, target: str = "ops") -> list[str]:
        rows = self.ledger.query(
            "SELECT state FROM outbox WHERE target = :target ORDER BY seq", {"target": target}
        )
        return [str(state) for (state,) in rows]

    def close(self) -> None:
        assert self.delivery.end(10)
        self.ledger.close()
        assert not self.failures


@pytest.fixture
def house(tmp_path):
    found = House(tmp_path)
    yield found
    found.close()


def wait_until(is_so: Callable[[], bool], seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, "it does not come to that"
        time.sleep(0.01)


def slugs(receiver: Receiver) -> list[tuple[str, str]]:
    return [(body["incident"]["monitor"]["slug"], body["does"]) for body in receiver.bodies]


def test_all_is_sent_in_order(house, receiver: Receiver):
    house.follow(ops=receiver.url)
    house.happen(opened("a"), opened("b"), ended("a"), ended("b"))
    wait_until(lambda: house.states() == ["sent"] * 4)
    assert slugs(receiver) == [("a", "opens"), ("b", "opens"), ("a", "ends"), ("b", "ends")]


def test_a_target_that_is_down_is_tried_until_it_is_back_and_others_do_not_wait(house, receivers):
    dead, well = receivers(lambda request: Answer(503)), receivers()
    house.follow(dead=dead.url, well=well.url)
    for number in range(20):
        house.happen(opened("a", number), ended("a", number))
    wait_until(lambda: house.states("well") == ["sent"] * 40)
    assert set(house.states("dead")) == {"waiting"}
    wait_until(lambda: dead.asked > 5)
    dead.judge = lambda request: Answer(200)
    wait_until(lambda: house.states("dead") == ["sent"] * 40)
    assert slugs(dead) == slugs(well) == [("a", "opens"), ("a", "ends")] * 20


def test_a_target_that_never_answers_delays_no_other(house, receivers, monkeypatch):
    monkeypatch.setattr(delivery, "ATTEMPT_SECONDS", 0.3)
    hangs, well = receivers(lambda request: Answer(-1)), receivers()
    house.follow(hangs=hangs.url, well=well.url)
    house.happen(*[opened(f"job-{number}") for number in range(10)])
    wait_until(lambda: house.states("well") == ["sent"] * 10)
    wait_until(lambda: hangs.asked >= 2)
    assert house.ledger.query("SELECT DISTINCT detail FROM attempts WHERE outcome = 'failed'", {}) == [
        ("no answer within 0.3 s",)
    ]


def test_what_a_target_refuses_is_dead_at_once_and_the_rest_goes_on(house, receiver: Receiver):
    receiver.judge = lambda request: Answer(400 if b'"slug":"bad"' in request.body else 200)
    house.follow(ops=receiver.url)
    house.happen(opened("a"), opened("bad"), opened("b"), ended("bad"))
    wait_until(lambda: house.states() == ["sent", "dead", "sent", "dead"])
    rows = house.ledger.query("SELECT detail, attempts FROM outbox WHERE state = 'dead'", {})
    assert rows == [("it answers 400", 1), ("it answers 400", 1)]


def test_one_message_that_fails_for_ever_delays_its_own_monitor_and_no_other(house, receiver: Receiver):
    receiver.judge = lambda request: Answer(500 if b'"slug":"bad"' in request.body else 200)
    house.follow(ops=receiver.url)
    house.happen(opened("bad"), *[opened(f"job-{number}") for number in range(20)], ended("bad"))
    wait_until(lambda: house.states() == ["waiting", *["sent"] * 20, "waiting"])


def test_after_retry_hours_it_is_dead_with_the_reason(house, receiver: Receiver):
    receiver.judge = lambda request: Answer(503)
    house.follow_text(f'retry_hours = 0.0001\n[targets.ops]\ntype = "webhook"\nurl = "{receiver.url}"', "ops")
    house.happen(opened("a"))
    wait_until(lambda: house.states() == ["dead"])
    assert house.ledger.query("SELECT detail FROM outbox", {}) == [("it answers 503",)]
    outcomes = [outcome for (outcome,) in house.ledger.query("SELECT outcome FROM attempts ORDER BY id", {})]
    assert outcomes[-1] == "expired"
    assert set(outcomes[:-1]) <= {"failed"}


def test_a_secret_that_comes_later_is_used_then(house, receiver: Receiver, tmp_path):
    secret = tmp_path / "url"
    house.follow_text(f'[targets.ops]\ntype = "webhook"\nurl = "file:{secret}"', "ops")
    house.happen(opened("a"))
    wait_until(lambda: bool(house.ledger.query("SELECT 1 FROM attempts WHERE outcome = 'failed'", {})))
    [(detail,)] = house.ledger.query("SELECT DISTINCT detail FROM attempts WHERE outcome = 'failed'", {})
    assert detail == f"the secret file {secret}: No such file or directory"
    secret.write_text(f"{receiver.url}\n")
    wait_until(lambda: house.states() == ["sent"])


def test_a_target_that_moves_is_asked_at_its_new_address_and_never_twice_at_a_time(house, receivers):
    busy = threading.Lock()

    def alone(request):
        assert busy.acquire(blocking=False)
        time.sleep(0.05)
        busy.release()
        return Answer(200)

    first, second = receivers(alone), receivers(alone)
    house.follow(ops=first.url)
    house.happen(*[opened(f"job-{number}") for number in range(10)])
    wait_until(lambda: first.asked > 2)
    house.follow(ops=second.url)
    wait_until(lambda: house.states() == ["sent"] * 10)
    assert first.taken
    assert second.taken
    assert len(first.taken) + len(second.taken) == 10


def test_no_secret_is_in_the_ledger_or_the_log(house, receivers, tmp_path, caplog):
    refuses = receivers(lambda request: Answer(401))
    house.follow_text(
        f'[targets.ops]\ntype = "webhook"\nurl = "{refuses.url}/hunter2-in-the-path"\nsecret = "hunter2-of-hmac"\n'
        f'[targets.chat]\ntype = "apprise"\nurl = "json://hunter2user:hunter2pass@127.0.0.1:{refuses.port}/hunter2"',
        "ops",
        "chat",
    )
    house.happen(opened("a"))
    wait_until(lambda: refuses.asked > 4)
    wait_until(
        lambda: (
            len(house.ledger.query("SELECT DISTINCT seq FROM attempts WHERE outcome IS NOT NULL", {})) == 2
        )
    )
    stored = b"".join(file.read_bytes() for file in (tmp_path / "notify").iterdir())
    assert b"401" in stored
    assert b"hunter2" not in stored
    assert "hunter2" not in caplog.text


def test_alerts_that_are_open_are_sent_again_and_resolved_ones_not(house, receiver: Receiver, monkeypatch):
    from cronwax.notify.targets.alertmanager import AlertmanagerConfig

    monkeypatch.setattr(AlertmanagerConfig, "refresh_seconds", 0.05)
    house.follow_text(f'[targets.ops]\ntype = "alertmanager"\nurl = "{receiver.url}"', "ops")
    house.happen(opened("a"), opened("b"))

    def monitors_of_newest() -> list[list[str]]:
        return [[alert["labels"]["monitor"] for alert in body] for body in receiver.bodies[-3:]]

    wait_until(lambda: monitors_of_newest() == [["a", "b"]] * 3)
    house.happen(ended("a"))
    house.delivery.wake()
    wait_until(lambda: monitors_of_newest() == [["b"]] * 3)
    assert [body[0]["labels"]["monitor"] for body in receiver.bodies].count("a") >= 4


def test_metrics_say_what_waits_and_what_fails(house, receivers):
    dead, well = receivers(lambda request: Answer(503)), receivers()
    tables = house.follow(dead=dead.url, well=well.url)
    house.counts.know(set(tables.targets))
    house.happen(opened("a"), opened("b"))
    wait_until(lambda: house.states("well") == ["sent"] * 2 and dead.asked > 2)
    wait_until(lambda: house.counts._failures["dead"] > 2)
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in house.counts.collect()
        for sample in family.samples
    }
    assert samples["cronwax_notify_notifications_total", "well", "sent"] == 2
    assert samples["cronwax_notify_waiting", "dead"] == 2
    assert samples["cronwax_notify_waiting", "well"] == 0
    assert samples["cronwax_notify_target_failing", "dead"] == 1
    assert samples["cronwax_notify_target_failing", "well"] == 0
    assert samples["cronwax_notify_failed_attempts_total", "dead"] > 2


def test_pauses_double_up_to_the_longest_and_are_shortened_by_chance():
    backoff = Backoff(2, 300)
    assert [backoff.pause(failures, lambda: 0) for failures in (1, 2, 3, 8, 9, 1000)] == [
        2,
        4,
        8,
        256,
        300,
        300,
    ]
    assert backoff.pause(3, lambda: 1) == 4
    assert backoff.pause(1, lambda: 0.5, 60) == 60
    assert backoff.pause(9, lambda: 0, 60) == 300
    assert backoff.pause(1, lambda: 0, 10**9) == LONGEST_RETRY_AFTER_SECONDS
