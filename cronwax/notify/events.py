"""What the flow's messages mean to the notifier: something opens, ends, or is to be noted about what is open."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from dataflow.monitors.silences import InvalidSilence, Silence, windows
from dataflow.monitors.times import NO_TIME, Microseconds
from dataflow.wire.occurrences import FLAPPING_EVIDENCE
from dataflow.wire.silences import ACKNOWLEDGED, ANNOUNCED, SILENCE_ENDED, UNACKNOWLEDGED
from dataflow.wire.system_incidents import ENDED, STARTED

Kind = Literal["failure", "recovery", "flapping", "broken", "system_incident", "stalled"]
KINDS: tuple[Kind, ...] = ("failure", "recovery", "flapping", "broken", "system_incident", "stalled")
"""What routes tell apart."""
_BROKEN = ("monitor_broken", "monitor_muted", "monitor_unmuted")
_SCHEDULE_TYPES = {1: "crontab", 2: "interval"}
_NEVER = "Never"


class UnreadableMessageError(Exception):
    """A message is none of the flow's; the text says so, and quotes nothing of it."""


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message of the flow. Times are µs since the epoch, of event time."""

    id: str
    """The message's; the same in a replay."""
    does: Literal["opens", "ends", "notes", "acknowledges", "takes back", "silences"]
    """Further failures of an open incident `open` it too: whoever knows it sees that nothing is new."""
    kind: Kind
    key: str
    """What it is about: an incident's fingerprint, a system incident, or what is stalled and since when."""
    at_us: int | None = None
    """When the flow decided it; None: the message does not say."""
    reason: str = ""
    """Why, in the flow's words."""
    project_id: int | None = None
    """None: it is about no monitor."""
    slug: str = ""
    name: str = ""
    environment: str = ""
    owner: str | None = None
    incident_id: str = ""
    status: str = ""
    """Of the failing check-in: missed, timeout or error; empty: not known."""
    began_us: int | None = None
    expected_us: int | None = None
    duration_ms: int | None = None
    incident_began_us: int | None = None
    last_ok_us: int | None = None
    """When a run succeeded last; None: never, or not known."""
    schedule: str = ""
    schedule_type: str = ""
    zone: str = "UTC"
    margin_minutes: int | None = None
    max_runtime_minutes: int | None = None
    failure_threshold: int | None = None
    recovery_threshold: int | None = None
    who: str = ""
    """Who acknowledged it, or took that back."""
    silence: Silence | None = None
    """What was announced, or ended early."""

    @property
    def lane(self) -> str:
        """Messages of one lane keep their order: those about a monitor environment; else those about one thing."""
        if self.project_id is None:
            return self.key
        return f"{self.project_id}/{self.slug}/{self.environment}"


def read_event(message: bytes) -> Event | None:
    """A message as an event; None for one that nobody needs to hear of. Raises UnreadableMessageError."""
    try:
        body = msgspec.json.decode(message, type=dict[str, Any])
        kind = body["payload_type"]
        if kind == "occurrence":
            return _occurrence(body)
        if kind == "status_change":
            return _status_change(body)
        if kind in _BROKEN:
            return _broken(body, kind)
        if kind in (ACKNOWLEDGED, UNACKNOWLEDGED):
            return _acknowledgement(body, kind)
        if kind in (ANNOUNCED, SILENCE_ENDED):
            return _silence(body)
        if kind in (STARTED, ENDED):
            return _system_incident(body, kind)
        if kind.endswith(("_stalled", "_recovered")):
            return _stall(body, kind)
    except (
        msgspec.DecodeError,
        UnicodeDecodeError,
        RecursionError,
        LookupError,
        TypeError,
        AttributeError,
        ValueError,
        OverflowError,
        InvalidSilence,
    ):
        raise UnreadableMessageError(f"a message of {len(message)} bytes is none of Cronwax") from None
    return None


