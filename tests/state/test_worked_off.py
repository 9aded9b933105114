"""The published event clock is no further than the slowest key group has worked off."""

from __future__ import annotations

import duckdb
import pytest

from state.publish.publish import HOLD_SECONDS, Publisher
from state.publish.shared_publish import SharedPublisher
from state.publish.snapshot_views import SNAPSHOT
from state.schema.database import shard_path
from state.write.worked_off import event_clock_us
from state.write.writer import StateWriter
from tests.state.state_rows import START_US, answer, check_in, partition

MINUTE_US = 60_000_000


class Flow:
    """A writer, to which key groups report, and its publisher."""

    def __init__(self, folder, groups=2):
        self.now = START_US / 1_000_000
        self.writer = StateWriter.open(folder, key_groups=groups)
        self.publisher = Publisher(self.writer, folder, 0, lambda: self.now)

    def epoch(self, read, *worked_off, first=0, run=None):
        """Inputs are read up to a minute; key groups from `first` on have come to these."""
        self.writer.write({"partitions": [partition(read, read)], "check_ins": [check_in(run or read)]})
        self.work_off(*worked_off, first=first)
        self.writer.commit()
        self.now += 1
        return self.publisher.publish()

    def work_off(self, *minutes, first=0):
        self.writer.work_off(
            {
                group: minute if minute is None else START_US + minute * MINUTE_US
                for group, minute in enumerate(minutes, first)
            }
        )


@pytest.fixture
def start(tmp_path):
    flows: list[Flow] = []

    def start_flow(**settings):
        for flow in flows:
            flow.writer.close()
        flows.append(Flow(tmp_path, **settings))
        return flows[-1]

    yield start_flow
    for flow in flows:
        flow.writer.close()


@pytest.fixture
def clock(tmp_path):
    """The published event clock, in minutes after the beginning; None: there is none."""

    def published():
        ((found,),) = answer(tmp_path / SNAPSHOT, "SELECT epoch_us(event_clock) FROM snapshot_info")
        return None if found is None else (found - START_US) // MINUTE_US

    return published


def test_it_is_that_of_the_slowest_key_group(start, clock):
    flow = start(groups=3)
    flow.epoch(9, 9, 4, 7)
    assert clock() == 4
    flow.epoch(10, 10, first=1)
    assert clock() == 7
    flow.epoch(11, 11, 12, 13)
    assert clock() == 11


def test_it_is_that_of_the_slowest_partition_where_that_is_less(start, clock):
    start().epoch(5, 9, 9)
    assert clock() == 5


def test_as_long_as_a_key_group_has_not_worked_off_anything_there_is_none(start, clock):
    flow = start()
    flow.epoch(5)
    assert clock() is None
    flow.epoch(6, 6)
    assert clock() is None
    flow.epoch(7, None, first=1)
    assert clock() is None
    flow.epoch(8, 7, first=1)
    assert clock() == 6


def test_after_a_restart_it_stays_until_all_key_groups_have_reported(start, clock):
    start().epoch(9, 4, 5)
    flow = start()
    assert flow.epoch(10)
    assert clock() == 4
    flow.epoch(11, 11)
    assert clock() == 4
    flow.epoch(12, 6, first=1)
    assert clock() == 6


def test_nothing_is_shown_of_what_is_worked_off_again_until_it_is_where_it_was(start, clock):
    start().epoch(9, 8, 8)
    flow = start()
    assert not flow.epoch(10, 3, 8)
    assert not flow.epoch(11, 7)
    assert clock() == 8
    assert flow.epoch(12, 9)
    assert clock() == 8


def test_what_does_not_come_to_where_it_was_is_shown_after_a_while_and_for_good(start, clock):
    start().epoch(9, 8, 8)
    flow = start()
    flow.epoch(10, 3, 3)
    flow.now += HOLD_SECONDS
    assert flow.epoch(11, 4, 4)
    assert clock() == 4
    assert start().epoch(12)
    assert clock() == 4


def test_a_step_of_the_clock_alone_is_published(start, clock):
    flow = start()
    flow.epoch(9, 4, 4)
    flow.work_off(9, 9)
    assert flow.writer.commit()
    assert flow.publisher.publish()
    assert clock() == 9
    flow.work_off(9)
    assert not flow.writer.commit()


def test_it_says_so_once(start, tmp_path):
    flow = start()
    for minute in range(1, 4):
        flow.epoch(minute, minute, minute)
    assert answer(tmp_path / SNAPSHOT, "SELECT count(*), count(published_at) FROM snapshot_info") == [(1, 1)]


def test_a_file_of_an_earlier_release_goes_by_what_was_read_until_key_groups_have_reported(start, clock):
    start(groups=0).epoch(5)
    assert clock() == 5
    flow = start()
    flow.epoch(6, 6)
    assert clock() == 6
    flow.epoch(9, 7, 8)
    assert clock() == 7


def test_with_several_shards_it_is_that_of_the_slowest_of_all_and_a_step_of_it_alone_is_published(
    tmp_path, clock
):
    writers = [StateWriter.open(tmp_path, shard, 2, key_groups=3) for shard in range(2)]
    publishers = [SharedPublisher(writer, tmp_path, 0, lambda: START_US / 1e6) for writer in writers]
    for read, minutes in ((9, (8, 7, 6)), (10, (8, 9, 9)), (10, (10, 10, 10))):
        for writer, publisher in zip(writers, publishers, strict=True):
            writer.write({"partitions": [partition(read, read)]})
            writer.work_off({group: START_US + minute * MINUTE_US for group, minute in enumerate(minutes)})
            writer.commit()
            publisher.publish()
        assert clock() == min(minutes)
    for writer in writers:
        writer.close()


def test_the_writers_own_file_keeps_it(start, tmp_path):
    flow = start()
    flow.epoch(9, 4, 5)
    flow.writer.close()
    with duckdb.connect(str(shard_path(tmp_path, 0)), read_only=True) as connection:
        assert event_clock_us(connection) == START_US + 4 * MINUTE_US
