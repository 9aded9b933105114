"""The fields of a check-in's payload: what is valid, and what it is turned into (SPEC, section 3)."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Any

from dataflow.monitors.check_in import MAX_DURATION_MS, REPORTED
from dataflow.monitors.limits import Limit

MAX_SLUG_LENGTH = 50
MAX_PROJECT_ID = 2**64 - 1
NOT_GIVEN = -1
"""Stands for a duration that is negative, which counts as none."""
_MAX_DURATION_S = MAX_DURATION_MS / 1000 + 1
_DROPPED = re.compile(r"[^\w\s-]", re.ASCII)
_RUNS = re.compile(r"[-\s]+", re.ASCII)
_is_slug = re.compile(r"[a-z0-9](?:(?:[a-z0-9_]|-(?!-)){0,48}[a-z0-9])?", re.ASCII).fullmatch
"""Texts that are slugs already (of at most 50 characters); of any other `slugify` makes one."""
_DASHES = (8, 13, 18, 23)
MAX_CACHED = 100
"""Characters; slugs of longer texts are not kept."""


def slugify(text: str) -> str:
    """The slug of a monitor's name; empty if nothing of it is left. Of a long text only the beginning is read."""
    if len(text) <= MAX_CACHED:
        return cached_slug(text)
    return _slug(text[: Limit.SLUG_SOURCE_CHARACTERS])


def _slug(text: str) -> str:
    if _is_slug(text):
        return text
    text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return _RUNS.sub("-", _DROPPED.sub("", text))[:MAX_SLUG_LENGTH].strip("-_")


cached_slug = lru_cache(maxsize=65_536)(_slug)
"""`slugify` for texts of at most `MAX_CACHED` characters, which are kept in memory."""


def parse_guid(text: object) -> bytes | None:
    """The 16 bytes of a UUID in any standard form (32 digits, with dashes, in braces, as a URN); None if it is none."""
    if not isinstance(text, str):
        return None
    if len(text) != 32:
        if text[:9].lower() == "urn:uuid:":
            text = text[9:]
        elif text[:1] == "{" and text[-1:] == "}":
            text = text[1:-1]
        if len(text) == 36:
            if any(text[index] != "-" for index in _DASHES):
                return None
            text = text.replace("-", "")
        if len(text) != 32:
            return None
    try:
        guid = bytes.fromhex(text)
    except ValueError:
        return None
    return guid if len(guid) == 16 else None  # fromhex passes over blanks


def parse_duration(seconds: float) -> int | None:
    """Seconds as whole milliseconds, NOT_GIVEN if that is negative; None if it cannot be stored as a duration.

    It is rounded before it is judged: a hair below zero, as two clocks that are not in step make it, is 0.
    """
    if not -_MAX_DURATION_S <= seconds <= _MAX_DURATION_S:  # NaN fails too
        return NOT_GIVEN if seconds < 0 else None
    duration_ms = round(seconds * 1000)
    if duration_ms < 0:
        return NOT_GIVEN
    return duration_ms if duration_ms <= MAX_DURATION_MS else None


def field_errors(payload: dict[str, Any]) -> dict[str, list[str]]:
    """What is wrong with a payload, by field, beside its guid; empty if nothing is."""
    errors: dict[str, list[str]] = {}

    def wrong(field: str, reason: str) -> None:
        errors.setdefault(field, []).append(reason)

    slug = payload.get("monitor_slug")
    if not isinstance(slug, str):
        wrong("monitor_slug", "Must be a string.")
    elif not slugify(slug):
        wrong("monitor_slug", "Holds no letter and no digit.")
    status = payload.get("status")
    if not isinstance(status, str) or status not in REPORTED:
        wrong("status", f"Must be one of {', '.join(REPORTED)}.")
    environment = payload.get("environment")
    if environment is not None and not isinstance(environment, str):
        wrong("environment", "Must be a string.")
    duration = payload.get("duration")
    if duration is not None:
        if isinstance(duration, bool) or not isinstance(duration, int | float):
            wrong("duration", "Must be a number of seconds.")
        elif parse_duration(duration) is None:
            wrong("duration", f"Must be at most {MAX_DURATION_MS} ms.")
    contexts = payload.get("contexts")
    trace = contexts.get("trace") if isinstance(contexts, dict) else None
    if contexts is not None and not isinstance(contexts, dict):
        wrong("contexts", "Must be an object.")
    elif trace is not None and not isinstance(trace, dict):
        wrong("contexts.trace", "Must be an object.")
    elif trace and trace.get("trace_id") is not None and parse_guid(trace["trace_id"]) is None:
        wrong("contexts.trace.trace_id", "Must be a UUID.")
    return errors
