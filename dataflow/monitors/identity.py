"""Ids of what Cronwax makes itself: each derives from what it is about, so that a replay gives the same."""

from __future__ import annotations

from hashlib import blake2b

_KINDS = (
    *(b"monitor", b"missed", b"nil", b"incident", b"fingerprint", b"message", b"event", b"error"),
    *(b"system_incident", b"silence"),
)
_EMPTY = {kind: blake2b(digest_size=16, person=kind) for kind in _KINDS}
"""Each kind of id has a function of its own. To copy it takes half as long as to make it."""


def _digest(kind: bytes, text: str) -> bytes:
    digest = _EMPTY[kind].copy()
    digest.update(text.encode("utf-8", "surrogatepass"))
    return digest.digest()


def _guid(kind: bytes, text: str) -> bytes:
    """A UUID of version 5 (RFC 9562, section 5.5), put together here: the class of Python's takes longer than all else
    that an id costs."""
    guid = bytearray(_digest(kind, text))
    guid[6] = guid[6] & 0x0F | 0x50
    guid[8] = guid[8] & 0x3F | 0x80
    return bytes(guid)


def guid_text(guid: bytes) -> str:
    """A guid as UUIDs are written: 32 hex digits with dashes."""
    text = guid.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def monitor_id(project_id: int, slug: str) -> bytes:
    """The UUID of a monitor."""
    return _guid(b"monitor", f"{project_id}\x1f{slug}")


def missed_guid(project_id: int, slug: str, environment: str, expected_minute: int) -> bytes:
    """The guid of the missed check-in that was expected at that minute."""
    return _guid(b"missed", f"{project_id}\x1f{slug}\x1f{environment}\x1f{expected_minute}")


def positioned_guid(topic: str, partition: int, offset: int) -> bytes:
    """The guid of a new check-in that came under the nil guid, from its message's position."""
    return _guid(b"nil", f"{topic}\x1f{partition}\x1f{offset}")


def _start(project_id: int, slug: str, environment: str, guid: bytes) -> str:
    return f"{project_id}\x1f{slug}\x1f{environment}\x1f{guid.hex()}"


def incident_id(project_id: int, slug: str, environment: str, starting_guid: bytes) -> str:
    """The id (32 hex digits) of the incident that this check-in began."""
    return _digest(b"incident", _start(project_id, slug, environment, starting_guid)).hex()


def fingerprint(project_id: int, slug: str, environment: str, starting_guid: bytes) -> str:
    """The fingerprint (32 hex digits) of the incident that this check-in began."""
    return _digest(b"fingerprint", _start(project_id, slug, environment, starting_guid)).hex()


def message_id(kind: str, incident: str, check_in_guid: bytes | None) -> str:
    """The id (32 hex digits) of a message of this kind about an incident and a check-in (None: about none)."""
    guid = check_in_guid.hex() if check_in_guid is not None else ""
    return _guid(b"message", f"{kind}\x1f{incident}\x1f{guid}").hex()


def event_id(kind: str, incident: str, check_in_guid: bytes) -> str:
    """The id (32 hex digits) of the event inside an occurrence of this kind."""
    kinds = "" if kind == "occurrence" else f"\x1f{kind}"  # as it was before there were other kinds
    return _guid(b"event", f"{incident}\x1f{check_in_guid.hex()}{kinds}").hex()


def error_id(topic: str, partition: int, offset: int, types: list[str]) -> bytes:
    """The UUID of a processing error, from the position of the message and what was wrong with it."""
    return _guid(b"error", "\x1f".join((f"{topic}\x1f{partition}\x1f{offset}", *types)))


def system_incident_id(start_minute: int) -> str:
    """The id (32 hex digits) of the system incident that began in that minute."""
    return _digest(b"system_incident", f"{start_minute}").hex()


def system_message_id(kind: str, system_incident: str) -> str:
    """The id (32 hex digits) of a message of this kind about a system incident."""
    return _guid(b"message", f"{kind}\x1f{system_incident}").hex()


def silence_id(topic: str, partition: int, offset: int) -> str:
    """The id (32 hex digits) of a silence whose control names none, from the control's position."""
    return _guid(b"silence", f"{topic}\x1f{partition}\x1f{offset}").hex()


def silence_message_id(kind: str, silence: str, at_us: int) -> str:
    """The id (32 hex digits) of a message of this kind about a silence."""
    return _guid(b"message", f"{kind}\x1f{silence}\x1f{at_us}").hex()
