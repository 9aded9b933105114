"""Prometheus Alertmanager, API v2: an alert as long as an incident is open. It groups and silences by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import msgspec
from pydantic import Field

from cronwax.notify.formats import plain
from cronwax.notify.notification import Notification
from cronwax.notify.policy import Traits
from cronwax.notify.secret_values import resolve
from cronwax.notify.targets.base import Sender, TargetConfig
from cronwax.notify.targets.http import Json, JsonSender, iso, url_problem

PATH = "/api/v2/alerts"
REFRESH_SECONDS = 60.0
LASTS_SECONDS = 300.0
"""How long an alert lasts that is not sent again: four refreshes may fail."""
AT_ONCE = 200
"""Alerts in one request, at most."""


class AlertmanagerConfig(TargetConfig):
    """An Alertmanager; each of a cluster is a target of its own."""

    traits: ClassVar[Traits] = Traits(groups=True, takes_notes=False, has_state=True)
    refresh_seconds: ClassVar[float | None] = REFRESH_SECONDS
    secret_names: ClassVar[tuple[str, ...]] = ("url", "username", "password", "token")

    type: Literal["alertmanager"]
    url: str
    """Without the API's path."""
    username: str | None = None
    password: str | None = None
    token: str | None = None
    """Of the header `Authorization: Bearer`."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Further labels of each alert."""

    def check(self) -> str | None:
        """See TargetConfig."""
        for name in self.labels:
            if not (name.isascii() and name.isidentifier()):
                return f"labels: {name!r} is no name of a label"
        return url_problem(resolve(self.url))

    def build(self) -> Sender:
        """See TargetConfig."""
        headers = {"Authorization": f"Bearer {resolve(self.token)}"} if self.token is not None else {}
        login = None
        if self.username is not None:
            login = resolve(self.username), resolve(self.password or "")
        return _Alertmanager(resolve(self.url).rstrip("/") + PATH, headers, login, self.labels)


class _Alertmanager:
    def __init__(
        self, url: str, headers: dict[str, str], login: tuple[str, str] | None, labels: dict[str, str]
    ) -> None:
        self._sender = JsonSender(url, headers, login)
        self._labels = labels

    def send(self, notification: Notification, now_s: float) -> str:
        return self._post([alert(notification, now_s, self._labels)], now_s)

    def refresh(self, open_ones: Sequence[Notification], now_s: float) -> None:
        for first in range(0, len(open_ones), AT_ONCE):
            some = open_ones[first : first + AT_ONCE]
            self._post([alert(each, now_s, self._labels) for each in some], now_s)

    def close(self) -> None:
        self._sender.close()

    def _post(self, alerts: list[Json], now_s: float) -> str:
        return self._sender.post(msgspec.json.encode(alerts), {}, now_s)


def alert(notification: Notification, now_s: float, more: dict[str, str]) -> Json:
    """A notification as an alert. Its labels say what it is about and nothing else: they are its identity."""
    event = notification.event
    labels = {"alertname": f"Cronwax{_NAMES.get(event.kind if event else '', 'Incident')}"}
    if event is None:
        labels["thread"] = notification.thread
    elif event.project_id is not None:
        labels |= {"project": str(event.project_id), "monitor": event.slug, "environment": event.environment}
        labels |= {"owner": event.owner} if event.owner else {}
    elif event.name:
        labels["subject"] = event.name
    starts_s = notification.created_ms / 1000
    if event is not None and event.incident_began_us is not None:
        starts_s = event.incident_began_us / 1e6
    ends_s = now_s + LASTS_SECONDS
    if notification.does == "ends":
        ends_s = now_s if notification.ended_us is None else min(now_s, notification.ended_us / 1e6)
    found = {
        "labels": {**more, **{name: value for name, value in labels.items() if value}},
        "annotations": {"summary": notification.title, "description": plain(notification)},
        "startsAt": iso(min(starts_s, ends_s)),
        "endsAt": iso(ends_s),
    }
    return found | ({"generatorURL": notification.link} if notification.link else {})


_NAMES = {
    "failure": "Failure",
    "flapping": "Failure",
    "system_incident": "CheckInsAreBeingLost",
    "stalled": "Stalled",
}
"""Of alerts, by kind. What begins with flapping is a failure, too."""
