"""The sampling rules of one organization: identity, ids, limits, expiry, and what is kept."""

from __future__ import annotations

import json

import msgspec
import pytest

from dataflow.sampling.sampling_rules import (
    OrganizationRules,
    Rule,
    RulesState,
    Subject,
    TooManyRules,
    new_monitor_rule,
    share_of,
)
from tests.sampling.rule_builders import SECOND_US, described, guid, ids, reloaded, request, slug_is, subject

HOUR_US = 3600 * SECOND_US


def guid_between(low, high):
    """A guid whose share is at least `low` and below `high`."""
    return next(guid(number) for number in range(10_000) if low <= share_of(guid(number)) < high)


def upserted(rules, request, now_us) -> Rule:
    """The rule that a request makes or changes; it is not refused."""
    rule = rules.upsert(request, now_us)
    assert isinstance(rule, Rule)
    return rule


# --- update or create


def test_a_rule_is_created_under_the_smallest_id_and_named_by_an_external_one():
    rule = OrganizationRules().upsert(request(project_ids=[2, 1, 2], condition=slug_is("m")), 5)
    assert rule == Rule(
        1,
        5,
        (1, 2),
        '{"op":"eq","name":"monitor.slug","value":"m"}',
        request(project_ids=[1, 2], condition=slug_is("m")).condition_hash,
        0,
        100 * SECOND_US,
        10,
        1.0,
        "",
        None,
    )
    assert (rule.external_rule_id, rule.is_org_level, rule.is_active, rule.kept) == (3001, False, True, 0)


def test_the_same_condition_and_projects_let_a_rule_grow_and_never_shrink():
    rules = OrganizationRules()
    rules.upsert(request(end=100, num_samples=3, sample_rate=0.5, query="first"), 0)
    rules.upsert(request(end=50, num_samples=5, sample_rate=0.25, start=20, query="second"), 0)
    grown = upserted(rules, request(end=200, num_samples=4, sample_rate=0.75, created_by_id=9), 0)
    assert (grown.rule_id, grown.end_us, grown.num_samples, grown.sample_rate) == (
        1,
        200 * SECOND_US,
        5,
        0.75,
    )
    assert (grown.start_us, grown.query, grown.created_by_id) == (0, "first", None)


def test_other_projects_make_another_rule():
    rules = OrganizationRules()
    for projects in ([], [1], [2], [1, 2]):
        rules.upsert(request(project_ids=projects), 0)
    assert upserted(rules, request(project_ids=[2, 1]), 0).rule_id == 4
    assert len({rule.condition_hash for rule in rules.take_changed()}) == 4


def test_a_rule_that_has_ended_is_not_updated_but_made_again():
    rules = OrganizationRules()
    first = upserted(rules, request(end=100), 0)
    second = upserted(rules, request(end=300), 100 * SECOND_US)
    assert (first.is_active, second.is_active) == (False, True)
    assert (second.rule_id, second.created_us) == (1, 100 * SECOND_US)


def test_a_rule_that_has_not_begun_is_updated():
    rules = OrganizationRules()
    rules.upsert(request(start=50), 0)
    assert upserted(rules, request(start=50, num_samples=11), 0).rule_id == 1


def test_the_smallest_free_id_is_given_again():
    rules = OrganizationRules()
    for number, end in enumerate((100, 50, 60, 100)):
        rules.upsert(request(condition=slug_is(f"m{number}"), end=end), 0)
    later = [
        upserted(rules, request(condition=slug_is(f"n{number}")), 60 * SECOND_US).rule_id
        for number in range(3)
    ]
    assert later == [2, 3, 5]


def test_a_rule_that_is_over_when_it_is_made_is_inactive_and_has_a_row_of_its_own():
    rules = OrganizationRules()
    now_us = 100 * SECOND_US  # the very end
    late = [upserted(rules, request(condition=slug_is(f"m{number}")), now_us) for number in range(2)]
    assert [(rule.rule_id, rule.is_active) for rule in late] == [(1, False), (2, False)]
    assert not rules.any_active
    assert rules.expire(now_us + 1) == []
    assert upserted(rules, request(end=300), now_us + 1).rule_id == 1
    assert [(rule.rule_id, rule.created_us) for rule in rules.take_changed()] == [
        (1, now_us),
        (1, now_us + 1),
        (2, now_us),
    ]


