"""Conditions of sampling rules (SPEC, section 9): read from JSON, written one way, compiled once.

- `and`, `or` take a list `inner`, which may be empty: `and` then matches everything, `or` nothing. `not`
  takes one condition.
- `eq`, `gt`, `gte`, `lt`, `lte`, `glob` compare the field `name` with `value`, one scalar of the field's
  type. A check-in that lacks the field matches none of them, and so does match their `not`.
- Numbers (`project_id`; `duration` in seconds) know all of these but `glob`; texts know only `eq` and `glob`,
  in which `*` stands for any characters and `?` for one. Upper and lower case differ.
"""

from __future__ import annotations

import json
import math
import operator
import re
from collections.abc import Callable
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from dataflow.monitors.fields import MAX_PROJECT_ID, parse_guid, slugify

MAX_NESTING = 20
"""So many conditions may stand round one."""
MAX_BYTES = 16 * 1024
"""The longest condition, as canonical JSON in UTF-8."""
_MAX_EXACT = 2**53
"""Whole numbers below are exact as floats."""
_MAX_NAMED = 50
"""Characters of an unknown key that an error repeats."""


class Subject(msgspec.Struct, frozen=True, gc=False):
    """What conditions can see of a check-in."""

    project_id: int
    slug: str
    environment: str
    status: str
    """As reported: `ok`, `error`, `in_progress`."""
    duration_ms: int | None = None
    trace_id: str | None = None
    """32 lower-case hex digits."""
    sdk: str | None = None


Test = Callable[[Subject], bool]
_Json = dict[str, Any]


class InvalidCondition(Exception):  # noqa: N818 - what it is, as InvalidConfig and InvalidControl
    """The condition cannot be used: `place` says where in it (`condition.inner[2].value`), `reason` why."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"{place}: {reason}")
        self.place = place
        self.reason = reason


class Condition(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A condition that can be used; equal to those that differ in the order of keys and lists only."""

    text: str
    """Canonical JSON."""
    matches: Test
    """Whether a check-in is one of those meant."""
    slugs: frozenset[str] | None
    """Only monitors of these slugs can match; None: any might."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Condition) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)


def parse_condition(value: object) -> Condition:
    """A condition from decoded JSON. Raises InvalidCondition, and nothing else."""
    tree = _normal(value, "condition", 0)
    text = _canonical(tree)
    if len(text.encode()) > MAX_BYTES:
        raise InvalidCondition("condition", f"must be no longer than {MAX_BYTES} bytes")
    return Condition(text, _compiled(tree), _slugs(tree))


def slug_condition(slug: str) -> Condition:
    """What `parse_condition` makes of "monitor.slug is this slug", in a tenth of the time."""
    text = f'{{"op":"eq","name":"monitor.slug","value":"{slug}"}}'
    return Condition(text, _compared(_slug_of, operator.eq, slug), frozenset((slug,)))


def restore_condition(text: str) -> Condition:
    """A condition from its canonical JSON, as `Condition.text` had it."""
    tree = json.loads(text)
    return Condition(text, _compiled(tree), _slugs(tree))


def project_id_of(value: object) -> int | None:
    """A project's id from decoded JSON; None if it is none."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= MAX_PROJECT_ID else None


def text_of(value: object) -> str | None:
    """A text from decoded JSON; None if it is none, or none that UTF-8 can hold."""
    if not isinstance(value, str):
        return None
    try:
        value.encode()
    except UnicodeEncodeError:
        return None
    return value


