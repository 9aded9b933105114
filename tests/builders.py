"""Builders of input, shared by the tests: lines of the JSON Lines format."""

from __future__ import annotations

import json
from typing import Any

START_S = 1_740_960_000
"""2025-03-03T00:00:00Z"""
HOURLY = {"schedule": {"type": "crontab", "value": "0 * * * *"}}


def guid(number: int) -> str:
    """The guid of a made-up check-in."""
    return f"{number:032x}"


def check_in(
    at_s: float,
    slug: str = "m",
    status: str = "ok",
    number: int = 1,
    *,
    project_id: int = 1,
    start_s: float | None = None,
    config: dict[str, Any] | None = None,
    **payload: Any,
) -> dict[str, Any]:
    """A check-in `at_s` seconds after START_S."""
    body = {"check_in_id": guid(number), "monitor_slug": slug, "status": status, **payload}
    if config is not None:
        body["monitor_config"] = config
    return {
        "ts": START_S + at_s,
        "message": {
            "message_type": "check_in",
            "payload": json.dumps(body),
            "start_time": START_S + (at_s if start_s is None else start_s),
            "project_id": project_id,
            "sdk": None,
            "retention_days": 90,
        },
    }


def pulse(at_s: float) -> dict[str, Any]:
    """A clock pulse."""
    return {"ts": START_S + at_s, "message": {"message_type": "clock_pulse"}}


def control(at_s: float, type_: str, **body: Any) -> dict[str, Any]:
    """A control."""
    return {"ts": START_S + at_s, "control": {"type": type_, **body}}


def as_line(line: dict[str, Any] | str) -> bytes:
    """One line of a file."""
    return (line if isinstance(line, str) else json.dumps(line)).encode()