# --- limits


def test_a_project_has_no_more_than_50_rules():
    rules = OrganizationRules()
    for number in range(50):
        assert isinstance(rules.upsert(request(project_ids=[1, 2], condition=slug_is(f"m{number}")), 0), Rule)
    refused = rules.upsert(request(project_ids=[3, 2]), 0)
    assert refused == TooManyRules("50 active rules hold for project 2")
    assert upserted(rules, request(project_ids=[3]), 0).rule_id == 51


def test_rules_of_the_whole_organization_count_for_each_project():
    rules = OrganizationRules()
    for number in range(20):
        rules.upsert(request(condition=slug_is(f"all{number}")), 0)
    for number in range(30):
        rules.upsert(request(condition=slug_is(f"one{number}"), project_ids=[7]), 0)
    assert isinstance(rules.upsert(request(project_ids=[7]), 0), TooManyRules)
    assert rules.upsert(request(), 0) == TooManyRules("50 active rules hold for project 7")
    assert upserted(rules, request(project_ids=[8]), 0).rule_id == 51


def test_no_more_than_50_rules_hold_for_the_whole_organization():
    rules = OrganizationRules()
    for number in range(50):
        rules.upsert(request(condition=slug_is(f"all{number}")), 0)
    assert rules.upsert(request(), 0) == TooManyRules("50 active rules hold for every project")
    assert isinstance(rules.upsert(request(project_ids=[1]), 0), TooManyRules)


def test_an_organization_has_no_more_than_2000_rules():
    rules = OrganizationRules()
    for number in range(2000):
        assert isinstance(rules.upsert(request(project_ids=[number]), 0), Rule)
    assert rules.upsert(request(project_ids=[2000]), 0) == TooManyRules(
        "the organization has 2000 active rules"
    )
    assert upserted(rules, request(project_ids=[3], num_samples=99), 0).num_samples == 99
    assert upserted(rules, request(project_ids=[2000], end=300), 100 * SECOND_US).rule_id == 1


def test_a_refused_rule_leaves_nothing_behind():
    rules = OrganizationRules()
    for number in range(50):
        rules.upsert(request(condition=slug_is(f"all{number}")), 0)
    rules.take_changed()
    before = msgspec.msgpack.encode(rules.to_state())
    rules.upsert(request(), 0)
    assert rules.take_changed() == []
    assert msgspec.msgpack.encode(rules.to_state()) == before


def test_rules_that_have_ended_make_room():
    rules = OrganizationRules()
    for number in range(50):
        rules.upsert(request(condition=slug_is(f"m{number}"), project_ids=[1], end=100 + number), 0)
    assert isinstance(rules.upsert(request(project_ids=[1], end=500), 99 * SECOND_US), TooManyRules)
    assert upserted(rules, request(project_ids=[1], end=500), 100 * SECOND_US).rule_id == 1


# --- expiry


def test_rules_expire_at_their_end_in_its_order():
    rules = OrganizationRules()
    for slug, end in (("a", 30), ("b", 10), ("c", 20), ("d", 40)):
        rules.upsert(request(condition=slug_is(slug), end=end), 0)
    assert rules.expire(10 * SECOND_US - 1) == []
    assert ids(rules.expire(10 * SECOND_US)) == [2]
    assert ids(rules.expire(30 * SECOND_US)) == [3, 1]
    assert rules.expire(30 * SECOND_US) == []


def test_a_rule_whose_end_has_moved_expires_at_the_new_one():
    rules = OrganizationRules()
    rules.upsert(request(end=10), 0)
    rules.upsert(request(end=30), 0)
    assert rules.expire(29 * SECOND_US) == []
    expired = rules.expire(30 * SECOND_US)
    assert [(rule.end_us, rule.is_active) for rule in expired] == [(30 * SECOND_US, False)]


