"""One recovery store, resumed by another number of processes each time."""

import pytest

from tests.kafka.check_in_stream import Feed, last_minute, stream
from tests.kafka.results import assert_same, result_of

pytestmark = pytest.mark.kafka

MINUTE_MS = 60_000


def test_more_and_fewer_processes_go_on_where_others_were_stopped(own_broker, siblings):
    check_ins = stream(seed=4, monitors=40, minutes=150)
    rescaled, undisturbed = siblings(), siblings()
    # Some partitions are far behind others whenever the flow is stopped.
    feed = Feed(
        own_broker.bootstrap, rescaled.settings.checkins_topic, check_ins, lambda part: part * 4 * MINUTE_MS
    )
    for number, processes in enumerate((1, 2, 3)):
        feed.give(feed.left // (4 - number))
        rescaled.start(processes)
        rescaled.wait_for(lambda: rescaled.read() == feed.given())
        assert rescaled.stop() == [0] * processes
    feed.give()
    for flow in (rescaled, undisturbed):
        flow.run_to(last_minute(check_ins))
    assert_same(result_of(undisturbed), result_of(rescaled))
