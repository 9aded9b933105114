import json

import pytest

from cronwax.commands import sentences
from cronwax.commands.following import look_up
from cronwax.commands.sentences import Known, Reader, Sentence
from dataflow.monitors import identity
from dataflow.monitors.config import MonitorConfig
from dataflow.monitors.environment import EnvironmentStatus
from dataflow.monitors.journal import FailureNotice, RecoveryNotice
from dataflow.monitors.records import Incident
from dataflow.monitors.times import NO_TIME, Microseconds
from dataflow.wire.occurrences import message_of
from tests.commands.terminal import INCIDENT, SLUG

GUID = bytes(15) + b"\1"
AT_US = 1_740_960_300_000_000
AT = "2025-03-03T00:05:00Z"
SENT_MS = 1_740_960_360_000
SENT = "2025-03-03T00:06:00Z"


def incident(slug="nightly", environment="eu"):
    about = (1, slug, environment, GUID)
    return Incident(*identity.incident_names(*about), GUID, Microseconds(AT_US))


def failure(slug="nightly", environment="eu"):
    notice = FailureNotice(
        1,
        slug,
        "Nightly",
        MonitorConfig("crontab", "0 0 * * *"),
        environment,
        EnvironmentStatus.ERROR,
        incident(slug, environment),
        GUID,
        None,
        (3, 2),
        NO_TIME,
        Microseconds(AT_US),
    )
    return message_of(notice)[0].payload


def recovery(slug="nightly", environment="eu"):
    notice = RecoveryNotice(1, slug, environment, incident(slug, environment), GUID, Microseconds(AT_US))
    return message_of(notice)[0].payload


def test_a_failure_is_told_with_its_time_monitor_environment_and_reason():
    assert Reader().read(failure(), SENT_MS) == Sentence(
        AT, "1/nightly", "eu", "failed: 1 missed and 1 error check-ins detected"
    )


def test_a_resolution_names_the_monitor_whose_failure_was_read():
    reader = Reader()
    reader.read(failure("other"), SENT_MS)
    reader.read(failure(), SENT_MS)
    resolved = f"resolved: incident {incident().id}"
    assert reader.read(recovery(), SENT_MS) == Sentence(SENT, "1/nightly", "eu", resolved)


def test_a_resolution_of_something_older_names_the_project():
    resolved = f"resolved: incident of fingerprint {incident().fingerprint}"
    assert Reader().read(recovery(), SENT_MS) == Sentence(SENT, "1/?", "-", resolved)


def test_a_resolution_of_what_was_sent_before_is_looked_up_in_the_snapshot(data):
    found = look_up(data, INCIDENT)
    assert found == Known(f"1/{SLUG}", "production", INCIDENT)
    assert look_up(data, "cd" * 16) is None
    assert look_up(data / "none", INCIDENT) is None
    told = Reader(lambda fingerprint: found).read(recovery(), SENT_MS)
    assert told == Sentence(SENT, f"1/{SLUG}", "production", f"resolved: incident {INCIDENT}")


def test_only_the_newest_incidents_are_remembered(monkeypatch):
    monkeypatch.setattr(sentences, "MAX_KNOWN", 2)
    reader = Reader()
    for slug in ("a", "b", "a", "c"):
        reader.read(failure(slug), SENT_MS)
    known = [reader.read(recovery(slug), SENT_MS).monitor for slug in "abc"]
    assert known == ["1/a", "1/?", "1/c"]


def test_a_message_cannot_move_the_cursor():
    told = Reader().read(failure(environment="\x1b[2Jeu\n\u202e"), SENT_MS)
    assert told.environment == r"\x1b[2Jeu\n\u202e"


@pytest.mark.parametrize(
    "value",
    [b"", b"\xff", b"[]", b"{}", b'{"payload_type": "occurrence"}', b'{"payload_type": "x"}', b"[" * 100_000],
)
def test_what_is_no_message_of_ours_is_told_all_the_same(value):
    told = Reader().read(value, SENT_MS)
    assert told == Sentence(SENT, "-", "-", f"not a message of Cronwax: {len(value)} bytes")


def test_a_message_about_the_flow_itself_is_told_in_its_own_words():
    body = {"payload_type": "clock_stalled", "detection_time": AT_US / 1e6, "text": "the event clock stands"}
    told = Reader().read(json.dumps(body).encode(), SENT_MS)
    assert told == Sentence(AT, "-", "-", "clock_stalled: the event clock stands")
