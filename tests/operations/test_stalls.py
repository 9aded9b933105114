import json

import pytest
from prometheus_client import REGISTRY

from dataflow.operations.vitals import SECOND_US, Sign
from dataflow.operations.watchdog import Watchdog
from dataflow.wire.stalls import Stall, stall_message

LIMIT = 100.0
START_US = 1_740_960_000 * SECOND_US


def at(seconds):
    return START_US + int(seconds * SECOND_US)


class Standing:
    """Vitals of one thing, which stands where a test says."""

    started_us = START_US

    def __init__(self, kind="clock", subject="event clock"):
        self.kind, self.subject = kind, subject
        self.since_us = START_US
        self.is_certain = True

    def signs(self, now_us):
        return [Sign(self.kind, self.subject, self.since_us, now_us - self.since_us, self.is_certain)]


class Ear:
    """Hears what is sent."""

    def __init__(self):
        self.heard = []
        self.delivered = []

    def __call__(self, stall, delivered):
        self.heard.append(stall)
        self.delivered.append(delivered)

    def deliver(self):
        while self.delivered:
            self.delivered.pop(0)()


@pytest.fixture
def ear():
    return Ear()


@pytest.fixture
def watchdog_of(ear, tmp_path):
    return lambda vitals: Watchdog(vitals, LIMIT, tmp_path / "stalled", ear)


def stall(since, noticed, is_over=False):
    return Stall("clock", "event clock", at(since), at(noticed), LIMIT, is_over)


def stalled_metric(subject="event clock"):
    return REGISTRY.get_sample_value("cronwax_stalled", {"subject": subject})


def test_what_stands_for_longer_than_the_limit_is_told_once_and_once_more_when_it_goes_on(
    watchdog_of, ear, caplog
):
    caplog.set_level("INFO", "cronwax")
    vitals = Standing()
    watchdog = watchdog_of(vitals)
    watchdog.check(at(100))
    assert (ear.heard, stalled_metric()) == ([], 0)
    for second in (101, 102, 150):
        watchdog.check(at(second))
    assert (ear.heard, stalled_metric()) == ([stall(0, 101)], 1)
    vitals.since_us = at(160)
    watchdog.check(at(170))
    watchdog.check(at(171))
    assert (ear.heard, stalled_metric()) == ([stall(0, 101), stall(0, 170, is_over=True)], 0)
    assert [record.event for record in caplog.records] == ["stalled", "recovered"]


def test_it_does_not_waver_round_the_limit(watchdog_of, ear):
    vitals = Standing()
    watchdog = watchdog_of(vitals)
    watchdog.check(at(101))
    for second in range(102, 202):
        vitals.since_us = at(second - 51 - second % 60)
        watchdog.check(at(second))
    assert len(ear.heard) == 1
    vitals.since_us = at(152)
    watchdog.check(at(202))
    assert [heard.is_over for heard in ear.heard] == [False, True]


def test_a_process_that_has_just_begun_may_catch_up(watchdog_of, ear):
    vitals = Standing()
    vitals.since_us = at(-100_000)
    watchdog = watchdog_of(vitals)
    watchdog.check(at(1))
    watchdog.check(at(99))
    assert ear.heard == []
    watchdog.check(at(100))
    assert ear.heard == [stall(-100_000, 100)]


def test_the_next_process_says_that_it_is_over(watchdog_of, ear):
    vitals = Standing()
    watchdog_of(vitals).check(at(101))
    vitals.is_certain = False
    vitals.since_us = at(140)
    following = watchdog_of(vitals)
    following.check(at(141))
    assert len(ear.heard) == 1
    vitals.is_certain = True
    following.check(at(150))
    assert ear.heard[1:] == [stall(0, 150, is_over=True)]
    ear.deliver()
    watchdog_of(vitals).check(at(151))
    assert len(ear.heard) == 2


