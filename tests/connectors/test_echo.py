"""What a source says again, so that the rest of its news is published."""

from __future__ import annotations

from dataflow.connectors.echo import Echo


def test_news_goes_at_once_and_an_empty_batch_follows_an_interval_later():
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
    assert [at for at, is_news in asked if echo.is_due(is_news, at)] == [1, 11]
