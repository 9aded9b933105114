"""The command line of `send`, and what it asks to be sent."""

from __future__ import annotations

import argparse
import json
import math
from datetime import datetime
from typing import Any
from uuid import uuid4

from cronwax.commands.arguments import OneLineParser, ToolError
from cronwax.commands.rule_options import add_rule_options
from cronwax.commands.silence_options import TYPES, add_silence_controls, silence_body
from state.program import program

SDK = "cronwax-send"
_CONFIG = {
    "margin": "checkin_margin",
    "max_runtime": "max_runtime",
    "timezone": "timezone",
    "failure_threshold": "failure_issue_threshold",
    "recovery_threshold": "recovery_threshold",
    "owner": "owner",
}
"""Options of a config, and its keys on the wire."""


def parser() -> OneLineParser:
    """The command line: a command, and for controls their type."""
    top = OneLineParser(
        prog=f"{program()} send", description="Write check-ins and controls to the flow's topics."
    )
    top.add_argument("--json", action="store_true", help="say what was sent where as JSON, one object a line")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", title="commands")
    one = commands.add_parser("check-in", help="one check-in", description="Send one check-in.")
    _add_monitor(one)
    one.add_argument("--status", required=True, choices=("ok", "error", "in_progress"), help="how it went")
    one.add_argument("--environment", metavar="NAME", help="default: production")
    one.add_argument("--guid", metavar="UUID", help="default: a new one; all zeros: the latest in progress")
    one.add_argument("--duration", type=_number, metavar="SECONDS", help="how long the run took")
    one.add_argument("--trace-id", metavar="UUID", help="the trace that the run belongs to")
    _add_config(one)
    _add_controls(commands.add_parser("control", help="a control, by its type"))
    rule = commands.add_parser("rule", help="a sampling rule (the control upsert_sampling_rule)")
    add_rule_options(rule)
    lines = commands.add_parser(
        "lines",
        help="JSON Lines from standard input, as in files of check-ins",
        description="Send what standard input holds: one JSON object a line, as in files of check-ins.",
    )
    lines.add_argument(
        "--keep-ts",
        action="store_true",
        help="each line's ts becomes the broker's timestamp, not the present",
    )
    commands.add_parser(
        "dead-letters",
        help="dead letters from standard input, back to where they came from",
        description="Send the original bytes of the dead letters that standard input holds, as tail --dead-letters "
        "--json shows them: one JSON object a line, each to the partition that it came from.",
    )
    return top


def _add_controls(control: argparse.ArgumentParser) -> None:
    types = control.add_subparsers(dest="type", required=True, metavar="TYPE", title="types")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return types.add_parser(name, aliases=[name.replace("_", "-")], help=text, description=text)

    upsert = add("upsert_monitor", "create a monitor or change its config")
    _add_monitor(upsert)
    upsert.add_argument("--name", help="of the monitor; default: its slug")
    _add_config(upsert)
    status = add("set_monitor_status", "disable a monitor, or enable it")
    _add_monitor(status)
    status.add_argument("--status", required=True, choices=("active", "disabled"), help="the new status")
    mute = add("mute", "send no failures of a monitor or environment, or send them again")
    _add_monitor(mute)
    mute.add_argument("--environment", metavar="NAME", help="default: the whole monitor")
    mute.add_argument("--muted", required=True, type=_truth, metavar="true|false", help="true: mute it")
    delete = add("delete_monitor", "delete a monitor or an environment")
    _add_monitor(delete)
    delete.add_argument("--environment", metavar="NAME", help="default: the whole monitor")
    reset = add("reset", "forget failures and successes in a row, and resolve the open incident")
    _add_monitor(reset)
    reset.add_argument("--environment", metavar="NAME", help="default: all of the monitor")
    killswitch = add("set_killswitch", "reject all check-ins of an organization, or accept them again")
    killswitch.add_argument("--organization", required=True, type=int, metavar="ID", help="its number")
    killswitch.add_argument(
        "--enabled", required=True, type=_truth, metavar="true|false", help="true: reject them"
    )
    seats = add("set_seats", "how many monitors of an organization are watched")
    seats.add_argument("--organization", required=True, type=int, metavar="ID", help="its number")
    seats.add_argument("--seats", required=True, type=_seats, metavar="N|none", help="none: no limit")
    add_silence_controls(add)


