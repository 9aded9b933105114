"""kill -9, again and again, under a stream of incidents and with targets that fail at random: nothing is lost, nothing
is sent twice but under its own key, and the order holds."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.notify.messages import failure, recovery
from tests.notify.places import Place
from tests.notify.receivers import Answer, MailServer, Receiver, Request

pytestmark = pytest.mark.process

IS_FULL = os.environ.get("CRONWAX_TEST_FULL") == "1"
INCIDENTS, KILLS = (5_000, 30) if IS_FULL else (300, 4)
JOBS = 40
PATIENCE_SECONDS = 1_200 if IS_FULL else 240


class Flaky:
    """Fails at random: before it has taken a request, or after, when nobody hears that it has."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.unheard: Counter[str] = Counter()
        """Keys of what was taken without an answer."""

    def __call__(self, request: Request) -> Answer:
        what = self._chance.random()
        if what < 0.05:
            return Answer(503)
        if what < 0.08:
            return Answer(429, (("Retry-After", "0"),))
        if what < 0.11:
            return Answer(0, is_taken=False)
        if what < 0.14:
            self.unheard[request.headers["Idempotency-Key"]] += 1
            return Answer(0)
        return Answer(200)


def stream(chance: random.Random) -> Iterator[bytes]:
    """What the flow says: incidents of some jobs open, fail again, and are resolved; all are resolved in the end."""
    numbers = dict.fromkeys(range(JOBS), 0)
    failing: set[int] = set()
    opened = 0
    while opened < INCIDENTS or failing:
        job = chance.randrange(JOBS)
        slug = f"job-{job}"
        if job not in failing and opened < INCIDENTS:
            numbers[job] += 1
            opened += 1
            failing.add(job)
            yield failure(slug, numbers[job], opened)
        elif job in failing and chance.random() < 0.3:
            yield failure(slug, numbers[job], opened, again=chance.randrange(1, 1000))
        elif job in failing:
            failing.discard(job)
            yield recovery(slug, numbers[job], at_s=opened)


def test_each_incident_is_notified_once_and_in_order_however_often_the_notifier_is_killed(
    place: Place, receivers, mail_server: MailServer
):
    chance = random.Random(20)
    flaky = Flaky(random.Random(21))
    well: Receiver = receivers()
    failing: Receiver = receivers(flaky)
    mail_chance = random.Random(22)
    mail_server.answer = lambda mail: "451 try again" if mail_chance.random() < 0.05 else None
    place.routes.write_text(
        f"""
        storm_size = 1000000
        retry_first = 0.01
        retry_longest = 0.1
        [targets.well]
        type = "webhook"
        url = "{well.url}"
        [targets.failing]
        type = "webhook"
        url = "{failing.url}"
        [targets.mail]
        type = "smtp"
        host = "127.0.0.1"
        port = {mail_server.port}
        tls = "none"
        sender = "cronwax@example.org"
        to = ["ops@example.org"]
        [default]
        targets = ["well", "failing", "mail"]
        """
    )
    messages = list(stream(chance))
    place.occurrences.touch()
    # The first start is over before anything happens: none of it is of the past.
    process = place.start()
    place.wait_for_line("event=notify_caught_up")
    is_written = threading.Event()

    def write() -> None:
        for first in range(0, len(messages), 20):
            place.happen(messages[first : first + 20])
            time.sleep(0.001)
        is_written.set()

    threading.Thread(target=write, daemon=True).start()
    kills = 0
    until = time.monotonic() + PATIENCE_SECONDS
    while kills < KILLS:
        # Let it do some work, so that it is in the middle of something.
        heard = len(well.taken) + len(failing.taken) + len(mail_server.mails)
        enough = heard + chance.randrange(1, 12 * INCIDENTS // KILLS // 3)
        while len(well.taken) + len(failing.taken) + len(mail_server.mails) < enough:
            if is_written.is_set() and place.is_idle():
                break
            assert process.poll() is None, place.said()
            assert time.monotonic() < until, place.said()[-2000:]
            time.sleep(chance.random() / 100)
        process.kill()
        process.wait()
        kills += 1
        process = place.start()
    while not (is_written.is_set() and place.is_idle()):
        assert process.poll() is None, place.said()
        assert time.monotonic() < until, place.ask("SELECT target, state, count(*) FROM outbox GROUP BY ALL")
        time.sleep(0.05)
    assert place.stop(process) == 0
    assert "Traceback" not in place.said()

    repeats = {
        "well": judge([(each.json["id"], each.json["thread"]) for each in well.taken]),
        "failing": judge([(each.json["id"], each.json["thread"]) for each in failing.taken]),
        "mail": judge(
            [(mail["Message-ID"], mail["In-Reply-To"] or mail["Message-ID"]) for mail in mail_server.mails]
        ),
    }
    unheard = sum(flaky.unheard.values())
    print(f"{INCIDENTS} incidents, {kills} kills, repeats under the same key: {repeats}, unheard: {unheard}")
    # One that is being asked when the kill comes, for each target; and what was taken without an answer.
    assert repeats["well"] <= kills
    assert repeats["mail"] <= kills
    assert repeats["failing"] <= kills + unheard
    assert place.ask("SELECT DISTINCT state FROM outbox") == [("sent",)]
    [(cut_off,)] = place.ask("SELECT count(*) FROM attempts WHERE outcome = 'unknown'")
    assert cut_off <= 3 * kills


def judge(heard: list[tuple[str, str]]) -> int:
    """Assert that each incident was opened and ended, in that order, each under one key; how often a key came again."""
    first: dict[str, int] = {}
    threads: dict[str, list[str]] = {}
    for at, (key, thread) in enumerate(heard):
        if key not in first:
            first[key] = at
            threads.setdefault(thread, []).append(key)
    assert len(threads) == INCIDENTS
    for thread, keys in threads.items():
        assert len(keys) == 2, "an opening and an end"
        assert keys[0] == thread, "the opening comes first"
    return len(heard) - len(first)
