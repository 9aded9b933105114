"""Sampling rules as SPEC, section 9, has them, with no state but a list of all rules ever."""

from __future__ import annotations

import json
from types import SimpleNamespace

from dataflow.sampling.sampling_rules import TooManyRules, share_of
from tests.monitors.rules import holds
from tests.sampling.rule_builders import described


class NaiveRules:
    """Looks at every rule each time."""

    def __init__(self, base_rate):
        self.base_rate = base_rate
        self.all = []

    def active(self, now_us):
        return [rule for rule in self.all if rule.end_us > now_us]

    def upsert(self, request, now_us):
        active = self.active(now_us)
        for rule in active:
            if (rule.condition, rule.project_ids) == (request.condition.text, request.project_ids):
                rule.end_us = max(rule.end_us, request.end_us)
                rule.num_samples = max(rule.num_samples, request.num_samples)
                rule.sample_rate = max(rule.sample_rate, request.sample_rate)
                return rule
        if request.end_us > now_us and self.full(active, request):
            return TooManyRules("")
        used = {rule.rule_id for rule in self.all if rule in active or rule.created_us == now_us}
        rule = SimpleNamespace(
            rule_id=min(set(range(1, len(used) + 2)) - used),
            created_us=now_us,
            project_ids=request.project_ids,
            condition=request.condition.text,
            condition_hash=request.condition_hash,
            start_us=request.start_us,
            end_us=request.end_us,
            num_samples=request.num_samples,
            sample_rate=request.sample_rate,
            query=request.query,
            created_by_id=request.created_by_id,
            kept=0,
        )
        self.all.append(rule)
        return rule

    def full(self, active, request):
        after = [rule.project_ids for rule in active] + [request.project_ids]
        named = {project for projects in after for project in projects} | {-1}
        affected = request.project_ids or named
        held = [sum(not of or project in of for of in after) for project in affected]
        return len(after) > 2000 or max(held) > 50

    def expire(self, now_us):
        self.now_us = now_us

    def sample(self, subject, guid, at_us):
        share = share_of(guid)
        keeping = [
            rule
            for rule in self.active(self.now_us)
            if rule.start_us <= at_us < rule.end_us
            and rule.kept < rule.num_samples
            and (not rule.project_ids or subject.project_id in rule.project_ids)
            and holds(json.loads(rule.condition), subject)
            and share < rule.sample_rate
        ]
        if keeping:
            best = min(keeping, key=lambda rule: (-rule.sample_rate, rule.rule_id))
            best.kept += 1
            return best.rule_id, best.sample_rate
        return (None, self.base_rate) if share < self.base_rate else None

    def rows(self, now_us):
        """All rules ever, by id and creation."""
        rows = []
        for rule in sorted(self.all, key=lambda rule: (rule.rule_id, rule.created_us)):
            rule.is_active = rule.end_us > now_us
            rows.append(rule)
        return described(rows)