def _add_monitor(command: argparse.ArgumentParser) -> None:
    command.add_argument("--project", required=True, type=int, metavar="ID", help="its number")
    command.add_argument("--slug", required=True, help="of the monitor")


def _add_config(command: argparse.ArgumentParser) -> None:
    config = command.add_argument_group("config of the monitor")
    schedule = config.add_mutually_exclusive_group()
    schedule.add_argument("--schedule", metavar="CRONTAB", help='such as "*/5 * * * *" or @daily')
    schedule.add_argument("--every", metavar="INTERVAL", help='such as "10 minute"')
    config.add_argument("--margin", type=int, metavar="MINUTES", help="how late a check-in may be")
    config.add_argument("--max-runtime", type=int, metavar="MINUTES", help="how long a run may take")
    config.add_argument("--timezone", metavar="NAME", help="such as Europe/Vienna")
    config.add_argument("--failure-threshold", type=int, metavar="N", help="failures that open an incident")
    config.add_argument("--recovery-threshold", type=int, metavar="N", help="successes that resolve it")
    config.add_argument("--owner", help="user:... or team:...")


def check_in_payload(options: argparse.Namespace) -> dict[str, Any]:
    """The payload of the check-in that was asked for. Raises ToolError."""
    payload: dict[str, Any] = {
        "check_in_id": options.guid or uuid4().hex,
        "monitor_slug": options.slug,
        "status": options.status,
    }
    if options.environment:
        payload["environment"] = options.environment
    if options.duration is not None:
        payload["duration"] = options.duration
    if options.trace_id:
        payload["contexts"] = {"trace": {"trace_id": options.trace_id}}
    config = _config(options)
    if config:
        payload["monitor_config"] = config
    return payload


def control_body(options: argparse.Namespace, now: datetime) -> dict[str, Any]:
    """The control that was asked for; `now` is what its times count from. Raises ToolError."""
    body: dict[str, Any] = {"type": options.type.replace("-", "_")}
    if body["type"] in TYPES:
        return silence_body(options, body["type"], now)
    given = vars(options)
    for option, key in (
        ("project", "project_id"),
        ("slug", "monitor_slug"),
        ("organization", "organization_id"),
    ):
        if option in given:
            body[key] = given[option]
    if body["type"] == "upsert_monitor":
        body["monitor_config"] = _config(options)
        if not body["monitor_config"]:
            raise ToolError("upsert_monitor needs --schedule or --every")
        return body | ({"name": options.name} if options.name else {})
    for key in ("status", "environment", "muted", "enabled"):
        if given.get(key) is not None:
            body[key] = given[key]
    if "seats" in given:
        body["seats"] = options.seats
    return body


def _config(options: argparse.Namespace) -> dict[str, Any]:
    given = {key: getattr(options, option) for option, key in _CONFIG.items()}
    config = {key: value for key, value in given.items() if value is not None}
    if options.schedule is not None:
        return {"schedule": {"type": "crontab", "value": options.schedule}, **config}
    if options.every is not None:
        return {"schedule": _interval(options.every), **config}
    if config:
        raise ToolError("the options of a config need --schedule or --every: a config has a schedule")
    return {}


def _interval(text: str) -> dict[str, Any]:
    from dataflow.monitors.config import MAX_NUMBER  # slow to import

    number, _, unit = " ".join(text.split()).partition(" ")
    unit = unit.removesuffix("s")
    if not number.isdecimal() or unit not in MAX_NUMBER:
        raise ToolError(f"--every {json.dumps(text)}: must be a number and one of {', '.join(MAX_NUMBER)}")
    return {"type": "interval", "value": int(number), "unit": unit}


def _number(word: str) -> float:
    try:
        number = float(word)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):  # JSON has no word for it
        raise argparse.ArgumentTypeError(f"{word!r} is not a number")
    return number


def _truth(word: str) -> bool:
    if word not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{word!r} is neither true nor false")
    return word == "true"


def _seats(word: str) -> int | None:
    if word != "none" and not word.isdecimal():
        raise argparse.ArgumentTypeError(f"{word!r} is neither a number nor none")
    return None if word == "none" else int(word)
