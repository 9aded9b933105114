"""Silences and acknowledgements from a command line."""

from __future__ import annotations

import argparse
import getpass
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from cronwax.commands.arguments import ToolError

TYPES = ("snooze", "maintenance", "end_silence", "acknowledge_incident")
_SPAN = re.compile(r"(\d{1,6})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_KEYS = ("silence_id", "who", "note", "owner", "rrule", "timezone", "incident_id", "environment")
"""Keys that have the options' names."""


def add_silence_controls(add: Callable[[str, str], argparse.ArgumentParser]) -> None:
    """The types of `send control` that silence and acknowledge."""
    snooze = add("snooze", "notify nobody of a project, a monitor or an environment until a time")
    _add_project(snooze, required=True)
    snooze.add_argument("--slug", help="of the monitor; default: the whole project")
    snooze.add_argument("--environment", metavar="NAME", help="default: all")
    until = snooze.add_mutually_exclusive_group(required=True)
    until.add_argument("--until", metavar="TIME", help="ISO 8601; without an offset in UTC")
    until.add_argument("--for", dest="span", metavar="SPAN", help="such as 90m, 4h or 2d")
    _add_notes(snooze)

    maintenance = add("maintenance", "announce times in which nobody is notified, once or again and again")
    of = maintenance.add_mutually_exclusive_group(required=True)
    _add_project(of, required=False)
    of.add_argument("--organization", type=int, metavar="ID", help="all of its projects")
    maintenance.add_argument("--slug", help="of the monitors; * and ? stand for others; default: all")
    maintenance.add_argument("--environment", metavar="NAME", help="or a glob; default: all")
    maintenance.add_argument("--owner", help="of the monitors, or a glob; default: whoever it is")
    maintenance.add_argument("--start", metavar="TIME", help="ISO 8601; default: now")
    end = maintenance.add_mutually_exclusive_group(required=True)
    end.add_argument("--end", metavar="TIME", help="ISO 8601")
    end.add_argument("--for", dest="span", metavar="SPAN", help="how long it is: 90m, 4h or 2d")
    maintenance.add_argument(
        "--rrule",
        metavar="RULE",
        help="when it recurs (RFC 5545), such as 'FREQ=WEEKLY;BYDAY=SU'; with --for",
    )
    maintenance.add_argument(
        "--timezone", metavar="NAME", help="of times without an offset, and of the rule; default: UTC"
    )
    maintenance.add_argument(
        "--misses-do-not-count",
        action="store_true",
        help="misses and time-outs in it become unknown, and its time leaves the SLA",
    )
    _add_notes(maintenance)

    ended = add("end_silence", "end a snooze or a maintenance now")
    of = ended.add_mutually_exclusive_group(required=True)
    _add_project(of, required=False)
    of.add_argument("--organization", type=int, metavar="ID", help="its number")
    ended.add_argument("--id", dest="silence_id", required=True, help="as it was said when it was announced")

    known = add("acknowledge_incident", "say that somebody sees to an open incident: no reminders any more")
    _add_project(known, required=True)
    known.add_argument("--slug", required=True, help="of the monitor")
    known.add_argument("--environment", metavar="NAME", help="default: production")
    known.add_argument("--incident", dest="incident_id", metavar="ID", help="default: the one that is open")
    known.add_argument("--who", default=_user(), help="default: %(default)s")
    known.add_argument("--note", help="what there is to say")
    known.add_argument("--take-back", action="store_true", help="it is not acknowledged any more")


def _add_project(command: Any, *, required: bool) -> None:
    command.add_argument(
        "--project", type=int, metavar="ID", help="its number", **{"required": True} if required else {}
    )


def _add_notes(command: argparse.ArgumentParser) -> None:
    command.add_argument("--id", dest="silence_id", help="a name for it, to end it by; default: a new one")
    command.add_argument("--who", default=_user(), help="default: %(default)s")
    command.add_argument("--note", help="what for")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"user {os.getuid()}"


def silence_body(options: argparse.Namespace, kind: str, now: datetime) -> dict[str, Any]:
    """The control that was asked for. Raises ToolError."""
    given = {key: value for key, value in vars(options).items() if value is not None}
    body: dict[str, Any] = {"type": kind, **{key: given[key] for key in _KEYS if key in given}}
    for option, key in (("project", "project_id"), ("organization", "organization_id")):
        if option in given:
            body[key] = given[option]
    if "slug" in given:
        body["slug" if kind == "maintenance" else "monitor_slug"] = given["slug"]
    if kind in ("snooze", "maintenance"):
        body.setdefault("silence_id", uuid4().hex[:12])
    if kind == "acknowledge_incident":
        body["acknowledged"] = not options.take_back
    elif kind == "snooze":
        body["until"] = options.until or _iso(now + _span(options.span))
    elif kind == "maintenance":
        body |= _times(options, now) | {"misses_count": not options.misses_do_not_count}
    return body


def _times(options: argparse.Namespace, now: datetime) -> dict[str, Any]:
    start = options.start or _iso(now)
    if options.rrule is not None:
        if options.span is None:
            raise ToolError("--rrule needs --for: how long each window is")
        return {"start": start, "duration_minutes": _span(options.span) // timedelta(minutes=1)}
    if options.end is not None:
        return {"start": start, "end": options.end}
    try:
        begin = datetime.fromisoformat(start)
        return {"start": start, "end": (begin + _span(options.span)).isoformat()}
    except (ValueError, OverflowError):
        raise ToolError(f"--start {start}: is not an ISO 8601 time") from None


def _span(text: str) -> timedelta:
    found = _SPAN.fullmatch(text)
    if found is None:
        raise ToolError(f"--for {text}: must be a number and m, h or d, such as 90m")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
