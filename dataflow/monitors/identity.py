"""Ids of what Cronwax makes itself: each derives from what it is about, so that a replay gives the same."""

from __future__ import annotations

from hashlib import blake2b

_KINDS = (
    *(b"monitor", b"missed", b"nil", b"incident", b"fingerprint", b"message", b"event", b"error"),
    *(b"system_incident", b"silence"),
)
_EMPTY = {kind: blake2b(digest_size=16, person=kind) for kind in _KINDS}
"""Each kind of id has a function of its own. To copy it takes half as long as to make it."""

_FREE_BITS = 0xFFFFFFFF_FFFF_0FFF_3FFF_FFFFFFFFFFFF
_VERSION_BITS = 0x00000000_0000_5000_8000_000000000000
"""Version 5, of the variant that RFC 9562 describes."""
_from_bytes = int.from_bytes


def _digest(kind: bytes, text: str) -> bytes:
    digest = _EMPTY[kind].copy()
    digest.update(text.encode("utf-8", "surrogatepass"))
    return digest.digest()


def _guid(kind: bytes, text: str) -> bytes:
    """A UUID of version 5 (RFC 9562, section 5.5), put together here: the class of Python's takes longer than all else
    that an id costs."""
    return (_from_bytes(_digest(kind, text)) & _FREE_BITS | _VERSION_BITS).to_bytes(16)


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


def incident_names(project_id: int, slug: str, environment: str, starting_guid: bytes) -> tuple[str, str]:
    """Id and fingerprint (32 hex digits each) of the incident that this check-in began."""
    start = f"{project_id}\x1f{slug}\x1f{environment}\x1f{starting_guid.hex()}"
    return _digest(b"incident", start).hex(), _digest(b"fingerprint", start).hex()


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
