"""The slowest of many clocks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dataflow.stream.items import END_OF_TIME
from dataflow.stream.watermark import Watermark


def test_it_stands_until_every_input_has_a_clock():
    watermark = Watermark(["a", "b"])
    assert not watermark.advance(0, 10)
    assert watermark.advance(1, 7)
    assert watermark.minute == 7


def test_an_input_that_never_had_a_time_holds_nobody_back():
    watermark = Watermark(["a", "b"])
    watermark.advance(0, END_OF_TIME)
    assert watermark.advance(1, 7)
    assert watermark.minute == 7


def test_it_says_nothing_when_no_input_ever_had_a_time():
    watermark = Watermark(["a"])
    assert not watermark.advance(0, END_OF_TIME)


def test_it_resumes_by_name_when_an_input_was_added_in_front():
    watermark = Watermark(["b", "c"])
    watermark.advance(0, 5)
    watermark.advance(1, 9)
    resumed = Watermark(["a", "b", "c"], watermark.state())
    assert resumed.minute == 5
    assert not resumed.advance(1, 8)
    assert resumed.advance(0, 6)
    assert resumed.minute == 6


@given(st.integers(1, 4), st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50))))
def test_it_is_the_minimum_of_the_newest_clocks_and_never_goes_back(count, marks):
    watermark = Watermark([str(n) for n in range(count)])
    newest = [-1] * count
    for origin, minute in marks:
        before = watermark.minute
        newest[origin % count] = max(newest[origin % count], minute)
        moved = watermark.advance(origin % count, minute)
        assert watermark.minute == min(newest)
        assert moved == (watermark.minute > before)
