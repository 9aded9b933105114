"""Targets over HTTP against a real server: what they are sent, and what their answers mean."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime

import fastjsonschema
import pytest

from cronwax.notify.targets import http
from cronwax.notify.targets.base import RefusedError, RetryError
from cronwax.notify.targets.http import retry_after
from dataflow.monitors.check_in import CheckInStatus
from tests.notify.alertmanager_schema import ALERTS
from tests.notify.receivers import Answer, Receiver
from tests.notify.sending import NOW_S, planned, send, target

# --- webhook


def test_a_webhook_gets_what_the_schema_says_signed(tmp_path, receiver: Receiver, monkeypatch):
    monkeypatch.setenv("HOOK_SECRET", "open sesame")
    config = target(
        tmp_path,
        type="webhook",
        url=f"{receiver.url}/hook?x=1",
        secret="env:HOOK_SECRET",
        headers={"X-Token": "t"},
    )
    notifications = planned(
        config, status=CheckInStatus.MISSED, expected_s=-600, at_s=-600, known_s=0, last_ok_s=-90_000
    )
    assert send(config, *notifications) == ["200", "200"]
    first, second = receiver.taken
    assert (first.path, first.headers["X-Token"]) == ("/hook?x=1", "t")
    assert first.headers["Idempotency-Key"] == notifications[0].key == first.json["id"]
    signed = f"{first.headers['Cronwax-Timestamp']}.".encode() + first.body
    expected = hmac.new(b"open sesame", signed, hashlib.sha256).hexdigest()
    assert first.headers["Cronwax-Signature"] == f"v1={expected}"
    assert first.headers["Cronwax-Timestamp"] == "1800000000"
    body = first.json
    assert {name: body[name] for name in ("version", "does", "kind", "target", "route", "link")} == {
        "version": 1,
        "does": "opens",
        "kind": "failure",
        "target": "ops",
        "route": "all",
        "link": "https://ops.example/1/job-0",
    }
    assert body["incident"]["failure"] == {
        "status": "missed",
        "expected_at": "2025-03-02T23:50:00.000Z",
        "began_at": None,
        "known_at": "2025-03-03T00:00:00.000Z",
        "duration_ms": None,
    }
    assert body["incident"]["monitor"]["timezone"] == "Europe/Vienna"
    assert body["incident"]["last_success_at"] == "2025-03-01T23:00:00.000Z"
    assert body["text"].startswith(
        "Expected at 2025-03-02 23:50 UTC (2025-03-03 00:50 in Europe/Vienna), it did not come: at "
        "2025-03-03 00:00 UTC (01:00 in Europe/Vienna) it was missed.\n"
    )
    assert second.json["does"] == "ends"
    assert second.json["thread"] == body["id"]
    assert second.json["incident"]["ended_at"] == "2025-03-03T00:10:00.000Z"


def test_each_attempt_of_a_webhook_sends_the_same_bytes(tmp_path, receiver: Receiver):
    config = target(tmp_path, type="webhook", url=receiver.url)
    [first, _] = planned(config)
    send(config, first, first)
    assert len({request.body for request in receiver.taken}) == 1
    assert "Cronwax-Signature" not in receiver.taken[0].headers


def test_a_digest_says_how_many_and_names_them(tmp_path, receiver: Receiver):
    config = target(tmp_path, type="webhook", url=receiver.url)
    notifications = planned(config, count=1_000)
    assert [each.does for each in notifications].count("digest") == 2
    digest = next(each for each in notifications if each.does == "digest")
    send(config, digest)
    [body] = receiver.bodies
    assert (body["digest"]["of"], body["digest"]["count"]) == ("opens", 990)
    assert len(body["digest"]["incidents"]) == 500
    assert body["text"].splitlines()[-1] == "and 940 more"


ANSWERS = {
    "taken": (Answer(204), None, None),
    "a mistake of the message": (Answer(400), RefusedError, "it answers 400"),
    "too large": (Answer(413), RefusedError, "it answers 413"),
    "a wrong token": (Answer(401), RetryError, "it answers 401"),
    "a wrong path": (Answer(404), RetryError, "it answers 404"),
    "too many": (Answer(429, (("Retry-After", "17"),)), RetryError, "it answers 429"),
    "its own fault": (Answer(503), RetryError, "it answers 503"),
    "moved": (
        Answer(302, (("Location", "http://127.0.0.1:1/"),)),
        RetryError,
        "it answers 302: redirects are not followed",
    ),
    "no answer": (Answer(0), RetryError, "it ends the connection without an answer"),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_what_an_answer_means(tmp_path, receiver: Receiver, case):
    answer, error, reason = ANSWERS[case]
    receiver.judge = lambda request: answer
    config = target(tmp_path, type="webhook", url=f"{receiver.url}/secret-path")
    [first, _] = planned(config)
    if error is None:
        assert send(config, first) == ["204"]
        return
    with pytest.raises(error) as caught:
        send(config, first)
    assert str(caught.value) == reason
    if isinstance(caught.value, RetryError):
        assert caught.value.after_seconds == (17 if case == "too many" else None)


def test_a_target_that_never_answers_fails_in_time(tmp_path, receiver: Receiver, monkeypatch):
    monkeypatch.setattr(http, "READ_SECONDS", 0.2)
    receiver.judge = lambda request: Answer(-1)
    config = target(tmp_path, type="webhook", url=receiver.url)
    with pytest.raises(RetryError, match=r"no answer within 0\.2 s"):
        send(config, planned(config)[0])


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:1/x", "the connection is refused"),
        ("http://no-such-host.invalid/x", "its host's name is not known"),
    ],
)
def test_a_target_that_is_not_there(tmp_path, url, reason):
    config = target(tmp_path, type="webhook", url=url)
    with pytest.raises(RetryError) as caught:
        send(config, planned(config)[0])
    assert str(caught.value) == reason


def test_tls_with_a_server_that_speaks_none(tmp_path, receiver: Receiver):
    config = target(tmp_path, type="webhook", url=f"https://127.0.0.1:{receiver.port}/token-123456")
    with pytest.raises(RetryError) as caught:
        send(config, planned(config)[0])
    assert str(caught.value).startswith("TLS fails")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("5", 5),
        ("0", 0),
        ("Fri, 15 Jan 2027 08:00:30 GMT", 30),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0),
        ("soon", None),
        ("-5", None),
        ("99999999999999999999", 999_999_999),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_read_in_both_forms(header, seconds):
    assert retry_after(header, NOW_S) == seconds


# --- Alertmanager


def test_alertmanager_gets_alerts_that_its_schema_allows(tmp_path, receiver: Receiver):
    config = target(tmp_path, type="alertmanager", url=f"{receiver.url}/", labels={"site": "vienna"})
    begins, ends = planned(config)
    send(config, begins, ends)
    validate = fastjsonschema.compile(ALERTS)
    for request in receiver.taken:
        assert request.path == "/api/v2/alerts"
        validate(request.json)
    [[firing], [resolved]] = receiver.bodies
    assert firing["labels"] == resolved["labels"]
    assert firing["labels"] == {
        "alertname": "CronwaxFailure",
        "project": "1",
        "monitor": "job-0",
        "environment": "production",
        "site": "vienna",
    }
    assert firing["startsAt"] == resolved["startsAt"] == "2025-03-03T00:00:00.000Z"
    assert datetime.fromisoformat(firing["endsAt"]).timestamp() == NOW_S + 300
    assert resolved["endsAt"] == "2025-03-03T00:10:00.000Z"
    assert firing["generatorURL"] == "https://ops.example/1/job-0"


def test_alertmanager_is_notified_again_of_all_that_is_open_in_few_requests(tmp_path, receiver: Receiver):
    config = target(tmp_path, type="alertmanager", url=receiver.url, token="t0ken")
    openings = [each for each in planned(config, count=450) if each.does == "opens"]
    assert len(openings) == 450
    sender = config.build()
    sender.refresh(openings, NOW_S)
    assert [len(body) for body in receiver.bodies] == [200, 200, 50]
    assert receiver.taken[0].headers["Authorization"] == "Bearer t0ken"
    assert config.refresh_seconds is not None
    assert config.refresh_seconds * 4 < 300


# --- PagerDuty


def test_pagerduty_is_triggered_and_resolved_by_one_key(tmp_path, receiver: Receiver):
    config = target(
        tmp_path, type="pagerduty", routing_key="R" * 32, url=f"{receiver.url}/v2/enqueue", severity="error"
    )
    begins, ends = planned(config)
    receiver.judge = lambda request: Answer(202)
    send(config, begins, ends)
    first, second = receiver.bodies
    assert first["routing_key"] == "R" * 32
    assert first["event_action"] == "trigger"
    assert first["dedup_key"] == second["dedup_key"] == begins.key
    assert first["payload"]["summary"] == "job-0 (production) failed"
    assert first["payload"]["source"] == "1/job-0/production"
    assert first["payload"]["severity"] == "error"
    assert first["links"] == [{"href": "https://ops.example/1/job-0", "text": "Monitor"}]
    assert second["event_action"] == "resolve"