def test_an_expired_rule_keeps_nothing():
    rules = OrganizationRules()
    rules.upsert(request(), 0)
    rules.expire(100 * SECOND_US)
    assert rules.sample(subject(), guid(1), 50 * SECOND_US) is None
    assert not rules.might_match(subject())


# --- what is kept


def test_a_rule_holds_from_its_start_until_just_before_its_end():
    rules = OrganizationRules()
    rules.upsert(request(start=10, end=20), 0)
    times_us = (10 * SECOND_US - 1, 10 * SECOND_US, 20 * SECOND_US - 1, 20 * SECOND_US)
    kept = [rules.sample(subject(), guid(1), at_us) for at_us in times_us]
    assert kept == [None, (1, 1.0), (1, 1.0), None]


def test_a_rule_keeps_no_more_than_its_samples_until_it_is_given_more():
    rules = OrganizationRules()
    rule = upserted(rules, request(num_samples=2), 0)
    assert [rules.sample(subject(), guid(n), 0) for n in range(3)] == [(1, 1.0), (1, 1.0), None]
    assert (rule.kept, rules.any_active, rules.might_match(subject())) == (2, False, False)
    rules.upsert(request(num_samples=3), 0)
    assert rules.might_match(subject())
    assert [rules.sample(subject(), guid(n), 0) for n in range(2)] == [(1, 1.0), None]
    assert rule.kept == 3


def test_a_rule_with_all_of_its_samples_has_them_whatever_else_grows_and_after_a_restart():
    rules = OrganizationRules()
    rules.upsert(request(num_samples=1), 0)
    rules.sample(subject(), guid(1), 0)
    rules.upsert(request(num_samples=1, end=200), 0)
    assert rules.sample(subject(), guid(1), 0) is None
    assert reloaded(rules).sample(subject(), guid(1), 0) is None


def test_a_rule_is_about_its_projects_and_its_condition():
    rules = OrganizationRules()
    rules.upsert(request(project_ids=[1, 3], condition=slug_is("m")), 0)
    seen = [subject(1), subject(2), subject(3), subject(1, "other")]
    assert [rules.might_match(one) for one in seen] == [True, False, True, False]
    assert [rules.sample(one, guid(1), 0) for one in seen] == [(1, 1.0), None, (1, 1.0), None]


def test_a_rate_keeps_the_guids_whose_share_lies_below_it():
    rules = OrganizationRules()
    rules.upsert(request(sample_rate=0.5), 0)
    low, high = guid_between(0.4, 0.5), guid_between(0.5, 0.6)
    assert rules.sample(subject(), low, 0) == (1, 0.5)
    assert rules.sample(subject(), high, 0) is None


def test_start_and_end_of_a_run_are_kept_or_dropped_together():
    rules = OrganizationRules()
    rules.upsert(request(sample_rate=0.3, num_samples=10_000), 0)
    for number in range(200):
        start = rules.sample(Subject(1, "m", "production", "in_progress"), guid(number), 1)
        end = rules.sample(Subject(1, "m", "production", "ok", 5000), guid(number), 2)
        assert start == end


def test_a_share_is_the_same_in_every_release_and_process():
    assert share_of(bytes(16)) == 0.4539676659363735
    assert share_of(guid(1)) == 0.3148129891738587


def test_shares_are_spread_evenly():
    shares = [share_of(guid(number)) for number in range(10_000)]
    assert all(0 <= share < 1 for share in shares)
    for tenth in range(10):
        assert 850 < sum(tenth / 10 <= share < (tenth + 1) / 10 for share in shares) < 1150


def test_of_two_rules_the_higher_rate_wins_and_counts():
    rules = OrganizationRules()
    low = upserted(rules, request(sample_rate=0.5), 0)
    high = upserted(rules, request(sample_rate=0.9, condition=slug_is("m")), 0)
    assert rules.sample(subject(), guid_between(0, 0.5), 0) == (2, 0.9)
    assert (low.kept, high.kept) == (0, 1)


