"""Sentry envelopes: a JSON header, then items of a JSON header and a payload each, one line feed after each part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from cronwax.intake.authentication import Sender, public_key, sender_of
from cronwax.intake.check_in import message, read
from cronwax.intake.outcome import Drop, Dropped, Outcome, Rejected

MAX_CHECK_IN_BYTES = 100 << 10
"""The relay's bound for one check-in item; one above it costs the envelope."""
_NEWLINE = 10
_any = msgspec.json.Decoder().decode
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Length(msgspec.Struct, gc=False):
    type: str
    length: int | None = None


_item_header = msgspec.json.Decoder(_Length).decode


class Envelope(NamedTuple):
    """An envelope whose sender is known, not yet opened."""

    sender: Sender
    key: str
    header: dict[str, Any]
    body: bytes
    items_at: int
    """Where in the body the first item begins."""


def opened(
    project_id: int, headers: Mapping[str, str], query: Mapping[str, str], raw_query: str, body: bytes
) -> Envelope:
    """Read who sent an envelope, and its header. Raises Rejected (400, 401)."""
    sender = sender_of(headers, query, raw_query, None)
    if not body:
        raise Rejected(400, "empty request body")
    end = _line_end(body, 0)
    header = _header(body[:end], 400 if sender else 401)
    dsn = header.get("dsn")
    dsn_key = dsn_project = None
    if isinstance(dsn, str) and dsn:
        dsn_key, dsn_project = _dsn_parts(dsn)
    if sender is None:
        if dsn_key is None:
            raise Rejected(401, "bad envelope authentication header")
        sender = Sender(dsn_key, None)
    key = public_key(sender)
    if dsn_key is not None:
        if dsn_project != str(project_id):
            raise Rejected(400, "project id header mismatch between envelope and request")
        if dsn_key.lower() != key:
            raise Rejected(400, "public key header mismatch between envelope and request")
    return Envelope(sender, key, header, body, end + 1)


def check_ins_of(project_id: int, envelope: Envelope, start_time: float) -> Outcome:
    """The check-ins of an envelope, and what else was in it. Raises Rejected (400, 413)."""
    items = list(_items(envelope.body, envelope.items_at))
    if any(kind == "check_in" and len(payload) > MAX_CHECK_IN_BYTES for kind, payload in items):
        raise Rejected(413, "envelope exceeded size limits for type 'check_in'")
    client = envelope.header.get("client")
    sdk = client if isinstance(client, str) and client else envelope.sender.client
    outcome = Outcome(200, _answer(envelope.header.get("event_id")), project_id=project_id)
    for kind, payload in items:
        if kind != "check_in":
            outcome.drops.append(Drop(kind, "not a check-in"))
            continue
        try:
            outcome.messages.append(message(project_id, sdk, start_time, read(payload)))
        except Dropped as reason:
            outcome.drops.append(Drop("check_in", str(reason), payload, sdk=sdk))
    return outcome


def _items(body: bytes, at: int) -> Iterator[tuple[str, bytes]]:
    """Type and payload of each item. A payload ends after `length` bytes or, without it, at the next line feed."""
    size = len(body)
    while at < size:
        end = _line_end(body, at)
        try:
            header = _item_header(body[at:end])
        except _BROKEN:
            raise Rejected(400, "invalid item header") from None
        start = min(end + 1, size)
        if header.length is None:
            stop = _line_end(body, start)
        else:
            if header.length < 0:
                raise Rejected(400, "invalid item header")
            stop = start + header.length
            if stop > size:
                raise Rejected(400, "unexpected end of file")
            if stop < size and body[stop] != _NEWLINE:
                raise Rejected(400, "missing newline after header or payload")
        yield header.type, body[start:stop]
        at = stop + 1


def _line_end(body: bytes, at: int) -> int:
    end = body.find(b"\n", at)
    return len(body) if end < 0 else end


def _header(text: bytes, status: int) -> dict[str, Any]:
    try:
        header = _any(text)
    except _BROKEN:
        raise Rejected(status, "invalid envelope header") from None
    if not isinstance(header, dict):
        raise Rejected(status, "invalid envelope header")
    return header


def _dsn_parts(dsn: str) -> tuple[str, str]:
    """Key and project of a DSN, whose path may have a prefix before the project."""
    try:
        parts = urlsplit(dsn)
        return parts.username or "", parts.path.rstrip("/").rpartition("/")[2]
    except ValueError:
        raise Rejected(400, "invalid envelope header") from None


def _answer(event_id: object) -> bytes:
    return msgspec.json.encode({"id": event_id}) if isinstance(event_id, str) and event_id else b"{}"
