"""What the flow sends, as people read it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from dataflow.wire.occurrences import FLAPPING_EVIDENCE
from state.ask.terminal import clean

MAX_KNOWN = 100_000
"""Incidents whose monitor is remembered, to name it when one is resolved."""


class Sentence(NamedTuple):
    """One message in words. Nothing in it can move a terminal's cursor."""

    time: str
    """When it happened, ISO 8601 in UTC."""
    monitor: str
    """Project and slug; `-` if the message does not say."""
    environment: str
    happened: str


class Known(NamedTuple):
    """Whose incident a fingerprint is."""

    monitor: str
    """Project and slug."""
    environment: str
    incident: str
    """Its id, as the tables have it."""


LookUp = Callable[[str], Known | None]
"""Finds what a fingerprint is about; None if nobody knows."""


class Reader:
    """Puts messages into words.

    A `status_change` has a fingerprint only: what it is about is known from the incident's occurrence, if that was read
    before, else from the snapshot, if one is at hand. (Of a muted monitor no occurrence was sent.)
    """

    def __init__(self, look_up: LookUp = lambda fingerprint: None) -> None:
        """`look_up` finds what was sent before this began: the snapshot's incidents."""
        self._known: dict[str, Known] = {}
        self._look_up = look_up

    def read(self, value: bytes, sent_ms: int) -> Sentence:
        """A message that the broker took at `sent_ms` since the epoch."""
        try:
            body = msgspec.json.decode(value, type=dict[str, Any])
            return Sentence(*(clean(str(word)) for word in self._words(body, sent_ms)))
        except (
            msgspec.DecodeError,
            UnicodeDecodeError,
            RecursionError,
            LookupError,
            TypeError,
            AttributeError,
        ):
            return Sentence(iso(sent_ms / 1000), "-", "-", f"not a message of Cronwax: {len(value)} bytes")

    def _words(self, body: dict[str, Any], sent_ms: int) -> tuple[object, object, object, object]:
        kind = body["payload_type"]
        if kind == "occurrence":
            return self._occurrence(body)
        if kind == "status_change":
            fingerprint = body["fingerprint"][0]
            known = self._known.get(fingerprint) or self._look_up(fingerprint)
            if known is None:
                known = Known(f"{body['project_id']}/?", "-", f"of fingerprint {fingerprint}")
            # It has no time of its own.
            return (
                iso(sent_ms / 1000),
                known.monitor,
                known.environment,
                f"resolved: incident {known.incident}",
            )
        monitor = f"{body['project_id']}/{body['monitor']['slug']}" if "monitor" in body else "-"
        return iso(body["detection_time"]), monitor, body.get("environment") or "-", f"{kind}: {body['text']}"

    def _occurrence(self, body: dict[str, Any]) -> tuple[object, object, object, object]:
        event = body["event"]
        monitor = f"{body['project_id']}/{event['contexts']['monitor']['slug']}"
        fingerprint, environment = body["fingerprint"][0], event["environment"]
        self._known.pop(fingerprint, None)
        if len(self._known) >= MAX_KNOWN:
            del self._known[next(iter(self._known))]
        self._known[fingerprint] = Known(
            monitor, environment, str(event.get("tags", {}).get("monitor.incident", "unknown"))
        )
        evidence = body["evidence_display"][0]
        what = "flapping" if evidence["name"] == FLAPPING_EVIDENCE else "failed"
        return iso(body["detection_time"]), monitor, environment, f"{what}: {evidence['value']}"


def iso(seconds: float) -> str:
    """A time since the epoch as ISO 8601 in UTC; `-` if it is none."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return "-"
