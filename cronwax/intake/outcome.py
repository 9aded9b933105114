"""What becomes of a request: an answer, messages for the stream, and what was dropped and why."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
from msgspec import Raw

RETENTION_DAYS = 90
"""What Sentry's relay writes into a check-in where the project says nothing else."""
JSON = b"application/json"
PLAIN = b"text/plain; charset=utf-8"


class Rejected(Exception):  # noqa: N818 - the field's term
    """The whole request is refused: nothing of it is taken.

    `payload` is what of it the sender may want to find again (never a key); `project_id` is known once the sender
    has shown a key of it.
    """

    def __init__(self, status: int, reason: str, *, payload: bytes = b"") -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.payload = payload
        self.project_id: int | None = None
        self.slug: str | None = None


class Dropped(Exception):  # noqa: N818 - the field's term
    """One item is dropped; the request is answered as if it had been taken. The text is the reason."""


class Message(msgspec.Struct, gc=False):
    """A message of `ingest-monitors`, its fields in the order in which Sentry's relay writes them."""

    payload: Raw
    """The check-in, as JSON."""
    start_time: float
    """When the request came, in whole seconds since the epoch; a batch brings its own."""
    sdk: str | None
    project_id: int
    slug: str
    """The slugified slug: with the project, what decides the partition. Not part of what is written."""


@dataclass(slots=True)
class Drop:
    """What was not taken, and why."""

    item: str
    """The item's type; `request` for a whole one."""
    reason: str
    payload: bytes = b""
    """What came, for the sender to find again."""
    slug: str | None = None
    sdk: str | None = None
    """What sent it, as far as that is known."""


@dataclass(slots=True)
class Outcome:
    """What becomes of a request. The answer is given once the messages are safe."""

    status: int
    body: bytes = b""
    messages: list[Message] = field(default_factory=list)
    drops: list[Drop] = field(default_factory=list)
    project_id: int | None = None
    """The project that the sender has shown a key of: only then is a drop worth a row."""
    content_type: bytes = JSON
