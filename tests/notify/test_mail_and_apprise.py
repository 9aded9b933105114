"""Mail, and the services that Apprise knows, against real servers."""

from __future__ import annotations

import time
from email.message import EmailMessage
from typing import Literal

import pytest

from cronwax.notify.notification import Notification, key_of
from cronwax.notify.routes_file import read_routes
from cronwax.notify.targets.base import DeliveryError, RefusedError, RetryError
from cronwax.notify.targets.smtp import mail_of
from tests.notify.receivers import Answer, MailServer, Receiver
from tests.notify.sending import planned, send, target

# --- mail


def body_of(mail: EmailMessage, kind: Literal["plain", "html"]) -> str:
    body = mail.get_body((kind,))
    assert isinstance(body, EmailMessage)
    return str(body.get_content())


def test_mails_about_one_incident_are_one_thread(tmp_path, mail_server: MailServer):
    config = target(
        tmp_path,
        type="smtp",
        host="127.0.0.1",
        port=mail_server.port,
        tls="none",
        sender="cronwax@example.org",
        to=["a@example.org", "b@example.org"],
    )
    begins, ends = planned(config)
    assert send(config, begins, ends, begins) == ["250", "250", "250"]
    first, second, again = mail_server.mails
    assert first["Subject"] == "job-0 (production) failed"
    assert first["To"] == "a@example.org, b@example.org"
    assert first["Message-ID"] == again["Message-ID"] == f"<{begins.key}@cronwax.example.org>"
    assert first["Date"] == again["Date"]
    assert second["In-Reply-To"] == second["References"] == first["Message-ID"]
    text, html = (body_of(first, kind) for kind in ("plain", "html"))
    assert (
        "The run that began at 2025-03-03 00:00 UTC (01:00 in Europe/Vienna) was reported as failed." in text
    )
    assert "Incident: " in text
    assert "https://ops.example/1/job-0" in text
    assert "<p>The run that began" in html


def test_a_recipient_that_is_refused_does_not_keep_the_others_from_it(tmp_path, mail_server: MailServer):
    keys = {"type": "smtp", "host": "127.0.0.1", "port": mail_server.port, "tls": "none"}
    sender = "cronwax@example.org"
    some = target(tmp_path, **keys, sender=sender, to=["nobody@example.org", "b@example.org"])
    assert send(some, planned(some)[0]) == ["1 of 2 recipients are refused"]
    none = target(tmp_path, **keys, sender=sender, to=["nobody@example.org"])
    with pytest.raises(RefusedError, match=r"all recipients are refused \(550\)"):
        send(none, planned(none)[0])


@pytest.mark.parametrize(
    ("answer", "error"),
    [("451 later", RetryError), ("552 mailbox full", RetryError), ("554 no", RefusedError)],
)
def test_what_a_mail_servers_answer_means(tmp_path, mail_server: MailServer, answer, error):
    mail_server.answer = lambda mail: answer
    config = target(
        tmp_path,
        type="smtp",
        host="127.0.0.1",
        port=mail_server.port,
        tls="none",
        sender="c@example.org",
        to=["a@example.org"],
    )
    with pytest.raises(error, match=f"it answers {answer[:3]}"):
        send(config, planned(config)[0])


def test_a_mail_server_that_is_not_there_or_speaks_no_tls(tmp_path, mail_server: MailServer):
    keys = {"type": "smtp", "host": "127.0.0.1", "sender": "c@example.org", "to": ["a@example.org"]}
    away = target(tmp_path, **keys, port=1, tls="none")
    with pytest.raises(RetryError, match="no connection: Connection refused"):
        send(away, planned(away)[0])
    plain = target(tmp_path, **keys, port=mail_server.port, tls="starttls")
    with pytest.raises(RetryError, match="the conversation fails"):
        send(plain, planned(plain)[0])


def test_a_name_of_control_characters_makes_no_header_of_its_own(tmp_path, mail_server: MailServer):
    config = target(
        tmp_path,
        type="smtp",
        host="127.0.0.1",
        port=mail_server.port,
        tls="none",
        sender="c@example.org",
        to=["a@example.org"],
    )
    begins, _ = planned(config, name="x\r\nBcc: eve@example.org\r\n\r\n\u202eevil \U0001f600")
    send(config, begins)
    [mail] = mail_server.mails
    assert "Bcc" not in mail
    assert "\\r\\nBcc" in mail["Subject"]
    assert mail_of(begins, "c@example.org", ["a@example.org"]).as_bytes()


# --- Apprise


def test_a_chat_service_is_notified_through_apprise(tmp_path, receiver: Receiver, monkeypatch):
    """Slack's web hook, at the level of HTTP."""
    from apprise.plugins.slack import NotifySlack

    monkeypatch.setattr(NotifySlack, "webhook_url", f"{receiver.url}/services")
    monkeypatch.setenv("SLACK", "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#ops")
    config = target(tmp_path, type="apprise", url="env:SLACK")
    send(config, *planned(config))
    first, second = receiver.taken
    assert first.path == "/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
    assert first.json["channel"] == "#ops"
    assert "job-0 (production) failed" in first.body.decode()
    assert "job-0 (production) recovered" in second.body.decode()


def test_what_a_service_refuses_is_notified_without_its_secrets(tmp_path, receiver: Receiver, monkeypatch):
    from apprise.plugins.slack import NotifySlack

    monkeypatch.setattr(NotifySlack, "webhook_url", f"{receiver.url}/services")
    config = target(tmp_path, type="apprise", url="slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#ops")
    answers: tuple[tuple[int, type[DeliveryError]], ...] = ((400, RefusedError), (500, RetryError))
    for status, error in answers:
        answer = Answer(status)
        receiver.judge = lambda request: answer  # noqa: B023 - asked within this turn
        with pytest.raises(error) as caught:
            send(config, planned(config)[0])
        assert str(status) in str(caught.value)
        for secret in ("T1JJ3T3L2", "A1BRTD4JD", "TIiajkdnlazkcOXrIdevi7FQ"):
            assert secret not in str(caught.value)


def test_a_url_alone_is_a_target_of_apprise(tmp_path, receiver: Receiver):
    path = tmp_path / "notify.toml"
    path.write_text(f'targets.ops = "json://127.0.0.1:{receiver.port}/hook"\n[[routes]]\ntargets = ["ops"]\n')
    tables, _ = read_routes(path)
    config = tables.targets["ops"]
    send(config, planned(config)[0])
    [body] = receiver.bodies
    assert body["title"] == "job-0 (production) failed"
    assert "was reported as failed" in body["message"]


def test_a_test_message_can_be_sent_by_every_kind(tmp_path, receiver: Receiver):
    key = key_of("test")
    test = Notification(
        key, "ops", "test", "test", "test", key, [key], int(time.time() * 1000), "A test", ["It is a test."]
    )
    for keys in (
        {"type": "webhook", "url": receiver.url},
        {"type": "alertmanager", "url": receiver.url},
        {"type": "pagerduty", "routing_key": "x", "url": receiver.url},
        {"type": "apprise", "url": f"json://127.0.0.1:{receiver.port}"},
    ):
        send(target(tmp_path, **keys), test)
    assert len(receiver.taken) == 4
