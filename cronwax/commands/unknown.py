"""Whether a control is about a monitor that the published snapshot knows: else the flow will refuse it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import msgspec

from cronwax.commands.arguments import near
from dataflow.monitors.fields import slugify
from state.errors import StateError
from state.publish.snapshot import open_snapshot

_OF_KNOWN_MONITORS = (
    "set_monitor_status",
    "mute",
    "delete_monitor",
    "reset",
    "snooze",
    "acknowledge_incident",
)
"""Controls that the flow refuses (INVALID_CONTROL) where it does not know what they are about."""


def unknown_monitor(data_dir: Path, value: bytes) -> str | None:
    """What to say of a control about something that is not in the snapshot; None if it is, or nobody can tell.

    It is sent all the same: the snapshot may be old, or of another flow.
    """
    control: dict[str, Any] = msgspec.json.decode(value)
    if control["type"] not in _OF_KNOWN_MONITORS or "monitor_slug" not in control:
        return None
    project, slug, environment = (
        control["project_id"],
        slugify(control["monitor_slug"]),
        control.get("environment"),
    )
    try:
        with open_snapshot(data_dir) as connection:
            known = connection.execute(
                "SELECT slug, environment FROM monitors LEFT JOIN monitor_environments USING (project_id, slug) "
                "WHERE project_id = ?",
                [project],
            ).fetchall()
    except (StateError, duckdb.Error):
        return None
    slugs = {name for name, _ in known}
    environments = {name for of_slug, name in known if of_slug == slug and name is not None}
    if slug not in slugs:
        what, hint = f"no monitor {slug} in project {project}", near(slug, sorted(slugs))
    elif environment is not None and environment not in environments:
        what, hint = f"{slug} has no environment {environment}", near(environment, sorted(environments))
    else:
        return None
    return f"the snapshot in {data_dir}: {what}{hint or '.'} It is sent; the flow refuses what it does not know either"
