"""Sampling rules, or requests for them, by the check-ins that they may be about."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from itertools import product
from typing import Generic, NamedTuple, TypeVar

from dataflow.sampling.conditions import Condition, Subject, Test

_MAX_INDEXED_SLUGS = 10
"""A condition that names more slugs is tried for every slug."""

Id = TypeVar("Id", bound=Hashable)
Value = TypeVar("Value")
_Key = tuple[int | None, str | None]


class Candidate(NamedTuple, Generic[Value]):
    """Something that may be about a check-in: it is if `matches` says so too."""

    value: Value
    matches: Test
    keys: tuple[_Key, ...]


class RuleIndex(Generic[Id, Value]):
    """Values with conditions, by project (None: all) and slug (None: any).

    The limit of rules for a project bounds how many of them a check-in meets; the slug spares it those that
    are about other monitors.
    """

    __slots__ = ("_by_id", "_by_key")

    def __init__(self) -> None:
        self._by_id: dict[Id, Candidate[Value]] = {}
        self._by_key: dict[_Key, dict[Id, Candidate[Value]]] = {}

    def __bool__(self) -> bool:
        return bool(self._by_id)

    def add(self, id_: Id, project_ids: tuple[int, ...], condition: Condition, value: Value) -> None:
        """Take in a value for these projects (none: all), which keeps its place if it is there already."""
        slugs: tuple[str | None, ...] = (None,)
        if condition.slugs is not None and len(condition.slugs) <= _MAX_INDEXED_SLUGS:
            slugs = tuple(condition.slugs)
        keys = tuple(product(project_ids or (None,), slugs))
        candidate = self._by_id[id_] = Candidate(value, condition.matches, keys)
        for key in keys:
            self._by_key.setdefault(key, {})[id_] = candidate

    def discard(self, id_: Id) -> Value | None:
        """Let go of a value, and say which it was; None if it is not there."""
        candidate = self._by_id.pop(id_, None)
        if candidate is None:
            return None
        for key in candidate.keys:
            bucket = self._by_key[key]
            del bucket[id_]
            if not bucket:
                del self._by_key[key]
        if not self._by_id:
            self._by_id, self._by_key = {}, {}  # dictionaries do not shrink
        return candidate.value

    def candidates(self, subject: Subject) -> Iterator[Candidate[Value]]:
        """What may be about the check-in, each once: all that is, is among them."""
        project_id, slug = subject.project_id, subject.slug
        for key in ((project_id, slug), (project_id, None), (None, slug), (None, None)):
            bucket = self._by_key.get(key)
            if bucket is not None:
                yield from bucket.values()

    def might_match(self, subject: Subject) -> bool:
        """Whether anything is about such check-ins."""
        for candidate in self.candidates(subject):  # noqa: SIM110 - a generator would cost more than the tests
            if candidate.matches(subject):
                return True
        return False
