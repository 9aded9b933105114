"""A sampling rule from a command line."""

from __future__ import annotations

import argparse
import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

from cronwax.commands.arguments import ToolError

_NUMBERS = {"project_id": int, "duration": float}
"""Fields of a condition that are numbers."""


def add_rule_options(rule: argparse.ArgumentParser) -> None:
    """What `send rule` takes."""
    rule.description = "Keep raw check-ins that match, from now on or between two times."
    rule.add_argument("--organization", required=True, type=int, metavar="ID", help="whose check-ins")
    rule.add_argument(
        "--project", action="append", default=[], type=int, metavar="ID", help="again for each; default: all"
    )
    condition = rule.add_mutually_exclusive_group()
    condition.add_argument("--condition", metavar="JSON", help="what to match, as in the control")
    condition.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="such as monitor.slug=nightly-*; again for each, all must match; default: everything",
    )
    rule.add_argument("--start", metavar="TIME", help="ISO 8601; default: now")
    end = rule.add_mutually_exclusive_group()
    end.add_argument("--end", metavar="TIME", help="ISO 8601; default: an hour after now")
    end.add_argument("--hours", type=float, metavar="N", help="after now")
    rule.add_argument("--num-samples", type=int, default=100, metavar="N", help="at most (%(default)s)")
    rule.add_argument("--sample-rate", type=float, default=1.0, metavar="SHARE", help="0 to 1 (%(default)s)")
    rule.add_argument("--query", help="what people see of it; default: made from the condition")
    rule.add_argument("--created-by", type=int, metavar="ID", help="the user who asks for it")


def rule_body(options: argparse.Namespace, now: datetime) -> dict[str, Any]:
    """The control that was asked for. Raises ToolError."""
    condition = _condition(options)
    body: dict[str, Any] = {
        "type": "upsert_sampling_rule",
        "organization_id": options.organization,
        "project_ids": options.project,
        "condition": condition,
        "start": options.start or _iso(now),
        "end": options.end or _end(now, 1.0 if options.hours is None else options.hours),
        "num_samples": options.num_samples,
        "sample_rate": options.sample_rate,
        "query": _query(options, condition) if options.query is None else options.query,
    }
    if options.created_by is not None:
        body["created_by_id"] = options.created_by
    return body


def _condition(options: argparse.Namespace) -> Any:
    if options.condition is None:
        tests = [_test(text) for text in options.where]
        return tests[0] if len(tests) == 1 else {"op": "and", "inner": tests}
    try:
        return json.loads(options.condition)
    except (ValueError, RecursionError):
        raise ToolError("--condition: is not JSON") from None


def _test(text: str) -> dict[str, Any]:
    name, separator, value = text.partition("=")
    if not separator:
        raise ToolError(f"--where {text}: must be FIELD=VALUE")
    if name not in _NUMBERS:
        return {"op": "glob" if "*" in value or "?" in value else "eq", "name": name, "value": value}
    try:
        return {"op": "eq", "name": name, "value": _finite(_NUMBERS[name](value))}
    except ValueError:
        raise ToolError(f"--where {text}: {value} is not a number") from None


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise ValueError
    return number


def _query(options: argparse.Namespace, condition: Any) -> str:
    if options.condition is not None:
        return json.dumps(condition)
    return " ".join(text.replace("=", ":", 1) for text in options.where)


def _end(now: datetime, hours: float) -> str:
    try:
        return _iso(now + timedelta(hours=hours))
    except (OverflowError, ValueError):
        raise ToolError(f"--hours {hours:g}: is too far away") from None


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
