"""The projects file: which organization a project belongs to, and which keys open it to check-ins."""

from __future__ import annotations

from typing import Annotated

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


ProjectsFile = dict[ProjectId, ProjectId | Project]
"""A project is its organization's number, or an object that says more."""

_decode = msgspec.json.Decoder(ProjectsFile).decode


def parse_projects(text: bytes) -> dict[int, Project]:
    """The projects of a file. Raises ValueError, whose text says what is wrong in one line."""
    try:
        found = _decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None
    projects = {
        number: entry if isinstance(entry, Project) else Project(entry) for number, entry in found.items()
    }
    owners: dict[str, int] = {}
    for number, project in projects.items():
        for secret in (*project.ping_keys, *project.checks):
            if owners.setdefault(secret, number) != number:
                raise ValueError(
                    f"projects {owners[secret]} and {number} have a ping key or a check in common"
                )
    return projects
