"""Reading, comparing and applying conditions of sampling rules."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.sampling.conditions import (
    InvalidCondition,
    Subject,
    glob_regex,
    parse_condition,
    restore_condition,
    slug_condition,
)
from tests.monitors.rules import any_json, conditions, holds, shuffled, subjects

FULL = Subject(7, "nightly", "production", "ok", 1500, "0af7651916cd43dd8448eb211c80319c", "sentry.go/0.28")
BARE = Subject(7, "nightly", "production", "ok")


def compare(op, name, value):
    return {"op": op, "name": name, "value": value}


def both(*inner):
    return {"op": "and", "inner": list(inner)}


def either(*inner):
    return {"op": "or", "inner": list(inner)}


def negated(inner):
    return {"op": "not", "inner": inner}


def refused(value):
    with pytest.raises(InvalidCondition) as caught:
        parse_condition(value)
    return caught.value.place, caught.value.reason


SLUG = compare("eq", "monitor.slug", "nightly")
OTHER = compare("eq", "monitor.slug", "hourly")


@pytest.mark.parametrize(
    ("op", "name", "value", "expected"),
    [
        ("eq", "project_id", 7, True),
        ("eq", "project_id", 8, False),
        ("gt", "project_id", 6, True),
        ("gt", "project_id", 7, False),
        ("gte", "project_id", 7, True),
        ("gte", "project_id", 8, False),
        ("lt", "project_id", 8, True),
        ("lt", "project_id", 7, False),
        ("lte", "project_id", 7, True),
        ("lte", "project_id", 6, False),
        ("eq", "duration", 1.5, True),
        ("eq", "duration", 1500, False),
        ("gt", "duration", 1.499, True),
        ("gt", "duration", 1.5, False),
        ("gte", "duration", 1.5, True),
        ("lt", "duration", 1.501, True),
        ("lt", "duration", 1.5, False),
        ("lte", "duration", 1.5, True),
        ("eq", "monitor.slug", "nightly", True),
        ("eq", "monitor.slug", "hourly", False),
        ("eq", "monitor.slug", "Nightly", True),
        ("eq", "environment", "production", True),
        ("eq", "environment", "Production", False),
        ("eq", "status", "ok", True),
        ("eq", "status", "error", False),
        ("eq", "trace_id", "0AF76519-16cd-43dd-8448-eb211c80319c", True),
        ("eq", "trace_id", "0af7651916cd43dd8448eb211c80319d", False),
        ("eq", "sdk", "sentry.go/0.28", True),
        ("eq", "sdk", "sentry.go", False),
        ("glob", "sdk", "sentry.go/*", True),
        ("glob", "sdk", "sentry.go", False),
        ("glob", "sdk", "sentry?go/0.2?", True),
        ("glob", "monitor.slug", "*night*", True),
        ("glob", "monitor.slug", "night", False),
        ("glob", "environment", "prod*", True),
        ("glob", "environment", "Prod*", False),
        ("glob", "status", "?", False),
        ("glob", "trace_id", "0af7*", True),
    ],
)
def test_an_operator_compares_a_field(op, name, value, expected):
    assert parse_condition(compare(op, name, value)).matches(FULL) is expected


@pytest.mark.parametrize(
    "lacking",
    [
        compare("eq", "duration", 0),
        compare("gte", "duration", 0),
        compare("lt", "duration", 10),
        compare("eq", "trace_id", "0" * 32),
        compare("glob", "trace_id", "*"),
        compare("glob", "sdk", "*"),
    ],
)
def test_a_check_in_without_the_field_matches_no_comparison_but_its_not(lacking):
    assert not parse_condition(lacking).matches(BARE)
    assert parse_condition(negated(lacking)).matches(BARE)


def test_and_needs_all_and_or_needs_one():
    assert parse_condition(both(SLUG, compare("eq", "status", "ok"))).matches(FULL)
    assert not parse_condition(both(SLUG, OTHER)).matches(FULL)
    assert parse_condition(either(OTHER, SLUG)).matches(FULL)
    assert not parse_condition(either(OTHER, negated(SLUG))).matches(FULL)


def test_an_empty_and_matches_everything_and_an_empty_or_nothing():
    assert parse_condition(both()).matches(BARE)
    assert not parse_condition(either()).matches(BARE)


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (None, "condition"),
        ([], "condition"),
        ({}, "condition.op"),
        ({"op": "xor", "inner": []}, "condition.op"),
        ({"op": ["and"], "inner": []}, "condition.op"),
        ({"op": "and"}, "condition.inner"),
        ({"op": "and", "inner": SLUG}, "condition.inner"),
        ({"op": "not", "inner": [SLUG]}, "condition.inner"),
        ({"op": "and", "inner": [], "name": "sdk"}, "condition.name"),
        ({**SLUG, "inner": []}, "condition.inner"),
        ({"op": "eq", "name": "sdk"}, "condition.value"),
        ({"op": "eq", "value": "x"}, "condition.name"),
        (compare("eq", "slug", "x"), "condition.name"),
        (compare("eq", None, "x"), "condition.name"),
        (compare("gt", "monitor.slug", "x"), "condition.op"),
        (compare("lte", "sdk", 1), "condition.op"),
        (compare("glob", "duration", "1*"), "condition.op"),
        (compare("glob", "project_id", "1*"), "condition.op"),
        (compare("glob", "sdk", 5), "condition.value"),
        (compare("eq", "sdk", None), "condition.value"),
        (compare("eq", "sdk", ["a", "b"]), "condition.value"),
        (compare("eq", "sdk", "\ud800"), "condition.value"),
        (compare("eq", "monitor.slug", "!!!"), "condition.value"),
        (compare("eq", "trace_id", "0af7"), "condition.value"),
        (compare("eq", "project_id", "7"), "condition.value"),
        (compare("eq", "project_id", True), "condition.value"),
        (compare("eq", "project_id", -1), "condition.value"),
        (compare("eq", "project_id", 2**64), "condition.value"),
        (compare("gt", "duration", "5"), "condition.value"),
        (compare("gt", "duration", False), "condition.value"),
        (compare("gt", "duration", float("nan")), "condition.value"),
        (compare("gt", "duration", float("inf")), "condition.value"),
        (compare("gt", "duration", 10**400), "condition.value"),
        (both(SLUG, SLUG, compare("eq", "sdk", 3)), "condition.inner[2].value"),
        (negated(either(SLUG, negated({"op": "?"}))), "condition.inner.inner[1].inner.op"),
    ],
)
def test_what_is_wrong_is_named_by_its_place(value, place):
    assert refused(value)[0] == place


def test_the_reason_says_what_would_be_right():
    assert refused(compare("gt", "duration", "5"))[1] == "must be a finite number of seconds"
    assert refused(compare("glob", "duration", "5"))[1] == "must be one of eq, gt, gte, lt, lte for duration"
    assert refused({**SLUG, "when": 1}) == ("condition.when", "is not a key of eq")
    assert refused({**SLUG, "\ud800": 1}) == ("condition.?", "is not a key of eq")


def test_a_condition_may_be_nested_20_deep_but_not_21():
    deep = SLUG
    for _ in range(20):
        deep = negated(deep)
    assert parse_condition(deep).matches(FULL)
    assert refused(negated(deep)) == ("condition" + ".inner" * 21, "must not be nested deeper than 20")


def test_nesting_beyond_all_measure_is_refused_like_any_other():
    deep = SLUG
    for _ in range(100_000):
        deep = both(deep)
    place, _ = refused(deep)
    assert place == "condition" + ".inner[0]" * 21


def test_a_condition_may_be_16_kb_long_but_no_longer():
    spare = 16 * 1024 - len(parse_condition(compare("eq", "sdk", "")).text)
    assert parse_condition(compare("eq", "sdk", "x" * spare))
    assert refused(compare("eq", "sdk", "x" * (spare + 1)))[0] == "condition"
    assert refused(compare("eq", "sdk", "é" * (spare // 2 + 1)))[0] == "condition"


def test_only_the_canonical_form_counts_towards_its_length():
    assert parse_condition(either(*[SLUG] * 2000)) == parse_condition(either(SLUG))


def test_numbers_and_ids_that_mean_the_same_are_one_condition():
    assert parse_condition(compare("gt", "duration", 5.0)) == parse_condition(compare("gt", "duration", 5))
    assert parse_condition(compare("eq", "monitor.slug", "My Job")) == parse_condition(
        compare("eq", "monitor.slug", "my-job")
    )
    dashed = compare("eq", "trace_id", "0AF76519-16cd-43dd-8448-eb211c80319c")
    assert parse_condition(dashed) == parse_condition(compare("eq", "trace_id", FULL.trace_id))
    assert parse_condition(compare("glob", "sdk", "a**b")) == parse_condition(compare("glob", "sdk", "a*b"))


def test_the_canonical_form_is_readable_json():
    assert parse_condition({"value": "nightly", "name": "monitor.slug", "op": "eq"}).text == (
        '{"op":"eq","name":"monitor.slug","value":"nightly"}'
    )


@given(conditions(), st.randoms(use_true_random=False))
def test_order_and_repetition_make_no_other_condition(value, random):
    assert parse_condition(shuffled(value, random)).text == parse_condition(value).text


@given(conditions(), conditions(), subjects())
def test_conditions_of_one_canonical_form_match_the_same(one, other, subject):
    if parse_condition(one) == parse_condition(other):
        assert holds(one, subject) == holds(other, subject)


@given(conditions(), subjects())
def test_a_compiled_condition_matches_what_the_written_one_means(value, subject):
    condition = parse_condition(value)
    assert condition.matches(subject) == holds(value, subject)
    assert restore_condition(condition.text).matches(subject) == holds(value, subject)


@given(conditions(), subjects())
def test_what_matches_has_one_of_the_slugs_that_the_condition_is_bound_to(value, subject):
    condition = parse_condition(value)
    if condition.slugs is not None and condition.matches(subject):
        assert subject.slug in condition.slugs


@given(conditions())
def test_a_canonical_form_is_its_own_canonical_form(value):
    text = parse_condition(value).text
    assert parse_condition(json.loads(text)).text == text


@given(any_json())
def test_anything_else_is_refused_and_nothing_escapes(value):
    try:
        parse_condition(value)
    except InvalidCondition as error:
        str(error).encode()


def test_the_slugs_of_a_condition_are_those_it_cannot_match_without():
    other = compare("eq", "status", "ok")
    assert parse_condition(both(other, SLUG)).slugs == frozenset({"nightly"})
    assert parse_condition(both(SLUG, OTHER)).slugs == frozenset()
    assert parse_condition(either(SLUG, OTHER)).slugs == frozenset({"nightly", "hourly"})
    assert parse_condition(either(SLUG, other)).slugs is None
    assert parse_condition(negated(SLUG)).slugs is None
    assert parse_condition(either()).slugs == frozenset()
    assert parse_condition(both()).slugs is None


@given(st.integers(0, 2_147_483_647))
def test_a_duration_is_the_decimal_number_of_seconds_that_it_is_written_as(duration_ms):
    seconds = float(f"{duration_ms // 1000}.{duration_ms % 1000:03}")
    subject = Subject(1, "m", "production", "ok", duration_ms)
    assert parse_condition(compare("eq", "duration", seconds)).matches(subject)


@given(st.text("ab*?", max_size=12), st.text("ab", max_size=20))
def test_a_pattern_fits_as_the_shell_has_it(pattern, text):
    assert bool(glob_regex(pattern).fullmatch(text)) == fnmatchcase(text, pattern)


@pytest.mark.parametrize("text", ["[a]", "a.b", "a\\?", "a\nb", "(", "^$", "ü"])
def test_all_else_in_a_pattern_stands_for_itself(text):
    assert glob_regex(text.replace("?", "*")).fullmatch(text)
    assert glob_regex("*" + text).fullmatch("x\n" + text)
    assert not glob_regex(text).fullmatch("a")


def test_a_question_mark_stands_for_any_one_character():
    assert all(glob_regex("a?b").fullmatch(f"a{one}b") for one in "x?*\n\u00fc")
    assert not glob_regex("a?b").fullmatch("ab")


def test_no_pattern_backtracks_without_end():
    """Either of these would outlast the universe if each `*` were tried at every length."""
    assert not glob_regex("a*" * 5000 + "b").fullmatch("a" * 5000 + "c")
    assert not glob_regex("*a?" * 5000 + "b").fullmatch("a" * 20_000)
    assert glob_regex("*a*" * 3000 + "b").fullmatch("a" * 3000 + "b")


@given(st.from_regex(r"[a-z0-9]{1,20}([_-][a-z0-9]{1,20})?", fullmatch=True), subjects())
def test_the_condition_of_one_slug_is_the_one_that_is_read_from_json(slug, seen):
    read = parse_condition({"op": "eq", "name": "monitor.slug", "value": slug})
    made = slug_condition(slug)
    assert (made, made.slugs) == (read, read.slugs)
    assert made.matches(seen) == read.matches(seen)
    assert made.matches(msgspec.structs.replace(seen, slug=slug))
