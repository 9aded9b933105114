"""Dynamic sampling rules of one organization: which check-ins are kept whole (SPEC, section 9).

Times are µs since the epoch. `now_us` is event time: a rule is active until it has reached the rule's end.
"""

from __future__ import annotations

from collections import Counter
from hashlib import blake2b
from heapq import heapify, heappop, heappush
from typing import NamedTuple

import msgspec

from dataflow.sampling.conditions import Condition, Subject, restore_condition
from dataflow.sampling.rule_index import RuleIndex
from dataflow.sampling.rule_request import InvalidRule, RuleRequest, new_monitor_rule, parse_rule

__all__ = [
    "InvalidRule",
    "OrganizationRules",
    "Rule",
    "RuleRequest",
    "RulesState",
    "Subject",
    "TooManyRules",
    "new_monitor_rule",
    "parse_rule",
    "share_of",
]

MAX_RULES = 2000
"""Active rules of an organization."""
MAX_RULES_OF_A_PROJECT = 50
"""Active rules that hold for one project, those of the whole organization among them."""
EXTERNAL_ID_OFFSET = 3000


class Rule(msgspec.Struct, array_like=True):
    """One rule, active or past."""

    rule_id: int
    """From 1; that of an inactive rule is given again."""
    created_us: int
    project_ids: tuple[int, ...]
    """Sorted; empty: all projects of the organization."""
    condition: str
    """Canonical JSON."""
    condition_hash: str
    """Of the condition and the projects."""
    start_us: int
    """The rule holds from here."""
    end_us: int
    """The rule holds until just before."""
    num_samples: int
    sample_rate: float
    query: str
    created_by_id: int | None
    kept: int = 0
    is_active: bool = True

    @property
    def external_rule_id(self) -> int:
        """The id under which other services know the rule."""
        return EXTERNAL_ID_OFFSET + self.rule_id

    @property
    def is_org_level(self) -> bool:
        """Whether it holds for all projects of the organization."""
        return not self.project_ids

    @property
    def releases_id_us(self) -> int:
        """From when another rule may have its id.

        A rule that had ended when it was created keeps its id for a µs, so that no two rules have the same id
        and time of creation.
        """
        return self.end_us if self.is_active else self.created_us + 1


class RulesState(msgspec.Struct, array_like=True):
    """An organization's rules as a snapshot holds them."""

    rules: list[Rule]
    """Those that have an id."""
    changed: list[Rule]
    """Those that changed and have not been taken."""


class TooManyRules(NamedTuple):
    """No rule was made: a limit has been reached."""

    reason: str


def share_of(guid: bytes) -> float:
    """Where a guid stands, 0 to below 1: it is kept at every rate above. The same in every release."""
    digest = blake2b(guid, digest_size=8, person=b"sample").digest()
    return (int.from_bytes(digest) >> 11) / 2**53  # as many bits as a float holds: 1.0 is never reached


