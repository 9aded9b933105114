"""What a source says again, so that several shards publish the rest of its news."""

from __future__ import annotations

import pytest

from dataflow.connectors.echo import Echo

ASKED = [
    (0, False),
    (1, True),
    (2, False),
    (10.5, False),
    (11, False),
    (12, False),
    (21, False),
    (40, False),
]


@pytest.mark.parametrize(("shards", "given_at"), [(1, [1]), (2, [1, 11, 21])])
def test_news_goes_at_once_and_for_several_shards_two_empty_batches_follow(shards, given_at):
    echo = Echo(10, shards)
    assert [at for at, is_news in ASKED if echo.is_due(is_news, at)] == given_at


def test_where_each_epoch_is_published_an_empty_batch_is_for_a_later_epoch():
    echo = Echo(0, 4)
    asked = [(0, True), (0.01, False), (0.5, False), (1.0, False), (1.5, False), (2.0, False), (9.0, False)]
    assert [at for at, is_news in asked if echo.is_due(is_news, at)] == [0, 1.0, 2.0]
