"""Builders of controls that ask for rules, and of check-ins that meet them."""

from __future__ import annotations

import msgspec

from dataflow.sampling.conditions import Subject
from dataflow.sampling.sampling_rules import OrganizationRules, Rule, RulesState, parse_rule

SECOND_US = 1_000_000
ALL = {"op": "and", "inner": []}


def slug_is(slug):
    return {"op": "eq", "name": "monitor.slug", "value": slug}


def asked(**changes):
    """A control that asks for a rule for everything, from 0 s to 100 s."""
    usual = {
        "type": "upsert_sampling_rule",
        "organization_id": 1,
        "project_ids": [],
        "condition": ALL,
        "start": 0,
        "end": 100,
        "num_samples": 10,
        "sample_rate": 1.0,
        "query": "",
    }
    return {**usual, **changes}


def request(**changes):
    return parse_rule(asked(**changes))


def without(key):
    return {name: value for name, value in asked().items() if name != key}


def subject(project_id=1, slug="m", **others):
    return Subject(project_id, slug, "production", "ok", **others)


def guid(number):
    return number.to_bytes(16)


def reloaded(rules, base_rate=0.0):
    saved = msgspec.msgpack.decode(msgspec.msgpack.encode(rules.to_state()), type=RulesState)
    return OrganizationRules.from_state(saved, base_rate)


def ids(rules):
    return [rule.rule_id for rule in rules]


def described(rules):
    """Rules as plain data, which no later change reaches."""
    return [{column: getattr(rule, column) for column in Rule.__struct_fields__} for rule in rules]
