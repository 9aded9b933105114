"""The filter of guids: what was added it never denies."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dataflow.monitors.guid_filter import GuidFilter

guids = st.lists(st.binary(min_size=16, max_size=16), max_size=200)


def numbered(*numbers):
    return [number.to_bytes(16) for number in numbers]


@given(guids, guids)
def test_whatever_was_added_may_be_held(first, later):
    held = GuidFilter(first)
    for guid in later:
        held.add(guid)
    assert all(held.may_hold(guid) for guid in first + later)


def test_nearly_all_that_were_never_added_are_denied():
    held = GuidFilter(numbered(*range(10_000)))
    for guid in numbered(*range(10_000, 20_000)):
        held.add(guid)
    assert held.is_full
    taken_for_held = sum(map(held.may_hold, numbered(*range(50_000, 60_000))))
    assert taken_for_held < 400


def test_it_is_full_when_as_many_were_added_as_it_began_with():
    held = GuidFilter(numbered(*range(3_000)))
    for guid in numbered(*range(3_000, 5_999)):
        held.add(guid)
    assert not held.is_full
    held.add(bytes(16))
    assert held.is_full