class OrganizationRules:
    """The active rules of one organization; past ones are forgotten once `take_changed` has named them."""

    __slots__ = (
        "_base_rate",
        "_by_hash",
        "_by_id",
        "_changed",
        "_ends",
        "_free_ids",
        "_newest_id",
        "_open",
        "_per_project",
    )

    def __init__(self, base_rate: float = 0.0) -> None:
        """`base_rate`: the share (0 to 1) of check-ins that is kept without any rule."""
        self._base_rate = base_rate
        self._by_id: dict[int, Rule] = {}
        self._by_hash: dict[str, Rule] = {}
        """The active ones by condition and projects."""
        self._per_project: Counter[int | None] = Counter()
        """How many active rules name a project; None: hold for the whole organization."""
        self._ends: list[tuple[int, int]] = []
        """A heap of (time, rule id), one a rule: when its id is released, or earlier if its end has moved."""
        self._newest_id = 0
        """No rule has ever had a greater id."""
        self._free_ids: list[int] = []
        """A heap of the ids up to there that no rule has."""
        self._open = RuleIndex[int, Rule]()
        """The active ones that have not kept all of their samples, by id."""
        self._changed: dict[tuple[int, int], Rule] = {}
        """By id and creation: what identifies a rule's row."""

    @classmethod
    def from_state(cls, state: RulesState, base_rate: float = 0.0) -> OrganizationRules:
        """The rules from their snapshot; the base rate is that of today."""
        rules = cls(base_rate)
        for rule in state.rules:
            rules._by_id[rule.rule_id] = rule
            rules._ends.append((rule.releases_id_us, rule.rule_id))
            if rule.is_active:
                rules._activate(rule, restore_condition(rule.condition))
        heapify(rules._ends)
        rules._newest_id = max(rules._by_id, default=0)
        rules._free_ids = [one for one in range(1, rules._newest_id) if one not in rules._by_id]
        for changed in state.changed:
            rules._mark(changed)
        return rules

    def to_state(self) -> RulesState:
        """What a snapshot holds; to be encoded before anything changes."""
        return RulesState(list(self._by_id.values()), list(self._changed.values()))

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to remember: it is as good as new."""
        return not self._by_id and not self._changed

    @property
    def any_active(self) -> bool:
        """Whether there is an active rule that has not kept all of its samples."""
        return bool(self._open)

    def upsert(self, request: RuleRequest, now_us: int) -> Rule | TooManyRules:
        """Update the active rule of the same condition and projects, or create one.

        An update lets the end, the number of samples and the rate grow, and changes nothing else. A rule that
        has ended by now is created inactive, and no limit stands against it.
        """
        self.expire(now_us)
        condition_hash = request.condition_hash
        rule = self._by_hash.get(condition_hash)
        if rule is not None:
            self._grow(rule, request)
            return rule
        is_active = request.end_us > now_us
        if is_active and (refused := self._refused(request.project_ids)):
            return refused
        rule = _created(self._take_id(), request, condition_hash, now_us, is_active)
        self._by_id[rule.rule_id] = rule
        heappush(self._ends, (rule.releases_id_us, rule.rule_id))
        if is_active:
            self._activate(rule, request.condition)
        self._mark(rule)
        return rule

    def expire(self, now_us: int) -> list[Rule]:
        """Make inactive the rules whose end has come, and say which, by end and id. Costs what is due."""
        expired = []
        while self._ends and self._ends[0][0] <= now_us:
            time_us, rule_id = heappop(self._ends)
            rule = self._by_id[rule_id]
            if time_us < rule.releases_id_us:
                heappush(self._ends, (rule.releases_id_us, rule_id))
                continue
            del self._by_id[rule_id]
            heappush(self._free_ids, rule_id)
            if rule.is_active:
                self._deactivate(rule)
                expired.append(rule)
        return expired

    def _take_id(self) -> int:
        """The smallest that is free."""
        if self._free_ids:
            return heappop(self._free_ids)
        self._newest_id += 1
        return self._newest_id

    def might_match(self, subject: Subject) -> bool:
        """Whether an active rule without all of its samples is about such check-ins, at whatever time."""
        return self._open.might_match(subject)

    def sample(self, subject: Subject, guid: bytes, at_us: int) -> tuple[int | None, float] | None:
        """What keeps the check-in: the rule's id (None: the base rate) and the rate; None if nothing does.

        Of the rules that match, the one with the highest rate decides and counts; among equals, the smallest
        id. Only the guid says where a check-in stands (`share_of`), so start and end of a run are kept or
        dropped together; in place of the nil guid the caller gives a derived one.
        """
        if not self._open and not self._base_rate:
            return None
        rule = self._decisive(subject, at_us)
        if rule is None and not self._base_rate:
            return None
        share = share_of(guid)
        if rule is not None and share < rule.sample_rate:
            self._count(rule)
            return rule.rule_id, rule.sample_rate
        return (None, self._base_rate) if share < self._base_rate else None

    def take_changed(self) -> list[Rule]:
        """The rules that are new or changed since the last call, by id; to be read before they change."""
        changed = [self._changed[key] for key in sorted(self._changed)]
        self._changed.clear()
        return changed

    def _decisive(self, subject: Subject, at_us: int) -> Rule | None:
        best: Rule | None = None
        for candidate in self._open.candidates(subject):
            rule = candidate.value
            if not rule.start_us <= at_us < rule.end_us:
                continue
            if best is not None and (best.sample_rate, -best.rule_id) > (rule.sample_rate, -rule.rule_id):
                continue
            if candidate.matches(subject):
                best = rule
        return best

    def _count(self, rule: Rule) -> None:
        rule.kept += 1
        self._mark(rule)
        if rule.kept >= rule.num_samples:
            self._open.discard(rule.rule_id)

    def _grow(self, rule: Rule, request: RuleRequest) -> None:
        before = (rule.end_us, rule.num_samples, rule.sample_rate)
        rule.end_us = max(rule.end_us, request.end_us)
        rule.num_samples = max(rule.num_samples, request.num_samples)
        rule.sample_rate = max(rule.sample_rate, request.sample_rate)
        if (rule.end_us, rule.num_samples, rule.sample_rate) != before:
            self._mark(rule)
            self._index(rule, request.condition)

    def _refused(self, project_ids: tuple[int, ...]) -> TooManyRules | None:
        """Why there can be no further active rule, if so. One for the whole organization is one more for each
        project, so it is refused when any project has its full number."""
        if len(self._by_hash) >= MAX_RULES:
            return TooManyRules(f"the organization has {MAX_RULES} active rules")
        left = MAX_RULES_OF_A_PROJECT - self._per_project.get(None, 0)
        if left <= 0:
            return TooManyRules(f"{MAX_RULES_OF_A_PROJECT} active rules hold for every project")
        for project_id in project_ids or sorted(key for key in self._per_project if key is not None):
            if self._per_project[project_id] >= left:
                return TooManyRules(f"{MAX_RULES_OF_A_PROJECT} active rules hold for project {project_id}")
        return None

    def _activate(self, rule: Rule, condition: Condition) -> None:
        self._by_hash[rule.condition_hash] = rule
        for project_id in rule.project_ids or (None,):  # mostly one: Counter.update takes longer
            self._per_project[project_id] += 1
        self._index(rule, condition)

    def _index(self, rule: Rule, condition: Condition) -> None:
        if rule.kept < rule.num_samples:
            self._open.add(rule.rule_id, rule.project_ids, condition, rule)

    def _deactivate(self, rule: Rule) -> None:
        rule.is_active = False
        del self._by_hash[rule.condition_hash]
        self._per_project.subtract(rule.project_ids or (None,))
        for project_id in rule.project_ids or (None,):
            if not self._per_project[project_id]:
                del self._per_project[project_id]
        self._open.discard(rule.rule_id)
        self._mark(rule)

    def _mark(self, rule: Rule) -> None:
        self._changed[rule.rule_id, rule.created_us] = rule


def _created(rule_id: int, request: RuleRequest, condition_hash: str, now_us: int, is_active: bool) -> Rule:
    return Rule(
        rule_id,
        now_us,
        request.project_ids,
        request.condition.text,
        condition_hash,
        request.start_us,
        request.end_us,
        request.num_samples,
        request.sample_rate,
        request.query,
        request.created_by_id,
        is_active=is_active,
    )
