"""Ids of what Cronwax makes itself: each derives from what it is about, so that a replay gives the same."""

from __future__ import annotations

from hashlib import blake2b


def _digest(kind: bytes, parts: tuple[object, ...]) -> bytes:
    text = "\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass")
    return blake2b(text, digest_size=16, person=kind).digest()


def _guid(kind: bytes, *parts: object) -> bytes:
    """A UUID of version 5 (RFC 9562, section 5.5), put together here: the class of Python's takes longer than all else
    that an id costs."""
    guid = bytearray(_digest(kind, parts))
    guid[6] = guid[6] & 0x0F | 0x50
    guid[8] = guid[8] & 0x3F | 0x80
    return bytes(guid)


def guid_text(guid: bytes) -> str:
    """A guid as UUIDs are written: 32 hex digits with dashes."""
    text = guid.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def monitor_id(project_id: int, slug: str) -> bytes:
    """The UUID of a monitor."""
    return _guid(b"monitor", project_id, slug)


def missed_guid(project_id: int, slug: str, environment: str, expected_minute: int) -> bytes:
    """The guid of the missed check-in that was expected at that minute."""
    return _guid(b"missed", project_id, slug, environment, expected_minute)


def positioned_guid(topic: str, partition: int, offset: int) -> bytes:
    """The guid of a new check-in that came under the nil guid, from its message's position."""
    return _guid(b"nil", topic, partition, offset)


def incident_id(project_id: int, slug: str, environment: str, starting_guid: bytes) -> str:
    """The id (32 hex digits) of the incident that this check-in began."""
    return _digest(b"incident", (project_id, slug, environment, starting_guid.hex())).hex()


def fingerprint(project_id: int, slug: str, environment: str, starting_guid: bytes) -> str:
    """The fingerprint (32 hex digits) of the incident that this check-in began."""
    return _digest(b"fingerprint", (project_id, slug, environment, starting_guid.hex())).hex()


def message_id(kind: str, incident: str, check_in_guid: bytes | None) -> str:
    """The id (32 hex digits) of a message of this kind about an incident and a check-in (None: about none)."""
    return _guid(b"message", kind, incident, check_in_guid.hex() if check_in_guid is not None else "").hex()


def event_id(kind: str, incident: str, check_in_guid: bytes) -> str:
    """The id (32 hex digits) of the event inside an occurrence of this kind."""
    kinds = () if kind == "occurrence" else (kind,)  # as it was before there were other kinds
    return _guid(b"event", incident, check_in_guid.hex(), *kinds).hex()


def error_id(topic: str, partition: int, offset: int, types: list[str]) -> bytes:
    """The UUID of a processing error, from the position of the message and what was wrong with it."""
    return _guid(b"error", topic, partition, offset, *types)


def system_incident_id(start_minute: int) -> str:
    """The id (32 hex digits) of the system incident that began in that minute."""
    return _digest(b"system_incident", (start_minute,)).hex()


def system_message_id(kind: str, system_incident: str) -> str:
    """The id (32 hex digits) of a message of this kind about a system incident."""
    return _guid(b"message", kind, system_incident).hex()


def silence_id(topic: str, partition: int, offset: int) -> str:
    """The id (32 hex digits) of a silence whose control names none, from the control's position."""
    return _guid(b"silence", topic, partition, offset).hex()


def silence_message_id(kind: str, silence: str, at_us: int) -> str:
    """The id (32 hex digits) of a message of this kind about a silence."""
    return _guid(b"message", kind, silence, at_us).hex()
