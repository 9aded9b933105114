"""The monitor as messages name it."""

from __future__ import annotations

from typing import Any, Protocol

from dataflow.monitors import identity


class Named(Protocol):
    """What is about a monitor."""

    @property
    def project_id(self) -> int:
        """The monitor's."""
        ...

    @property
    def slug(self) -> str:
        """The monitor's."""
        ...

    @property
    def name(self) -> str:
        """The monitor's, as people know it."""
        ...


def monitor_object(notice: Named) -> dict[str, Any]:
    """Its id, slug and name."""
    return {
        "id": identity.guid_text(identity.monitor_id(notice.project_id, notice.slug)),
        "slug": notice.slug,
        "name": notice.name,
    }
