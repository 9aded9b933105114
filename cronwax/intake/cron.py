"""The cron address: one check-in, in the query or as JSON."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from cronwax.intake.authentication import Sender
from cronwax.intake.check_in import Given, message, payload_of, read
from cronwax.intake.outcome import PLAIN, Drop, Dropped, Outcome, Rejected
from dataflow.monitors.fields import parse_guid

SDK = "relay-http"
"""What the relay calls a sender that names no client."""
_UNITS = ("year", "month", "week", "day", "hour", "minute")
_is_interval = re.compile(rf"(?:every )?\s*(\d{{1,9}}) ({'|'.join(_UNITS)})s?", re.ASCII).fullmatch
_CONFIG = {"timezone": "timezone", "margin": "checkin_margin", "max_runtime": "max_runtime"}
"""Cronwax's own parameters beside `schedule`, and what they are in a config."""


def from_query(
    project_id: int, slug: str, sender: Sender, query: Mapping[str, str], start_time: float
) -> Outcome:
    """A check-in from the query. Raises Rejected (400) when it has no status, or cannot be read."""
    try:
        given = _given(slug, query)
    except Rejected as refusal:
        shown = {name: value for name, value in query.items() if not name.startswith("sentry_")}
        refusal.payload = msgspec.json.encode(shown)
        raise
    return _taken(project_id, sender, given, start_time)


def _given(slug: str, query: Mapping[str, str]) -> Given:
    if "status" not in query:
        raise Rejected(400, "query without status")
    given = Given(query["status"], slug, environment=query.get("environment"))
    if "duration" in query:
        given.duration = _seconds(query["duration"])
    if "check_in_id" in query:
        given.check_in_id = query["check_in_id"]
        if parse_guid(given.check_in_id) is None:
            raise Rejected(400, "unreadable query")
    config = _config(query)
    if config is not None:
        given.monitor_config = Raw(msgspec.json.encode(config))
    return given


def from_json(project_id: int, slug: str, sender: Sender, body: bytes, start_time: float) -> Outcome:
    """A check-in from JSON; the slug is the address's. Raises Rejected: 400 for what is not JSON, 422 for JSON of
    another shape."""
    try:
        given = read(body)
        given.monitor_slug = "x"
        payload_of(given)
    except Dropped as reason:
        if str(reason) == "invalid_json":
            raise Rejected(400, "body is not JSON", payload=body) from None
        raise Rejected(422, str(reason), payload=body) from None
    given.monitor_slug = slug
    return _taken(project_id, sender, given, start_time)


def _taken(project_id: int, sender: Sender, given: Given, start_time: float) -> Outcome:
    outcome = Outcome(202, project_id=project_id, content_type=PLAIN)
    try:
        outcome.messages.append(message(project_id, sender.client or SDK, start_time, given))
    except Dropped as reason:
        outcome.drops.append(Drop("check_in", str(reason), _shown(given), given.monitor_slug))
    return outcome


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise Rejected(400, "unreadable query")
    return seconds


def _config(query: Mapping[str, str]) -> dict[str, Any] | None:
    """The config that the query spells; None if it names none of it. What is faulty in it the flow will say."""
    config: dict[str, Any] = {}
    if "schedule" in query:
        text = query["schedule"].strip()
        if interval := _is_interval(text):
            config["schedule"] = {"type": "interval", "value": int(interval[1]), "unit": interval[2]}
        else:
            config["schedule"] = {"type": "crontab", "value": text}
    for parameter, name in _CONFIG.items():
        if parameter in query:
            text = query[parameter]
            config[name] = int(text) if text.isdecimal() and len(text) < 10 else text
    return config or None


def _shown(given: Given) -> bytes:
    return msgspec.json.encode(
        {
            name: value
            for name in ("status", "monitor_slug", "check_in_id", "environment", "duration")
            if (value := getattr(given, name)) not in (None, UNSET)
        }
    )