def test_of_two_rules_of_one_rate_the_smaller_id_wins():
    rules = OrganizationRules()
    for number in range(3):
        rules.upsert(request(project_ids=[1, number + 2]), 0)
    assert rules.sample(subject(), guid(1), 0) == (1, 1.0)


def test_a_rule_with_all_of_its_samples_gives_way_to_the_next():
    rules = OrganizationRules()
    rules.upsert(request(sample_rate=0.5), 0)
    rules.upsert(request(sample_rate=0.9, condition=slug_is("m"), num_samples=1), 0)
    both = guid_between(0, 0.5)
    assert [rules.sample(subject(), both, 0) for _ in range(2)] == [(2, 0.9), (1, 0.5)]


def test_the_base_rate_keeps_what_no_rule_does():
    rules = OrganizationRules(0.5)
    assert rules.sample(subject(), guid_between(0, 0.5), 0) == (None, 0.5)
    assert rules.sample(subject(), guid_between(0.5, 1), 0) is None
    rules.upsert(request(sample_rate=0.25), 0)
    assert rules.sample(subject(), guid_between(0, 0.25), 0) == (1, 0.25)
    assert rules.sample(subject(), guid_between(0.25, 0.5), 0) == (None, 0.5)


def test_a_condition_of_many_slugs_holds_for_each():
    rules = OrganizationRules()
    rules.upsert(request(condition={"op": "or", "inner": [slug_is(f"m{number}") for number in range(30)]}), 0)
    assert all(rules.might_match(subject(slug=f"m{number}")) for number in range(30))
    assert not rules.might_match(subject(slug="m30"))


def test_the_rule_for_a_new_monitor_keeps_its_check_ins_for_an_hour():
    rules = OrganizationRules()
    rule = upserted(rules, new_monitor_rule(7, "m", 5), 5)
    assert (rule.project_ids, rule.num_samples, rule.sample_rate) == ((7,), 100, 1.0)
    assert (rule.start_us, rule.end_us, rule.created_by_id) == (5, 5 + HOUR_US, None)
    assert rules.sample(subject(7), guid(1), 5) == (1, 1.0)
    assert rules.sample(subject(7, "other"), guid(1), 5) is None
    assert rules.sample(subject(8), guid(1), 5) is None


# --- what has changed


def test_changed_rules_are_named_once_and_by_id():
    rules = OrganizationRules()
    for slug in ("a", "b", "c"):
        rules.upsert(request(condition=slug_is(slug)), 0)
    assert ids(rules.take_changed()) == [1, 2, 3]
    assert rules.take_changed() == []
    rules.sample(subject(slug="b"), guid(1), 0)
    rules.upsert(request(condition=slug_is("a"), num_samples=1), 0)
    assert [(rule.rule_id, rule.kept) for rule in rules.take_changed()] == [(2, 1)]
    rules.upsert(request(condition=slug_is("a"), end=200), 0)
    assert ids(rules.take_changed()) == [1]
    rules.expire(100 * SECOND_US)
    assert [(rule.rule_id, rule.is_active) for rule in rules.take_changed()] == [(2, False), (3, False)]


# --- snapshots


def test_a_snapshot_holds_what_was_changed_and_not_taken():
    rules = OrganizationRules()
    rules.upsert(request(condition=slug_is("a"), end=10), 0)
    rules.take_changed()
    rules.upsert(request(condition=slug_is("b")), 0)
    rules.expire(10 * SECOND_US)
    rules.upsert(request(condition=slug_is("c")), 10 * SECOND_US)
    again = reloaded(rules)
    rules.sample(subject(slug="c"), guid(1), 0)
    again.sample(subject(slug="c"), guid(1), 0)
    assert described(again.take_changed()) == described(rules.take_changed())


def test_a_snapshot_is_plain_data():
    rules = OrganizationRules()
    rules.upsert(request(project_ids=[2**64 - 1], condition=slug_is("m"), num_samples=2**63 - 1), 0)
    state = json.loads(msgspec.json.encode(rules.to_state()))
    assert msgspec.convert(state, RulesState).rules == rules.to_state().rules
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert([[["no rule"]], []], RulesState)
