"""Catching up: late, never wrong."""

import pytest

from cronwax.devtools.kafka_broker import admin, create_topic
from tests.kafka.check_in_stream import PARTITIONS, START_S, Feed, last_minute, on_time, stream
from tests.kafka.results import assert_same, result_of

pytestmark = pytest.mark.kafka

HOURS = 6
HOUR_MS = 3_600_000
START_MINUTE = START_S // 60
SLOW = 3
"""The partition that is an hour behind."""


def made_anew(broker, topic):
    """Empty a topic; it keeps its name, which ids are derived from."""
    client = admin(broker.bootstrap)
    client.delete_topics([topic], operation_timeout=30)[topic].result()
    while topic in client.list_topics(timeout=10).topics:
        pass
    create_topic(broker.bootstrap, topic, PARTITIONS)


def missed_on_time(flow):
    """Jobs that are always on time, and are said to have been missed all the same."""
    end_s = START_S + HOURS * 3600
    return flow.query(f"""SELECT slug, date_added FROM check_ins
        WHERE slug LIKE 'on-time-%' AND status = 'missed' AND epoch(date_added) < {end_s}""")


def test_a_backlog_with_a_partition_an_hour_behind_gives_no_false_miss_and_what_live_reading_gives(
    own_broker, siblings
):
    check_ins = stream(seed=6, monitors=30, minutes=HOURS * 60)
    for messages, more in zip(check_ins, on_time(16, HOURS * 60), strict=True):
        messages[:] = sorted(messages + more)
    live, late = siblings(), siblings()
    topic, end = live.settings.checkins_topic, last_minute(check_ins)

    feed = Feed(own_broker.bootstrap, topic, check_ins)
    live.start()

    def fed_to_the_end():
        feed.give(min(200, feed.left))
        return not feed.left and live.clock_minute() == end

    live.wait_for(fed_to_the_end, pause=0.02)
    assert live.stop() == [0]
    assert missed_on_time(live) == []

    made_anew(own_broker, topic)
    feed = Feed(own_broker.bootstrap, topic, check_ins, lambda part: HOUR_MS if part == SLOW else 0)
    feed.give_before(end * 60_000 + 1)
    late.start()
    late.wait_for(lambda: late.read() == feed.given())
    assert late.clock_minute() < START_MINUTE + (HOURS - 1) * 60 + 15
    assert missed_on_time(late) == []
    feed.give()
    late.wait_for(lambda: late.clock_minute() == end)
    assert late.stop() == [0]
    assert missed_on_time(late) == []
    assert_same(result_of(live), result_of(late))
