"""Requests for sampling rules, from controls and for new monitors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from dataflow.sampling.sampling_rules import InvalidRule, OrganizationRules, new_monitor_rule, parse_rule
from tests.monitors.rules import any_json, conditions, shuffled
from tests.sampling.rule_builders import (
    ALL,
    SECOND_US,
    asked,
    guid,
    reloaded,
    request,
    slug_is,
    subject,
    without,
)


def test_a_request_is_read_from_a_control():
    read = parse_rule(
        asked(
            project_ids=[3, 1, 3],
            condition=slug_is("m"),
            start="2025-03-03T00:00:00Z",
            end="2025-03-03T06:00:00.5+05:30",
            sample_rate=1,
            query="slug:m",
            created_by_id=12,
        )
    )
    assert read.project_ids == (1, 3)
    assert (read.start_us, read.end_us) == (1_740_960_000 * SECOND_US, 1_740_961_800_500_000)
    assert (read.num_samples, read.sample_rate, read.query, read.created_by_id) == (10, 1.0, "slug:m", 12)
    assert isinstance(read.sample_rate, float)


def test_times_may_be_epoch_seconds_or_have_no_zone():
    read = parse_rule(asked(start="1970-01-01T00:00:10", end=10.25))
    assert (read.start_us, read.end_us) == (10 * SECOND_US, 10_250_000)


def test_a_rule_may_end_when_it_starts_and_keeps_nothing():
    rules = OrganizationRules()
    rules.upsert(request(start=50, end=50), 0)
    assert rules.sample(subject(), guid(1), 50 * SECOND_US) is None


@pytest.mark.parametrize(
    ("control", "reason"),
    [
        (asked(project_ids=None), "project_ids: must be a list of projects' ids"),
        (asked(project_ids=5), "project_ids: must be a list of projects' ids"),
        (asked(project_ids=[1, "2"]), "project_ids[1]: must be the id of a project"),
        (asked(project_ids=[True]), "project_ids[0]: must be the id of a project"),
        (asked(project_ids=[-1]), "project_ids[0]: must be the id of a project"),
        (without("condition"), "condition: must be an object"),
        (
            asked(condition={"op": "and", "inner": [ALL, slug_is(5)]}),
            "condition.inner[1].value: must be the slug of a monitor",
        ),
        (asked(start=10, end=9), "end: must not be before start"),
        (without("start"), "start: must be an ISO 8601 time or epoch seconds"),
        (asked(start="soon"), "start: must be an ISO 8601 time or epoch seconds"),
        (asked(start=-1), "start: must be an ISO 8601 time or epoch seconds"),
        (asked(end=True), "end: must be an ISO 8601 time or epoch seconds"),
        (asked(end=float("nan")), "end: must be an ISO 8601 time or epoch seconds"),
        (asked(end=1e300), "end: must be an ISO 8601 time or epoch seconds"),
        (asked(end=10**400), "end: must be an ISO 8601 time or epoch seconds"),
        (asked(num_samples=0), "num_samples: must be a whole number, 1 or above"),
        (asked(num_samples=1.5), "num_samples: must be a whole number, 1 or above"),
        (asked(num_samples=True), "num_samples: must be a whole number, 1 or above"),
        (asked(num_samples=2**63), "num_samples: must be a whole number, 1 or above"),
        (asked(sample_rate=1.01), "sample_rate: must be a number from 0 to 1"),
        (asked(sample_rate=-0.1), "sample_rate: must be a number from 0 to 1"),
        (asked(sample_rate=True), "sample_rate: must be a number from 0 to 1"),
        (asked(sample_rate=float("nan")), "sample_rate: must be a number from 0 to 1"),
        (asked(sample_rate="1"), "sample_rate: must be a number from 0 to 1"),
        (without("query"), "query: must be a text of at most 4096 characters"),
        (asked(query=5), "query: must be a text of at most 4096 characters"),
        (asked(created_by_id="me"), "created_by_id: must be a whole number or null"),
    ],
)
def test_a_control_that_asks_for_no_rule_is_told_where_it_is_wrong(control, reason):
    with pytest.raises(InvalidRule) as caught:
        parse_rule(control)
    assert str(caught.value) == caught.value.reason == reason


@given(st.sampled_from(sorted(asked())), any_json() | st.dates().map(str) | st.datetimes().map(str))
def test_no_control_makes_anything_but_a_rule_or_a_reason(key, value):
    try:
        read = parse_rule(asked(**{key: value}))
    except InvalidRule as error:
        error.reason.encode()
    else:
        rules = OrganizationRules()
        rules.upsert(read, 0)
        assert reloaded(rules).take_changed() == rules.take_changed()


@given(conditions(), st.lists(st.integers(1, 9), max_size=5), st.randoms(use_true_random=False))
def test_order_makes_no_other_rule(condition, projects, random):
    other = projects + projects[:2]
    random.shuffle(other)
    one = request(condition=condition, project_ids=projects)
    same = request(condition=shuffled(condition, random), project_ids=other)
    assert one.condition_hash == same.condition_hash


def test_requests_are_equal_when_they_ask_for_the_same():
    assert new_monitor_rule(1, "m", 5) == new_monitor_rule(1, "m", 5)
    assert replace(new_monitor_rule(1, "m", 5), project_ids=(2,)) != new_monitor_rule(1, "m", 5)
