"""Pings in Healthchecks' form, and Cronitor's telemetry: a check-in each, for whoever has such clients already."""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl

from msgspec import Raw

from cronwax.intake.check_in import Given, message
from cronwax.intake.outcome import PLAIN, Drop, Dropped, Outcome, Rejected

PING_SDK = "cronwax-ping"
TELEMETRY_SDK = "cronwax-telemetry"
SERIES = uuid.uuid5(uuid.NAMESPACE_URL, "urn:cronwax:series")
"""The namespace of the guids that are made of Cronitor's `series`."""
CREATED = Raw(b'{"schedule":{"type":"interval","value":1,"unit":"day"},"checkin_margin":60}')
"""What `create=1` makes: Healthchecks' defaults, every day with an hour's grace."""
MAX_EXIT_STATUS = 255

_ACTIONS = {"": "ok", "start": "in_progress", "fail": "error"}
_STATES = {"": "ok", "ok": "ok", "complete": "ok", "run": "in_progress", "fail": "error"}
_is_rid = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}").fullmatch


def ping(
    project_id: int, slug: str, action: Sequence[str], query: Mapping[str, str], start_time: float
) -> Outcome:
    """A ping. `action` is what follows the check in the path. Raises Rejected (400, 404)."""
    if slug != slug.lower():
        raise Rejected(400, "invalid url format")
    name = action[0] if action else ""
    given = Given("", slug)
    if "rid" in query:
        if not _is_rid(query["rid"]):
            raise Rejected(400, "invalid uuid format")
        given.check_in_id = query["rid"]
    if query.get("create") == "1":
        given.monitor_config = CREATED
    if name == "log":
        drop = Drop("log", "changes no status")
        return Outcome(200, b"OK", [], [drop], project_id, PLAIN)
    given.status = _status(name, len(action))
    return _taken(project_id, PING_SDK, given, start_time)


def _status(name: str, segments: int) -> str:
    if name.isascii() and name.isdigit():
        if len(name) > 3 or int(name) > MAX_EXIT_STATUS:
            raise Rejected(400, "invalid url format")
        return "error" if int(name) else "ok"
    if segments > 1 or name not in _ACTIONS:
        raise Rejected(404, "not found")
    return _ACTIONS[name]


def telemetry(project_id: int, key: str, slug: str, raw_query: str, start_time: float) -> Outcome:
    """A report of Cronitor's clients. Raises Rejected (400)."""
    pairs = parse_qsl(raw_query, keep_blank_values=True)
    query = dict(pairs)
    status = _STATES.get(query.get("state", ""))
    if status is None:
        raise Rejected(400, "unknown state")
    given = Given(status, slug, environment=query.get("env"))
    if series := query.get("series"):
        given.check_in_id = uuid.uuid5(SERIES, f"{key}/{slug}/{series}").hex
    metrics = dict(value.split(":", 1) for name, value in pairs if name == "metric" and ":" in value)
    if "duration" in metrics:
        given.duration = _seconds(metrics["duration"])
    return _taken(project_id, TELEMETRY_SDK, given, start_time)


def _seconds(text: str) -> float | None:
    """A duration; what is none costs the duration, not the report."""
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) else None


def _taken(project_id: int, sdk: str, given: Given, start_time: float) -> Outcome:
    outcome = Outcome(200, b"OK", project_id=project_id, content_type=PLAIN)
    try:
        outcome.messages.append(message(project_id, sdk, start_time, given))
    except Dropped as reason:
        outcome.drops.append(Drop("check_in", str(reason), b"", given.monitor_slug, sdk))
    return outcome