def _occurrence(body: dict[str, Any]) -> Event:
    event = body["event"]
    monitor = event["contexts"]["monitor"]
    config = monitor["config"]
    first, _, last_ok = body["evidence_display"]
    run = body["evidence_data"]
    is_flapping = first["name"] == FLAPPING_EVIDENCE
    schedule = config["schedule"]
    return Event(
        id=str(body["id"]),
        does="opens",
        kind="flapping" if is_flapping else "failure",
        key=str(body["fingerprint"][0]),
        at_us=_us(body["detection_time"]),
        reason=str(first["value"]),
        project_id=int(body["project_id"]),
        slug=str(monitor["slug"]),
        name=str(monitor["name"]),
        environment=str(event["environment"]),
        incident_id=str(event["tags"]["monitor.incident"]),
        status=str(run.get("status") or ""),
        began_us=_us(run.get("began")),
        expected_us=_us(run.get("expected")),
        duration_ms=run.get("duration_ms"),
        incident_began_us=_us(run.get("incident_began")),
        last_ok_us=_iso_us(last_ok["value"]),
        schedule=schedule if isinstance(schedule, str) else " ".join(map(str, schedule)),
        schedule_type=_SCHEDULE_TYPES.get(config["schedule_type"], ""),
        zone=str(config["timezone"]),
        margin_minutes=config["checkin_margin"],
        max_runtime_minutes=config["max_runtime"],
        failure_threshold=config["failure_issue_threshold"],
        recovery_threshold=config["recovery_threshold"],
    )


def _status_change(body: dict[str, Any]) -> Event:
    return Event(
        id=str(body["id"]),
        does="ends",
        kind="recovery",
        key=str(body["fingerprint"][0]),
        at_us=_us(body.get("detection_time")),
        project_id=int(body["project_id"]),
    )


def _broken(body: dict[str, Any], kind: str) -> Event:
    return Event(
        id=str(body["id"]),
        does="notes",
        kind="broken",
        key=str(body["fingerprint"][0]),
        at_us=_us(body["detection_time"]),
        reason=str(body["text"]),
        project_id=int(body["project_id"]),
        slug=str(body["monitor"]["slug"]),
        name=str(body["monitor"]["name"]),
        environment=str(body["environment"]),
        incident_id=str(body["incident_id"]),
        status=kind.removeprefix("monitor_"),
        incident_began_us=_us(body["since"]),
    )


def _acknowledgement(body: dict[str, Any], kind: str) -> Event:
    return Event(
        id=str(body["id"]),
        does="acknowledges" if kind == ACKNOWLEDGED else "takes back",
        kind="failure",
        key=str(body["fingerprint"][0]),
        at_us=_us(body["detection_time"]),
        project_id=int(body["project_id"]),
        who=str(body["who"]),
    )


def _silence(body: dict[str, Any]) -> Event:
    ended_us, project_id = _us(body["ended"]), body["project_id"]
    silence = Silence(
        id=str(body["silence_id"]),
        kind=str(body["kind"]),
        organization_id=int(body["organization_id"]),
        announced_us=Microseconds(_us(body["announced"]) or 0),
        start_us=Microseconds(_us(body["start"]) or 0),
        duration_us=_us(body["duration_seconds"]) or 0,
        project_id=None if project_id is None else int(project_id),
        slug=body["slug"],
        environment=body["environment"],
        owner=body["owner"],
        misses_count=bool(body["misses_count"]),
        rrule=body["rrule"],
        zone=str(body["timezone"]),
        who=body["who"],
        note=body["note"],
        ended_us=NO_TIME if ended_us is None else Microseconds(ended_us),
    )
    windows(silence.start_us, silence.duration_us, silence.rrule, silence.zone)
    return Event(id=str(body["id"]), does="silences", kind="failure", key=silence.id, silence=silence)


def _system_incident(body: dict[str, Any], kind: str) -> Event:
    return Event(
        id=str(body["id"]),
        does="opens" if kind == STARTED else "ends",
        kind="system_incident",
        key=str(body["system_incident_id"]),
        at_us=_us(body["detection_time"]),
        reason=str(body["text"]),
        incident_began_us=_us(body["since"]),
    )


def _stall(body: dict[str, Any], kind: str) -> Event:
    what, _, does = kind.rpartition("_")
    since_us = _us(body["since"])
    return Event(
        id=str(body["id"]),
        does="opens" if does == "stalled" else "ends",
        kind="stalled",
        key=f"{what}:{body['subject']}:{since_us}",
        at_us=_us(body["detection_time"]),
        reason=str(body["text"]),
        name=str(body["subject"]),
        incident_began_us=since_us,
    )


def _us(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1_000_000)


def _iso_us(text: str) -> int | None:
    return None if text == _NEVER else round(datetime.fromisoformat(text).timestamp() * 1_000_000)
