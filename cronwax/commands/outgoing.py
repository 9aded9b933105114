"""Check-ins and controls as they go to the topics, checked as the flow will check them."""

from __future__ import annotations

from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from cronwax.commands.arguments import ToolError
from dataflow.monitors.check_in import NO_MINUTE
from dataflow.monitors.config import InvalidConfig, parse_config
from dataflow.wire.check_ins import CheckInDecoder, MalformedMessage, Place
from dataflow.wire.controls import ControlDecoder, InvalidControl

RETENTION_DAYS = 90
"""What Sentry's relay writes into a check-in."""

_check_ins = CheckInDecoder({})
_controls = ControlDecoder({})


class Letter(NamedTuple):
    """One message for a topic."""

    name: str
    """What it is, for whoever sends it: `check-in GUID`, `control mute`."""
    is_control: bool
    """For the controls topic; else for that of the check-ins."""
    key: str | None
    """What must stay in order has the same one; None, of clock pulses, is for every partition."""
    value: bytes
    partition: int | None = None
    """Where it goes instead of where its key says."""


def check_in(payload: dict[str, Any], project_id: int, sdk: str | None, now_us: int) -> Letter:
    """A check-in received now. Raises ToolError when the flow would reject it as it is."""
    letter = packed_check_in(
        {
            "message_type": "check_in",
            "payload": msgspec.json.encode(payload),
            "start_time": now_us / 1_000_000,
            "project_id": project_id,
            "sdk": sdk,
            "retention_days": RETENTION_DAYS,
        }
    )
    found = _read(letter.value, now_us)
    if found.problem is not None:
        raise ToolError(_problem_text(msgspec.json.decode(found.problem)))
    if found.config is not None:
        config = parse_config(found.config)
        if isinstance(config, InvalidConfig):
            raise ToolError(_problem_text({"type": "MONITOR_INVALID_CONFIG", "errors": config.errors}))
    return letter


def packed_check_in(message: dict[str, Any]) -> Letter:
    """A message of the check-ins topic, its payload as bytes. Raises ToolError if it is none."""
    value = msgspec.msgpack.encode(message)
    found = _read(value, 0)
    if found is None:
        return Letter("clock pulse", False, None, value)
    guid = str(UUID(bytes=found.guid)) if found.guid else "without a guid"
    return Letter(f"check-in {guid}", False, f"{found.project_id}/{found.slug}", value)


def control(body: dict[str, Any]) -> Letter:
    """A control. Raises ToolError when the flow would reject it as it is."""
    value = msgspec.json.encode(body)
    try:
        found = _controls.decode(value, _place(0))
    except InvalidControl as error:
        raise ToolError(_problem_text(error.errors[0])) from None
    if found.slug is None or found.is_about_silence:
        key = f"organization/{found.organization_id}"
    else:
        key = f"{found.project_id}/{found.slug}"
    name = f"control {found.kind}"
    if found.silence is not None:
        name += f" {found.silence.id}"
    return Letter(name, True, key, value)


def _read(value: bytes, at_us: int) -> Any:
    try:
        return _check_ins.packed(value, _place(at_us))
    except MalformedMessage as error:
        raise ToolError(f"MALFORMED_MESSAGE: {error}") from None


def _place(at_us: int) -> Place:
    return Place("", 0, 0, at_us, NO_MINUTE)


def _problem_text(problem: dict[str, Any]) -> str:
    """A processing error in one line."""
    kind = problem.pop("type")
    reasons = problem.pop("errors", {})
    parts = [f"{name}: {', '.join(map(str, why))}" for name, why in reasons.items()]
    parts += [f"{name}: {why}" if name != "reason" else str(why) for name, why in problem.items()]
    return " ".join(f"{kind}: {'; '.join(parts)}".rstrip(": ").split())
