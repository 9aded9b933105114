"""Who sends: the public key of a DSN, from the one place of a request in which it stands."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import NamedTuple

from cronwax.intake.outcome import Rejected

_is_key = re.compile(r"[0-9A-Fa-f]{32}").fullmatch
_NEWEST_PROTOCOL = 7
"""`sentry_version` above this is refused, as Sentry's relay does."""


class Sender(NamedTuple):
    """What a request says about who sends it."""

    key: str
    """Not looked at yet; see `public_key`."""
    client: str | None
    """`sentry_client`, which becomes a message's `sdk`."""
    version: str | None = None


def sender_of(
    headers: Mapping[str, str], query: Mapping[str, str], raw_query: str, path_key: str | None
) -> Sender | None:
    """Who sends, from exactly one place; None if there is none (then an envelope's `dsn` may serve).

    Raises Rejected (401) for two at once, or one that cannot be read.
    """
    found = [
        _from_pairs(value[7:])
        for name in ("x-sentry-auth", "authorization")
        if (value := headers.get(name, ""))[:7].lower() == "sentry "
    ]
    authorization = headers.get("authorization", "")
    if authorization[:6].lower() == "basic ":
        found.append(Sender(_basic_user(authorization[6:]), None))
    if "sentry_" in raw_query:
        found.append(_from_fields(query))
    if path_key:
        found.append(Sender(path_key, None))
    if len(found) > 1:
        raise Rejected(401, "multiple authorization payloads detected")
    return found[0] if found else None


def public_key(sender: Sender) -> str:
    """The key, in lower case. Raises Rejected: 401 without one, 400 for what cannot be one."""
    if not sender.key:
        raise Rejected(401, "bad x-sentry-auth header")
    if not _is_key(sender.key):
        raise Rejected(400, "bad sentry DSN public key")
    version = sender.version
    if version is not None and version.isdecimal() and int(version[:9]) > _NEWEST_PROTOCOL:
        raise Rejected(400, f"unsupported protocol version ({version[:9]})")
    return sender.key.lower()


def _from_pairs(text: str) -> Sender:
    pairs = (pair.strip().split("=", 1) for pair in text.split(",") if "=" in pair)
    return _from_fields({name: value for name, value in pairs})  # noqa: C416 - dict() would not know the types


def _from_fields(fields: Mapping[str, str]) -> Sender:
    return Sender(
        fields.get("sentry_key", ""), fields.get("sentry_client") or None, fields.get("sentry_version")
    )


def _basic_user(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise Rejected(401, "bad authorization header") from None
