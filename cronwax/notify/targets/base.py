"""What every kind of target has in common: how it is configured, and how it sends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Protocol

from pydantic import BaseModel, ConfigDict

from cronwax.notify.notification import Notification
from cronwax.notify.policy import Traits
from cronwax.notify.secret_values import Redactor, resolve

CONNECT_SECONDS, READ_SECONDS = 5.0, 15.0
"""How long a connection, and each wait for an answer, may take."""


class DeliveryError(Exception):
    """A notification was not taken; the text says why, in one line, without secrets."""


class RetryError(DeliveryError):
    """It may be taken later, after `after_seconds` at the earliest, if the target has said so."""

    def __init__(self, reason: str, after_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.after_seconds = after_seconds


class RefusedError(DeliveryError):
    """It is not taken, however often it is sent."""


class Sender(Protocol):
    """Sends to one target. One thread at a time uses it."""

    def send(self, notification: Notification, now_s: float) -> str:
        """Send at this time, in seconds since the epoch; what the target answered, in a word or two. Raises
        DeliveryError."""

    def refresh(self, open_ones: Sequence[Notification], now_s: float) -> None:
        """Say again that all of these are still open: asked every `refresh_seconds` only. Raises DeliveryError."""

    def close(self) -> None:
        """Give up connections."""


class TargetConfig(BaseModel):
    """What the routes file says of a target."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    traits: ClassVar[Traits] = Traits()
    refresh_seconds: ClassVar[float | None] = None
    """How often it has to hear again of what is open; None: once is enough."""
    secret_names: ClassVar[tuple[str, ...]] = ()
    """The keys whose values may hold secrets: they may be `env:NAME` or `file:/path`."""

    type: str

    def check(self) -> str | None:
        """What is wrong with it that its keys alone do not show, in one line; None: nothing. Raises SecretError."""
        return None

    def build(self) -> Sender:
        """What sends to it, with its secrets as they are now. Raises SecretError."""
        raise NotImplementedError

    def secrets(self) -> list[str]:
        """The values of its secrets. Raises SecretError."""
        return [resolve(value) for name in self.secret_names for value in _texts(getattr(self, name))]

    def redactor(self) -> Redactor:
        """Takes its secrets out of texts. Raises SecretError."""
        return Redactor(self.secrets())


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for each in value.values() for text in _texts(each)]
    return []


class NoRefresh:
    """A sender that has nothing to refresh."""

    def refresh(self, open_ones: Sequence[Notification], now_s: float) -> None:
        """Nothing: once is enough."""

    def close(self) -> None:
        """Nothing: there is no lasting connection."""


Clock = Callable[[], float]
"""Seconds since the epoch."""