def test_the_next_process_tells_the_same_stall_under_the_same_id(watchdog_of, ear):
    vitals = Standing()
    watchdog_of(vitals).check(at(101))
    vitals.since_us = at(50)
    watchdog_of(vitals).check(at(300))
    one, other = ear.heard
    assert other.since_us == one.since_us
    assert stall_message(other).id == stall_message(one).id


def test_an_end_that_was_not_delivered_is_told_again(watchdog_of, ear):
    vitals = Standing()
    watchdog = watchdog_of(vitals)
    watchdog.check(at(101))
    vitals.since_us = at(120)
    watchdog.check(at(130))
    watchdog_of(vitals).check(at(131))
    assert [heard.is_over for heard in ear.heard] == [False, True, True]
    ids = {stall_message(heard).id for heard in ear.heard}
    assert len(ids) == 2


def test_what_stalls_anew_while_its_end_is_on_the_way_stays_known(watchdog_of, ear):
    vitals = Standing()
    watchdog = watchdog_of(vitals)
    watchdog.check(at(101))
    vitals.since_us = at(120)
    watchdog.check(at(130))
    watchdog.check(at(221))
    ear.deliver()
    vitals.since_us = at(230)
    watchdog_of(vitals).check(at(231))
    assert [(heard.since_us, heard.is_over) for heard in ear.heard] == [
        (at(0), False),
        (at(0), True),
        (at(120), False),
        (at(120), True),
    ]


def test_a_folder_that_cannot_be_written_to_stops_nothing(ear, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    vitals = Standing()
    watchdog = Watchdog(vitals, LIMIT, tmp_path / "file" / "stalled", ear)
    watchdog.check(at(101))
    vitals.since_us = at(120)
    watchdog.check(at(130))
    ear.deliver()
    assert [heard.is_over for heard in ear.heard] == [False, True]
    assert "not_remembered" in [record.event for record in caplog.records]


def test_a_damaged_note_of_an_earlier_process_counts_as_none(watchdog_of, ear, tmp_path):
    folder = tmp_path / "stalled"
    folder.mkdir()
    for number, text in enumerate(["", "[]", "{}", '{"since_us": "x"}', "\xff"]):
        vitals = Standing("sink", f"tables/{number}")
        (folder / f"tables%2F{number}.json").write_text(text)
        watchdog_of(vitals).check(at(10))
    assert ear.heard == []


@pytest.mark.parametrize(
    ("kind", "subject", "begins", "ends"),
    [
        (
            "clock",
            "event clock",
            "the event clock has reached 2025-03-03T00:00:00Z and is more than 100 s behind: "
            "misses and time-outs after that are not noticed",
            "the event clock has caught up; it was stalled at 2025-03-03T00:00:00Z",
        ),
        (
            "partition",
            "ingest-monitors/3",
            "the partition ingest-monitors/3 has reached 2025-03-03T00:00:00Z and is more than 100 s behind: "
            "what came after that has not been seen",
            "the partition ingest-monitors/3 has caught up; it was stalled at 2025-03-03T00:00:00Z",
        ),
    ],
)
def test_a_message_says_what_it_means(kind, subject, begins, ends):
    for is_over, text in ((False, begins), (True, ends)):
        message = stall_message(Stall(kind, subject, START_US, at(101.5), LIMIT, is_over))
        assert message.key == "cronwax"
        assert json.loads(message.payload) == {
            "payload_type": f"{kind}_{'recovered' if is_over else 'stalled'}",
            "id": message.id,
            "subject": subject,
            "since": 1_740_960_000.0,
            "limit_seconds": 100.0,
            "detection_time": 1_740_960_101.5,
            "text": text,
        }


def test_ids_tell_what_and_since_when_and_not_when_it_was_noticed():
    def id_of(kind="sink", subject="tables", since_us=START_US, noticed=1, is_over=False):
        return stall_message(Stall(kind, subject, since_us, at(noticed), LIMIT, is_over)).id

    assert id_of(noticed=2) == id_of()
    others = {id_of(subject="x"), id_of(since_us=at(1)), id_of(is_over=True), id_of(kind="partition")}
    assert len(others | {id_of()}) == 5
