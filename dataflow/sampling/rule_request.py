"""Requests for sampling rules: read from a control, or made for a new monitor (SPEC, sections 8 and 9)."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Any, TypeVar

import msgspec

from dataflow.monitors.limits import Limit
from dataflow.monitors.time_texts import parse_time
from dataflow.sampling.conditions import (
    Condition,
    InvalidCondition,
    Subject,
    parse_condition,
    project_id_of,
    slug_condition,
    text_of,
)

NEW_MONITOR_US = 3_600_000_000
"""How long the rule for a new or changed monitor holds: an hour."""
NEW_MONITOR_SAMPLES = 100
_MAX_INT = 2**63 - 1
"""What a BIGINT column holds."""


Value = TypeVar("Value")


class InvalidRule(Exception):  # noqa: N818 - what it is, as InvalidConfig and InvalidControl
    """No rule can be made of the control; `reason` says which part of it is wrong, and why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RuleRequest(msgspec.Struct, frozen=True, gc=False):
    """A rule that somebody asks for. Times are µs since the epoch."""

    project_ids: tuple[int, ...]
    """Sorted; empty: all projects of the organization."""
    condition: Condition
    start_us: int
    end_us: int
    num_samples: int
    sample_rate: float
    query: str
    created_by_id: int | None = None

    @property
    def condition_hash(self) -> str:
        """40 hex digits; equal for the same condition and set of projects."""
        text = f"{self.condition.text}\n{self.project_ids}"
        return blake2b(text.encode(), digest_size=20, person=b"sampling rule").hexdigest()

    def matches(self, subject: Subject) -> bool:
        """Whether the rule is about such check-ins, at whatever time."""
        if self.project_ids and subject.project_id not in self.project_ids:
            return False
        return self.condition.matches(subject)


def new_monitor_rule(project_id: int, slug: str, at_us: int) -> RuleRequest:
    """The rule that shows what a monitor really sends once it was created, or changed, at `at_us`."""
    condition = slug_condition(slug)
    end_us = at_us + NEW_MONITOR_US
    return RuleRequest(
        (project_id,), condition, at_us, end_us, NEW_MONITOR_SAMPLES, 1.0, f"monitor.slug:{slug}"
    )


def parse_rule(control: dict[str, Any]) -> RuleRequest:
    """What the control `upsert_sampling_rule` (decoded JSON) asks for. Raises InvalidRule, and nothing else.

    Keys beyond the rule's are ignored. A rule may end when it starts (it keeps nothing then), but not before.
    """
    try:
        condition = parse_condition(control.get("condition"))
    except InvalidCondition as error:
        raise InvalidRule(str(error)) from None
    start_us = _read(control, "start", parse_time, "an ISO 8601 time or epoch seconds")
    end_us = _read(control, "end", parse_time, "an ISO 8601 time or epoch seconds")
    if end_us < start_us:
        raise InvalidRule("end: must not be before start")
    created_by_id = None
    if control.get("created_by_id") is not None:
        created_by_id = _read(control, "created_by_id", _whole, "a whole number or null")
    return RuleRequest(
        _project_ids(control.get("project_ids")),
        condition,
        start_us,
        end_us,
        _read(control, "num_samples", _positive, "a whole number, 1 or above"),
        _read(control, "sample_rate", _rate, "a number from 0 to 1"),
        _read(control, "query", _query, f"a text of at most {Limit.QUERY_CHARACTERS} characters"),
        created_by_id,
    )


def _read(control: dict[str, Any], key: str, parse: Callable[[object], Value | None], expected: str) -> Value:
    parsed = parse(control.get(key))
    if parsed is None:
        raise InvalidRule(f"{key}: must be {expected}")
    return parsed


def _project_ids(value: object) -> tuple[int, ...]:
    if not isinstance(value, list):
        raise InvalidRule("project_ids: must be a list of projects' ids")
    if len(value) > Limit.RULE_PROJECTS:
        raise InvalidRule(f"project_ids: must be at most {Limit.RULE_PROJECTS}")
    projects: set[int] = set()
    for place, one in enumerate(value):
        project_id = project_id_of(one)
        if project_id is None:
            raise InvalidRule(f"project_ids[{place}]: must be the id of a project")
        projects.add(project_id)
    return tuple(sorted(projects))


def _query(value: object) -> str | None:
    text = text_of(value)
    return text if text is not None and len(text) <= Limit.QUERY_CHARACTERS else None


def _whole(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if -_MAX_INT <= value <= _MAX_INT else None


def _positive(value: object) -> int | None:
    number = _whole(value)
    return number if number is not None and number >= 1 else None


def _rate(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= 1 else None  # NaN is neither
