"""What is sent to one target: the same for every kind of target, which puts it into a form of its own."""

from __future__ import annotations

from hashlib import blake2b
from typing import Literal

import msgspec

from cronwax.notify.events import Event

Does = Literal["opens", "reminds", "notes", "ends", "digest", "test"]
"""What a notification does. A digest stands for many of one kind, which `digest_of` says."""


class Named(msgspec.Struct, frozen=True, omit_defaults=True):
    """One of those that a digest names."""

    key: str
    """The incident's fingerprint."""
    project_id: int | None
    slug: str
    name: str
    environment: str
    status: str = ""
    is_over: bool = False
    """It ended before the digest was made: no other notification says so."""


class Notification(msgspec.Struct, frozen=True, omit_defaults=True):
    """Complete when it is planned: each attempt sends the same."""

    key: str
    """The idempotency key: derived from what it is about and for whom, so that a repeat has the same one."""
    target: str
    route: str
    does: Does
    kind: str
    """What routes tell apart (`events.Kind`), or test."""
    thread: str
    """What belongs together for the reader: the key of the notification that opened it."""
    lanes: list[str]
    """Within a target, those that have a lane in common are sent in their order."""
    created_ms: int
    title: str
    sentences: list[str]
    fields: list[tuple[str, str]] = []
    """Names and values, for reference."""
    link: str | None = None
    event: Event | None = None
    """What opened it, or is to be noted; None: a digest."""
    newest: Event | None = None
    """Of a reminder or an end, the newest failure."""
    ended_us: int | None = None
    """Of an end, when it ended, in event time."""
    digest_of: Literal["opens", "reminds", "notes", "ends"] | None = None
    count: int = 0
    """Of a digest, how many it stands for."""
    members: list[Named] = []
    """The first of them."""
    acknowledge: str | None = None
    """A link that acknowledges it. Put in when it is sent, and not kept: whoever has it may."""


def key_of(*parts: object) -> str:
    """An idempotency key: 32 hex digits, the same for the same parts."""
    text = "\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass")
    return blake2b(text, digest_size=16, person=b"notification").hexdigest()
