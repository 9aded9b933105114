"""PagerDuty, Events API v2: an incident there is opened, and resolved when it is over, by its `dedup_key`."""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

from cronwax.notify.formats import plain
from cronwax.notify.notification import Notification
from cronwax.notify.policy import Traits
from cronwax.notify.secret_values import resolve
from cronwax.notify.targets.base import NoRefresh, Sender, TargetConfig
from cronwax.notify.targets.http import Json, JsonSender, iso, url_problem

_SUMMARY_LETTERS = 1024
"""The API's limit."""


class PagerDutyConfig(TargetConfig):
    """A service of PagerDuty's."""

    traits: ClassVar[Traits] = Traits(takes_notes=False, has_state=True)
    secret_names: ClassVar[tuple[str, ...]] = ("routing_key",)

    type: Literal["pagerduty"]
    routing_key: str
    """The integration key."""
    severity: Literal["critical", "error", "warning", "info"] = "critical"
    url: str = "https://events.pagerduty.com/v2/enqueue"

    def check(self) -> str | None:
        """See TargetConfig."""
        return url_problem(self.url)

    def build(self) -> Sender:
        """See TargetConfig."""
        return _PagerDuty(self.url, resolve(self.routing_key), self.severity)


class _PagerDuty(NoRefresh):
    def __init__(self, url: str, routing_key: str, severity: str) -> None:
        self._sender = JsonSender(url)
        self._routing_key = routing_key
        self._severity = severity

    def send(self, notification: Notification, now_s: float) -> str:
        body = {"routing_key": self._routing_key, **enqueued(notification, self._severity)}
        return self._sender.post(msgspec.json.encode(body), {}, now_s)

    def close(self) -> None:
        self._sender.close()


def enqueued(notification: Notification, severity: str) -> Json:
    """A notification as an event, without the key of the service."""
    if notification.does == "ends":
        return {"event_action": "resolve", "dedup_key": notification.thread}
    event = notification.event
    source = "cronwax"
    if event is not None and event.project_id is not None:
        source = f"{event.project_id}/{event.slug}/{event.environment}"
    body: Json = {
        "event_action": "trigger",
        "dedup_key": notification.thread,
        "payload": {
            "summary": notification.title[:_SUMMARY_LETTERS],
            "source": source,
            "severity": severity,
            "timestamp": iso(notification.created_ms / 1000),
            "custom_details": {"text": plain(notification), **dict(notification.fields)},
        },
    }
    if notification.link:
        body["links"] = [{"href": notification.link, "text": "Monitor"}]
    return body
