import pytest
from prometheus_client import CollectorRegistry

from dataflow.monitors.check_in import MINUTE_US, NO_MINUTE
from dataflow.operations.vitals import Sign, Vitals
from dataflow.settings import Settings
from dataflow.stream.items import Records
from state.schema.tables.internal import PartitionRow
from tests.state.state_rows import row

MINUTE = 29_000_000
SECOND_US = 1_000_000


def at(minute, seconds=0):
    return (MINUTE + minute) * MINUTE_US + int(seconds * SECOND_US)


class Clock:
    """The wall clock of a test."""

    def __init__(self, now_us):
        self.now_us = now_us

    def __call__(self):
        return self.now_us


@pytest.fixture
def clock():
    return Clock(at(0))


@pytest.fixture
def vitals(clock):
    return Vitals(Settings(kafka_idle_allowance_seconds=2), clock)


def positions(*clocks):
    """The records of partitions, with their clocks in minutes."""
    rows = [
        row(PartitionRow, "ingest-monitors", number, 7, at(minute) if minute is not None else None)
        for number, minute in enumerate(clocks)
    ]
    return [Records(0, {"partitions": [each]}) for each in rows]


def test_a_clock_is_behind_from_the_end_of_its_minute_and_the_allowance_on(vitals):
    vitals.partition("ingest-monitors", 3, 5, MINUTE)
    assert vitals.signs(at(1, 2)) == [Sign("partition", "ingest-monitors/3", at(0), 0)]
    assert vitals.signs(at(1, 32)) == [Sign("partition", "ingest-monitors/3", at(0), 30 * SECOND_US)]


def test_a_clock_that_is_set_to_stay_behind_is_not_behind_for_that():
    vitals = Vitals(Settings(kafka_idle_allowance_seconds=2, clock_delay_seconds=20), Clock(at(0)))
    vitals.partition("ingest-monitors", 3, 5, MINUTE)
    assert [sign.age_us for sign in vitals.signs(at(1, 20))] == [0]
    assert [sign.age_us for sign in vitals.signs(at(1, 21))] == [SECOND_US]


def test_a_clock_ahead_of_the_wall_clock_is_not_behind(vitals):
    vitals.partition("ingest-monitors", 3, 5, MINUTE + 10)
    assert [sign.age_us for sign in vitals.signs(at(1))] == [0]


def test_a_partition_without_a_clock_is_behind_from_the_start_on(vitals):
    vitals.partition("ingest-monitors", 3, 5, NO_MINUTE)
    (sign,) = vitals.signs(at(5, 2))
    assert (sign.since_us, sign.age_us, sign.is_certain) == (at(0), 240 * SECOND_US, False)


def test_a_partition_of_controls_is_behind_when_nobody_reads_it(vitals, clock):
    clock.now_us = at(0, 10)
    vitals.partition("monitor-controls", 0, 0, NO_MINUTE)
    assert vitals.signs(at(0, 40)) == [Sign("partition", "monitor-controls/0", at(0, 10), 30 * SECOND_US)]


def test_the_event_clock_is_the_slowest_of_all_partitions_that_are_expected(vitals):
    vitals.expect_clocks(["ingest-monitors/0", "ingest-monitors/1"])
    vitals.clocks(positions(5))
    (sign,) = vitals.signs(at(6))
    assert (sign.subject, sign.since_us, sign.is_certain) == ("event clock", at(0), False)
    vitals.clocks(positions(6, 3))
    assert vitals.signs(at(6, 2)) == [Sign("clock", "event clock", at(3), 2 * MINUTE_US)]


def test_partitions_without_a_clock_have_no_part_in_the_event_clock(vitals):
    vitals.expect_clocks(["ingest-monitors/0"])
    vitals.clocks(positions(5, None))
    assert [sign.since_us for sign in vitals.signs(at(6))] == [at(5)]


def test_a_sink_is_behind_as_long_as_it_owes_what_it_was_given(vitals, clock):
    vitals.sink_takes("tables")
    clock.now_us = at(0, 20)
    vitals.sink_takes("tables")
    assert vitals.signs(at(0, 30)) == [Sign("sink", "tables", at(0), 30 * SECOND_US, is_certain=False)]
    vitals.sink_finished("tables")
    assert vitals.signs(at(9)) == [Sign("sink", "tables", at(9), 0)]
    clock.now_us = at(9)
    vitals.sink_takes("tables")
    assert vitals.signs(at(9, 1)) == [Sign("sink", "tables", at(9), SECOND_US)]
    vitals.sink_closed("tables")
    assert vitals.signs(at(99)) == []


def test_a_scrape_shows_how_everything_is_at_that_time(vitals, clock):
    registry = CollectorRegistry()
    registry.register(vitals)
    vitals.expect_clocks(["ingest-monitors/0"])
    vitals.clocks(positions(0))
    vitals.partition("ingest-monitors", 0, 17, MINUTE)
    vitals.sink_takes("occurrences")
    clock.now_us = at(2, 2)
    place = {"topic": "ingest-monitors", "partition": "0"}
    expected = [
        ("cronwax_event_clock_age_seconds", {}, 60),
        ("cronwax_partition_clock_age_seconds", place, 60),
        ("cronwax_partition_lag_messages", place, 17),
        ("cronwax_sink_age_seconds", {"sink": "occurrences"}, 122),
    ]
    found = [(name, labels, registry.get_sample_value(name, labels)) for name, labels, _ in expected]
    assert found == expected
