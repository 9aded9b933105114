"""In what order check-ins and rules are taken, and what waits for the watermark."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from dataflow.monitors.admission import RuleRequested
from dataflow.monitors.times import MINUTE_US, NO_MINUTE, Microseconds
from dataflow.sampling.sampler import Sampler
from tests.examples import examples
from tests.monitors.test_organization import check_in, control


def sent(minute, number=1, slug="m"):
    at_us = Microseconds(minute * MINUTE_US)
    return replace(check_in(slug), guid=bytes([number]) * 16, received_us=at_us, payload=b"{}", offset=number)


def requested(minute, number=1, slug="m"):
    return RuleRequested(1, 1, slug, minute * int(MINUTE_US), "t", 0, number)


def kept(decided):
    return [row.check_in_id[0] for row in decided.samples]


def sampler(base_rate=0.0, state=None):
    return Sampler(base_rate, lambda item: item.payload, state)


def test_nothing_is_decided_before_the_watermark_has_passed_it():
    rules = sampler(1.0)
    rules.offer(sent(5))
    assert kept(rules.advance(5)) == []
    assert kept(rules.advance(6)) == [1]
    assert kept(rules.finish()) == []


def test_the_end_decides_about_all_that_waits():
    rules = sampler(1.0)
    rules.offer(sent(5))
    assert kept(rules.finish()) == [1]


def test_they_are_taken_in_the_order_of_their_times_however_they_come():
    rules = sampler(1.0)
    for number, minute in ((1, 7), (2, 5), (3, 6)):
        rules.offer(sent(minute, number))
    assert kept(rules.finish()) == [2, 3, 1]


def test_a_rule_keeps_the_check_in_that_called_for_it_and_none_from_before():
    rules = sampler()
    rules.request(requested(5, 2))
    rules.offer(sent(4, 1))
    rules.offer(sent(5, 2))
    decided = rules.finish()
    assert kept(decided) == [2]
    assert [row.kept for row in decided.rules] == [1]


def test_what_no_rule_can_be_about_is_not_kept_in_memory():
    rules = sampler()
    rules.request(requested(5))
    rules.offer(sent(5, slug="other"))
    assert len(rules.state().waiting) == 1


def test_the_check_in_itself_is_not_changed():
    rules = Sampler(1.0, lambda item: b"the payload")
    item = replace(sent(5), is_line=True, payload=b"the line")
    rules.offer(item)
    assert (item.payload, item.is_line) == (b"the line", True)
    (row,) = rules.finish().samples
    assert row.payload == b"the payload"


def test_a_rule_that_a_control_asks_for_in_vain_is_rejected():
    rule = {"condition": {"op": "and", "inner": []}, "project_ids": [1], "start": 0, "end": 10**9}
    rule |= {"num_samples": 1, "sample_rate": 1, "query": ""}
    rules = sampler()
    for number in range(51):
        one = rule | {"condition": {"op": "eq", "name": "monitor.slug", "value": f"m{number}"}}
        asked = control("upsert_sampling_rule", None, rule=json.dumps(one).encode())
        rules.request(replace(asked, project_id=None, offset=number))
    decided = rules.finish()
    assert len(decided.rules) == 50
    ((refused, errors),) = decided.rejected
    assert refused.offset == 50
    assert [str(error["type"]) for error in errors] == ["TOO_MANY_RULES"]


def test_what_waits_survives_a_snapshot():
    rules = sampler()
    rules.request(requested(5))
    rules.offer(sent(5))
    again = sampler(state=rules.state())
    again.offer(sent(6, 2))
    assert kept(again.finish()) == [1, 2]


def taken_together(calls):
    """What came of several calls: samples in order, and each rule's newest row."""
    samples = [row for decided in calls for row in decided.samples]
    rules = {(row.rule_id, row.created_at): row for decided in calls for row in decided.rules}
    return samples, rules


@settings(max_examples=examples(100), deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["ask", "send", "send"]), st.integers(0, 70), st.sampled_from("abc")),
        max_size=40,
    ),
    st.integers(1, 3),
    st.lists(st.integers(0, 3), min_size=1),
)
def test_in_how_many_pieces_it_is_decided_does_not_matter(events, at_most, calls_between):
    """While check-ins go on coming in between, and over a snapshot."""
    whole, pieces = sampler(), sampler()
    of_whole, of_pieces, minute = [], [], 0
    for number, (what, minutes, slug) in enumerate(events):
        minute += minutes // 10
        of_whole.append(whole.advance(minute))
        of_pieces.append(pieces.advance(minute, at_most))
        for _ in range(calls_between[number % len(calls_between)]):
            of_pieces.append(pieces.advance(NO_MINUTE, at_most))
        if number % 7 == 6:
            pieces = sampler(state=pieces.state())
        for each in (whole, pieces):
            if what == "ask":
                each.request(requested(minute, number, slug))
            else:
                each.offer(sent(minute, number, slug))
    assert all(len(decided.samples) <= at_most for decided in of_pieces)
    of_whole.append(whole.finish())
    of_pieces.append(pieces.finish())
    assert taken_together(of_pieces) == taken_together(of_whole)


def test_it_is_behind_until_the_last_piece_is_decided_on():
    rules = sampler(1.0)
    for number in (1, 2, 3):
        rules.offer(sent(5, number))
    assert not rules.is_behind
    assert kept(rules.advance(6, 2)) == [1, 2]
    assert rules.is_behind
    assert kept(rules.advance(NO_MINUTE, 2)) == [3]
    assert not rules.is_behind


def test_rules_end_as_far_as_it_is_decided_though_something_is_left():
    rules = sampler()
    rules.request(requested(0))
    for number, minute in ((1, 0), (2, 30), (3, 61), (4, 62)):
        rules.offer(sent(minute, number))
    rules.advance(100, 2)  # the rule, and what called for it
    assert rules.state().rules
    rules.advance(NO_MINUTE, 1)
    assert rules.is_behind
    assert not rules.state().rules
    rules.take_all([sent(99, 5)])
    assert [item.offset for item in rules.state().waiting] == [3, 4]
