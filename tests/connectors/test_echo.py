"""What a source says again, so that the rest of its news is published."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dataflow.connectors.echo import Echo


def test_news_goes_at_once_and_two_empty_batches_follow_an_interval_apart():
    echo = Echo(10)
    asked = [
        (0, False),
        (1, True),
        (2, False),
        (10.5, False),
        (11, False),
        (12, False),
        (21, False),
        (40, False),
    ]
    assert [at for at, is_news in asked if echo.is_due(is_news, at)] == [1, 11, 21]


@given(st.floats(0, 1), st.floats(0.1, 3), st.integers(0, 4))
def test_whatever_comes_of_news_within_a_few_epochs_is_published(begun_at, epoch_s, later):
    """The sink publishes at the end of an epoch in which something came, at most once an interval."""
    interval, echo = 10.0, Echo(10.0)
    shown_at, is_shown, committed = None, False, None
    end = epoch_s - begun_at * epoch_s
    for epoch in range(int(40 / epoch_s) + 10):
        at = end - epoch_s / 2 if epoch else 0.0
        came = echo.is_due(epoch == 0, at)
        rest = 0 < epoch == later < interval / epoch_s
        committed = True if rest else committed
        if (came or rest) and (shown_at is None or end - shown_at >= interval):
            shown_at, is_shown = end, bool(committed) or later == 0 or not later < interval / epoch_s
        end += epoch_s
    assert is_shown