def _seconds(value: object) -> int | float | None:
    """A number of seconds; whole ones as int, so that 5 and 5.0 are one condition."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        seconds = float(value)
    except OverflowError:
        return None
    if not math.isfinite(seconds):
        return None
    return int(seconds) if seconds.is_integer() and abs(seconds) < _MAX_EXACT else seconds


def _slug(value: object) -> str | None:
    return slugify(value) or None if isinstance(value, str) else None


def _trace_id(value: object) -> str | None:
    guid = parse_guid(value)
    return guid.hex() if guid is not None else None


def _duration_of(subject: Subject) -> float | None:
    # Divided, not multiplied: ms / 1000 is the very float that a decimal number of seconds is read as.
    return None if subject.duration_ms is None else subject.duration_ms / 1000


class _Field(NamedTuple):
    read: Callable[[Subject], Any]
    parse: Callable[[object], str | int | float | None]
    """The value to compare with, as it is kept; None if it is none."""
    expected: str
    operators: tuple[str, ...]


_slug_of = attrgetter("slug")
_FOR_NUMBERS = ("eq", "gt", "gte", "lt", "lte")
_FOR_TEXTS = ("eq", "glob")
_FIELDS = {
    "project_id": _Field(attrgetter("project_id"), project_id_of, "the id of a project", _FOR_NUMBERS),
    "monitor.slug": _Field(_slug_of, _slug, "the slug of a monitor", _FOR_TEXTS),
    "environment": _Field(attrgetter("environment"), text_of, "a text", _FOR_TEXTS),
    "status": _Field(attrgetter("status"), text_of, "a text", _FOR_TEXTS),
    "duration": _Field(_duration_of, _seconds, "a finite number of seconds", _FOR_NUMBERS),
    "trace_id": _Field(attrgetter("trace_id"), _trace_id, "a UUID", _FOR_TEXTS),
    "sdk": _Field(attrgetter("sdk"), text_of, "a text", _FOR_TEXTS),
}
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
_KEYS = {
    **dict.fromkeys(("and", "or", "not"), ("op", "inner")),
    **dict.fromkeys((*_COMPARISONS, "glob"), ("op", "name", "value")),
}
"""The operators, and the keys of each in the order of the canonical form."""


def _normal(value: object, place: str, nesting: int) -> _Json:
    """The canonical form: keys in one order, lists sorted, nothing twice, values as they are compared."""
    if nesting > MAX_NESTING:
        raise InvalidCondition(place, f"must not be nested deeper than {MAX_NESTING}")
    if not isinstance(value, dict):
        raise InvalidCondition(place, "must be an object")
    op = value.get("op")
    if not isinstance(op, str) or op not in _KEYS:
        raise InvalidCondition(f"{place}.op", f"must be one of {', '.join(_KEYS)}")
    _check_keys(value, op, place)
    if "inner" not in value:
        return _normal_comparison(op, value["name"], value["value"], place)
    if op == "not":
        return {"op": op, "inner": _normal(value["inner"], f"{place}.inner", nesting + 1)}
    if not isinstance(value["inner"], list):
        raise InvalidCondition(f"{place}.inner", "must be a list")
    inner = (_normal(one, f"{place}.inner[{n}]", nesting + 1) for n, one in enumerate(value["inner"]))
    by_text = {_canonical(one): one for one in inner}
    return {"op": op, "inner": [by_text[text] for text in sorted(by_text)]}


def _check_keys(value: _Json, op: str, place: str) -> None:
    for key in _KEYS[op]:
        if key not in value:
            raise InvalidCondition(f"{place}.{key}", "is missing")
    unknown = sorted(str(key) for key in value if key not in _KEYS[op])
    if unknown:
        name = unknown[0][:_MAX_NAMED].encode(errors="replace").decode()
        raise InvalidCondition(f"{place}.{name}", f"is not a key of {op}")


def _normal_comparison(op: str, name: object, value: object, place: str) -> _Json:
    if not isinstance(name, str) or name not in _FIELDS:
        raise InvalidCondition(f"{place}.name", f"must be one of {', '.join(_FIELDS)}")
    known = _FIELDS[name]
    if op not in known.operators:
        raise InvalidCondition(f"{place}.op", f"must be one of {', '.join(known.operators)} for {name}")
    parsed = _pattern(value) if op == "glob" else known.parse(value)
    if parsed is None:
        raise InvalidCondition(f"{place}.value", f"must be {'a text' if op == 'glob' else known.expected}")
    return {"op": op, "name": name, "value": parsed}


def _pattern(value: object) -> str | None:
    text = text_of(value)
    return re.sub(r"\*+", "*", text) if text is not None else None


def _canonical(tree: _Json) -> str:
    return json.dumps(tree, ensure_ascii=False, separators=(",", ":"))


def _slugs(tree: _Json) -> frozenset[str] | None:
    if tree["op"] == "eq" and tree["name"] == "monitor.slug":
        return frozenset((tree["value"],))
    if tree["op"] not in ("and", "or"):
        return None
    inner = [_slugs(one) for one in tree["inner"]]
    bound = [slugs for slugs in inner if slugs is not None]
    if tree["op"] == "and":
        return frozenset.intersection(*bound) if bound else None
    return frozenset().union(*bound) if len(bound) == len(inner) else None


def _compiled(tree: _Json) -> Test:
    op = tree["op"]
    if op == "and":
        return _all([_compiled(one) for one in tree["inner"]])
    if op == "or":
        return _any([_compiled(one) for one in tree["inner"]])
    if op == "not":
        inner = _compiled(tree["inner"])
        return lambda subject: not inner(subject)
    read = _FIELDS[tree["name"]].read
    if op == "glob":
        return _like(read, tree["value"])
    return _compared(read, _COMPARISONS[op], tree["value"])


def _all(tests: list[Test]) -> Test:
    def matches(subject: Subject) -> bool:
        for test in tests:  # noqa: SIM110 - a generator would cost more than the tests
            if not test(subject):
                return False
        return True

    return matches


def _any(tests: list[Test]) -> Test:
    def matches(subject: Subject) -> bool:
        for test in tests:  # noqa: SIM110 - as above
            if test(subject):
                return True
        return False

    return matches


def _compared(read: Callable[[Subject], Any], compare: Callable[[Any, Any], bool], value: object) -> Test:
    def matches(subject: Subject) -> bool:
        found = read(subject)
        return found is not None and compare(found, value)

    return matches


def _like(read: Callable[[Subject], str | None], pattern: str) -> Test:
    fits = glob_regex(pattern).fullmatch

    def matches(subject: Subject) -> bool:
        found = read(subject)
        return found is not None and fits(found) is not None

    return matches


def glob_regex(pattern: str) -> re.Pattern[str]:
    """The expression that texts fully match which the pattern (`*`, `?`) fits.

    Each piece between two `*` is taken where it first occurs, and never reconsidered (an atomic group): no
    text takes more than (length of text) x (length of pattern) steps.
    """
    first, *rest = (re.escape(piece).replace(r"\?", ".") for piece in pattern.split("*"))
    if not rest:
        return re.compile(first, re.DOTALL)
    middle = "".join(f"(?>.*?{piece})" for piece in rest[:-1] if piece)
    return re.compile(f"{first}{middle}.*{rest[-1]}", re.DOTALL)
