"""Random rules and check-ins against a naive model."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow.sampling.sampling_rules import OrganizationRules, TooManyRules, parse_rule
from tests.examples import examples
from tests.monitors.rules import conditions, subjects
from tests.sampling.naive_rules import NaiveRules
from tests.sampling.rule_builders import ALL, SECOND_US, asked, described, guid, ids, reloaded, slug_is


def upserts():
    """(what, seconds since the last, control)."""
    return st.tuples(
        st.just("upsert"),
        st.integers(0, 10),
        st.fixed_dictionaries(
            {
                "project_ids": st.lists(st.integers(1, 3), max_size=2),
                "condition": st.sampled_from([ALL, slug_is("a"), slug_is("b")]) | conditions(),
                "start": st.integers(0, 60),
                "end": st.integers(60, 120) | st.integers(60, 5000),
                "num_samples": st.integers(1, 4),
                "sample_rate": st.sampled_from([0, 0.3, 0.6, 1]),
            }
        ),
    )


def check_ins():
    """(what, seconds since the last, (check-in, its guid, by how many seconds it began earlier))."""
    what = st.tuples(subjects(), st.integers(0, 9).map(guid), st.sampled_from([0, 0, 3]))
    return st.tuples(st.just("sample"), st.integers(0, 10), what)


def ticks():
    return st.tuples(st.just("expire"), st.integers(0, 60), st.none())


def streams():
    return st.lists(upserts() | check_ins() | ticks() | st.just(("reload", 0, None)), max_size=40)


def outcome(rules, what, now_us, argument):
    """What one event does to rules, naive or not, in words that both share."""
    if what == "upsert":
        made = rules.upsert(parse_rule(asked(**argument)), now_us)
        return "refused" if isinstance(made, TooManyRules) else made.rule_id
    rules.expire(now_us)
    if what == "sample":
        seen, its_guid, earlier = argument
        return rules.sample(seen, its_guid, now_us - earlier * SECOND_US)
    return None


@settings(max_examples=examples(200), deadline=None)
@given(streams(), st.sampled_from([0.0, 0.2]))
def test_rules_behave_as_a_list_of_rules_would(stream, base_rate):
    """And a snapshot in the middle changes nothing."""
    rules, naive, now_us = OrganizationRules(base_rate), NaiveRules(base_rate), 0
    rows: dict[int, Any] = {}
    for what, seconds, argument in stream:
        now_us += seconds * SECOND_US
        if what == "reload":
            rules = reloaded(rules, base_rate)
            continue
        assert outcome(rules, what, now_us, argument) == outcome(naive, what, now_us, argument)
        if seconds % 3 == 0:  # sometimes several events lie between two calls
            changed = rules.take_changed()
            assert ids(changed) == sorted(ids(changed))
            rows |= {(rule["rule_id"], rule["created_us"]): rule for rule in described(changed)}
    rules.expire(now_us)
    rows |= {(rule["rule_id"], rule["created_us"]): rule for rule in described(rules.take_changed())}
    assert [rows[key] for key in sorted(rows)] == naive.rows(now_us)


@settings(max_examples=examples(50), deadline=None)
@given(st.lists(upserts(), max_size=20), subjects(), st.integers(0, 5).map(guid), st.integers(0, 100))
def test_what_is_kept_might_have_matched(requests, seen, its_guid, at_s):
    rules = OrganizationRules()
    for _, _, argument in requests:
        rules.upsert(parse_rule(asked(**argument)), 0)
    might = rules.might_match(seen)
    wanted = any(parse_rule(asked(**argument)).matches(seen) for _, _, argument in requests)
    kept = rules.sample(seen, its_guid, at_s * SECOND_US)
    assert might <= wanted
    assert (kept is not None) <= might
