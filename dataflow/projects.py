"""The projects file: which organization a project belongs to, and which keys open it to check-ins."""

from __future__ import annotations

import json
from typing import Annotated, Any

import msgspec
from msgspec import Meta

ProjectId = Annotated[int, Meta(ge=0, le=2**63 - 1)]
PublicKey = Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
"""A DSN's public key: 32 hex digits."""
PingKey = Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{8,64}$")]
"""What opens `/ping/KEY/SLUG` and `/p/KEY/SLUG`; new ones have 22 characters."""
CheckId = Annotated[str, Meta(pattern="^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")]


class Project(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One project of the file."""

    organization: ProjectId = 1
    name: str = ""
    keys: list[PublicKey] = []
    ping_keys: list[PingKey] = []
    checks: dict[CheckId, str] = {}
    """Of the pings that name a check by its UUID: which monitor's slug that is."""


_entries = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_entry = msgspec.json.Decoder(ProjectId | Project).decode
"""A project is its organization's number, or an object that says more."""
_number = msgspec.json.Decoder(ProjectId).decode
_MARK = b"\xef\xbb\xbf"
"""The byte order mark that some editors put first."""


def parse_projects(text: bytes) -> dict[int, Project]:
    """The projects of a file. Raises ValueError, whose text says what is wrong, and of which project, in one line."""
    text = text.removeprefix(_MARK)
    try:
        entries = _entries(text)
        json.loads(text, object_pairs_hook=_once)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None
    projects = dict(_project(name, entry) for name, entry in entries.items())
    if len(projects) < len(entries):
        raise ValueError("two keys are the same project's number")
    owners: dict[str, int] = {}
    for number, project in projects.items():
        for secret in (*project.ping_keys, *project.checks):
            if owners.setdefault(secret, number) != number:
                raise ValueError(
                    f"projects {owners[secret]} and {number} have a ping key or a check in common"
                )
    return projects


def _project(name: str, entry: msgspec.Raw) -> tuple[int, Project]:
    try:
        number = _number(name.encode("utf-8", "replace"))
    except msgspec.DecodeError:
        raise ValueError(f"the key {json.dumps(name[:100])} is not a project's number") from None
    try:
        found = _entry(entry)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"project {number}: {error}") from None
    return number, found if isinstance(found, Project) else Project(found)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object in which no key is given twice: it would not be clear which one holds."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {json.dumps(twice[:100])} is given twice")
    return found
