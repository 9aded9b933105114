"""Webhooks: one JSON object a notification, signed (docs/notify.md has the schema)."""

from __future__ import annotations

import hmac
from typing import ClassVar, Literal

import msgspec
from pydantic import Field

from cronwax.notify.events import Event
from cronwax.notify.formats import plain
from cronwax.notify.notification import Named, Notification
from cronwax.notify.secret_values import resolve
from cronwax.notify.targets.base import NoRefresh, Sender, TargetConfig
from cronwax.notify.targets.http import Json, JsonSender, iso, iso_us, url_problem

VERSION = 1
"""Of the schema. Fields may be added within a version."""


class WebhookConfig(TargetConfig):
    """An address of one's own."""

    secret_names: ClassVar[tuple[str, ...]] = ("url", "secret", "headers")

    type: Literal["webhook"]
    url: str
    secret: str | None = None
    """Signs what is sent; unset: it is not signed."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Further headers, such as a token."""

    def check(self) -> str | None:
        """See TargetConfig."""
        return url_problem(resolve(self.url))

    def build(self) -> Sender:
        """See TargetConfig."""
        secret = resolve(self.secret) if self.secret is not None else None
        headers = {name: resolve(value) for name, value in self.headers.items()}
        return _Webhook(resolve(self.url), secret, headers)


class _Webhook(NoRefresh):
    def __init__(self, url: str, secret: str | None, headers: dict[str, str]) -> None:
        self._sender = JsonSender(url, headers)
        self._secret = secret

    def send(self, notification: Notification, now_s: float) -> str:
        body = encoded(notification)
        headers = {"Idempotency-Key": notification.key}
        if self._secret is not None:
            timestamp = str(int(now_s))
            headers["Cronwax-Timestamp"] = timestamp
            headers["Cronwax-Signature"] = signature(self._secret, timestamp, body)
        return self._sender.post(body, headers, now_s)

    def close(self) -> None:
        self._sender.close()


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """The header Cronwax-Signature: `v1=` and the hex HMAC-SHA256 of `TIMESTAMP.BODY`."""
    digest = hmac.digest(secret.encode(), timestamp.encode() + b"." + body, "sha256")
    return f"v1={digest.hex()}"


def encoded(notification: Notification) -> bytes:
    """The body: the same bytes for each attempt."""
    return msgspec.json.encode(body_of(notification))


def body_of(notification: Notification) -> Json:
    """A notification as the schema says."""
    return {
        "version": VERSION,
        "id": notification.key,
        "does": notification.does,
        "kind": notification.kind,
        "thread": notification.thread,
        "target": notification.target,
        "route": notification.route,
        "created_at": iso(notification.created_ms / 1000),
        "title": notification.title,
        "text": plain(notification),
        "link": notification.link,
        "incident": _incident(notification),
        "digest": _digest(notification),
    }


def _incident(notification: Notification) -> Json | None:
    event = notification.event
    if event is None:
        return None
    newest = notification.newest
    return {
        "key": event.key,
        "monitor": _monitor(event),
        "began_at": iso_us(event.incident_began_us),
        "opened_at": iso_us(event.at_us),
        "ended_at": iso_us(notification.ended_us),
        "reason": event.reason,
        "failure": _failure(event),
        "newest_failure": _failure(newest) if newest is not None else None,
        "last_success_at": iso_us((newest or event).last_ok_us),
    }


def _monitor(event: Event) -> Json | None:
    if event.project_id is None:
        return None
    return {
        "project_id": event.project_id,
        "slug": event.slug,
        "name": event.name,
        "environment": event.environment,
        "owner": event.owner,
        "incident_id": event.incident_id,
        "schedule": event.schedule,
        "timezone": event.zone,
        "failure_threshold": event.failure_threshold,
    }


def _failure(event: Event) -> Json | None:
    if not event.status:
        return None
    return {
        "status": event.status,
        "expected_at": iso_us(event.expected_us),
        "began_at": iso_us(event.began_us),
        "known_at": iso_us(event.at_us),
        "duration_ms": event.duration_ms,
    }


def _digest(notification: Notification) -> Json | None:
    if notification.digest_of is None:
        return None
    return {
        "of": notification.digest_of,
        "count": notification.count,
        "incidents": [_member(member) for member in notification.members],
    }


def _member(member: Named) -> Json:
    return {
        "key": member.key,
        "project_id": member.project_id,
        "slug": member.slug,
        "name": member.name,
        "environment": member.environment,
        "status": member.status or None,
        "is_over": member.is_over,
    }
