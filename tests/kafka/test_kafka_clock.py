"""The clock of a Kafka partition: timestamps, wall clock, transactions, and times that cannot be true."""

from __future__ import annotations

import pytest
from confluent_kafka import Producer

from dataflow.connectors.kafka_source import KafkaSource
from dataflow.monitors.check_in import NO_MINUTE
from dataflow.steps.decode import Decode
from dataflow.stream.batch import Format
from dataflow.stream.items import DeadLetter
from tests.kafka.source_parts import LATER_US, MINUTE, T0, never, part_of, source_of
from tests.kafka.topics import messages_of, read_until, send

pytestmark = pytest.mark.kafka


def test_the_clock_is_the_newest_timestamp_and_never_goes_back(broker, settings_for):
    settings = settings_for(broker, batch_size=1)
    times = [T0, T0 + 180_000, T0 + 60_000, T0 + 240_000]
    send(broker.bootstrap, settings.checkins_topic, 0, [(at_ms, b"x") for at_ms in times])
    batches = read_until(part_of(settings, now_us=None), lambda got: len(got) >= 4)
    clocks = [(batch.clock_before - MINUTE, batch.clock_after - MINUTE) for batch in batches]
    assert clocks == [(NO_MINUTE - MINUTE, 0), (0, 3), (3, 3), (3, 4)]


def test_a_partition_read_to_its_end_follows_the_wall_clock_less_the_allowance(broker, settings_for):
    settings = settings_for(broker, kafka_idle_allowance_seconds=30)
    send(broker.bootstrap, settings.checkins_topic, 0, [(T0, b"a")])
    now_us = [(MINUTE + 5) * 60_000_000 + 29_999_999]
    source = KafkaSource(settings, never, now_us=lambda: now_us[0])
    part = source.build_part("input", f"{settings.checkins_topic}/0", None)
    batches = read_until(part, lambda got: bool(got) and got[-1].clock_after > MINUTE)
    assert batches[-1].clock_after == MINUTE + 4
    assert batches[-1].position == 1
    now_us[0] += 1
    (batch,) = read_until(part, bool)
    assert (batch.messages, batch.clock_before, batch.clock_after) == ([], MINUTE + 4, MINUTE + 5)
    assert part.snapshot()[:2] == (1, MINUTE + 5)


def test_the_clock_stays_behind_the_timestamps_by_its_delay(broker, settings_for):
    settings = settings_for(broker, batch_size=1, clock_delay_seconds=5)
    times = [T0 + 4_999, T0 + 5_000, T0 + 64_999, T0 + 65_000]
    send(broker.bootstrap, settings.checkins_topic, 0, [(at_ms, b"x") for at_ms in times])
    batches = read_until(part_of(settings, now_us=T0 * 1000 + 65_000_000), lambda got: len(got) >= 4)
    assert [batch.clock_after - MINUTE for batch in batches] == [-1, 0, 0, 1]


def test_an_idle_partition_stays_behind_the_wall_clock_by_no_less_than_the_clocks_delay(broker, settings_for):
    settings = settings_for(broker, kafka_idle_allowance_seconds=2, clock_delay_seconds=5)
    now_us = [(MINUTE + 5) * 60_000_000 + 4_999_999]
    source = KafkaSource(settings, never, now_us=lambda: now_us[0])
    part = source.build_part("input", f"{settings.checkins_topic}/0", None)
    (batch,) = read_until(part, bool)
    assert batch.clock_after == MINUTE + 4
    now_us[0] += 1
    (batch,) = read_until(part, bool)
    assert (batch.clock_before, batch.clock_after) == (MINUTE + 4, MINUTE + 5)


def test_a_message_without_a_value_is_one_that_cannot_be_read(broker, settings_for):
    settings = settings_for(broker)
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    producer.produce(settings.checkins_topic, None, b"key", partition=0, timestamp=T0)
    producer.flush(60)
    source = source_of(settings, now_us=None)
    (batch,) = read_until(source.build_part("input", f"{settings.checkins_topic}/0", None), bool)
    assert messages_of([batch]) == [(0, T0 * 1000, b"")]
    (letter,) = [each for each in Decode({}, 1)([batch]) if isinstance(each, DeadLetter)]
    assert (letter.offset, letter.original) == (0, b"")


NEXT_DAY_MS = T0 + 86_400_000
"""The future, as seen by these tests; a broker of today takes no message that is really an hour ahead."""


def test_a_message_from_the_future_moves_no_clock_and_counts_as_of_the_minute_that_it_came_in(
    broker, settings_for, caplog
):
    settings = settings_for(broker, batch_size=1)
    times = [T0, NEXT_DAY_MS, T0 + 30_000, T0 + 60_000]
    send(broker.bootstrap, settings.checkins_topic, 0, [(at_ms, b"x") for at_ms in times])
    now_us = T0 * 1000 + 90_000_000
    batches = read_until(part_of(settings, now_us=now_us), lambda got: len(messages_of(got)) >= 4)
    clocks = [(batch.clock_before - MINUTE, batch.clock_after - MINUTE) for batch in batches]
    assert clocks == [(NO_MINUTE - MINUTE, 0), (0, 0), (0, 0), (0, 1)]
    counted = [at_us - T0 * 1000 for _, at_us, _ in messages_of(batches)]
    assert counted == [0, 59_999_999, 30_000_000, 60_000_000]
    (line,) = [record.getMessage() for record in caplog.records if "cannot be true" in record.getMessage()]
    assert line.startswith(f"{settings.checkins_topic}/0: the time of message 1, ")


@pytest.mark.parametrize("batch_size", [1, 10])
def test_a_message_from_the_future_counts_the_same_for_any_batch_size(broker, settings_for, batch_size):
    settings = settings_for(broker, batch_size=batch_size, clock_delay_seconds=5)
    times = [T0 + 2_000, NEXT_DAY_MS, T0 + 3_000]
    send(broker.bootstrap, settings.checkins_topic, 0, [(at_ms, b"x") for at_ms in times])
    now_us = T0 * 1000 + 90_000_000
    batches = read_until(part_of(settings, now_us=now_us), lambda got: len(messages_of(got)) >= 3)
    assert batches[-1].clock_after == MINUTE - 1
    assert [at_us - T0 * 1000 for _, at_us, _ in messages_of(batches)] == [2_000_000, -1, 3_000_000]


def test_a_message_from_the_future_before_all_others_counts_as_of_the_next_one(broker, settings_for):
    settings = settings_for(broker)
    send(broker.bootstrap, settings.checkins_topic, 0, [(NEXT_DAY_MS, b"a"), (T0, b"b")])
    part = part_of(settings)
    (first, *_) = read_until(part, lambda got: len(messages_of(got)) == 2)
    assert [at_us - T0 * 1000 for _, at_us, _ in messages_of([first])] == [59_999_999, 0]
    assert first.clock_after == MINUTE


@pytest.mark.parametrize("batch_size", [1, 2, 10])
@pytest.mark.parametrize(
    "untrue_ms", [1, T0 // 1000, T0 - 32 * 86_400_000], ids=["1970", "seconds", "32 days"]
)
def test_a_time_long_past_moves_no_clock_and_counts_as_of_the_clock(
    broker, settings_for, batch_size, untrue_ms
):
    settings = settings_for(broker, batch_size=batch_size, clock_delay_seconds=5)
    times = [T0 + 2_000, untrue_ms, T0 - 30 * 86_400_000, T0 + 3_000]
    send(broker.bootstrap, settings.checkins_topic, 0, [(at_ms, b"x") for at_ms in times])
    batches = read_until(part_of(settings), lambda got: len(messages_of(got)) >= len(times))
    assert batches[-1].clock_after == MINUTE - 1
    counted = [at_us - T0 * 1000 for _, at_us, _ in messages_of(batches)]
    assert counted == [2_000_000, -1, -30 * 86_400_000_000, 3_000_000]


@pytest.mark.parametrize("untrue_ms", [253_402_300_800_000, 2**61, 2**63 - 1])
def test_a_time_that_no_calendar_has_counts_as_of_the_clock(
    broker, settings_for, new_topic, untrue_ms, caplog
):
    topic = new_topic(broker, message_timestamp_after_max_ms=str(2**63 - 1))
    settings = settings_for(broker, checkins_topic=topic)
    times = [T0 + 2_000, untrue_ms, T0 + 60_000]
    send(broker.bootstrap, topic, 0, [(at_ms, b"x") for at_ms in times])
    batches = read_until(part_of(settings), lambda got: len(messages_of(got)) >= len(times))
    assert [at_us - T0 * 1000 for _, at_us, _ in messages_of(batches)] == [2_000_000, 59_999_999, 60_000_000]
    assert f"the time of message 1, {untrue_ms} ms after 1970, cannot be true" in caplog.text


def test_times_long_past_before_all_others_wait_for_the_first_true_one(broker, settings_for):
    settings = settings_for(broker, batch_size=10)
    send(broker.bootstrap, settings.checkins_topic, 0, [(1, b"a"), (2, b"b"), (T0, b"c")])
    batches = read_until(part_of(settings), lambda got: len(messages_of(got)) >= 3)
    assert [at_us - T0 * 1000 for _, at_us, _ in messages_of(batches)] == [59_999_999, 59_999_999, 0]
    assert batches[-1].clock_after == MINUTE


def test_a_control_from_the_future_counts_as_of_now(broker, settings_for):
    settings = settings_for(broker)
    send(broker.bootstrap, settings.controls_topic, 0, [(NEXT_DAY_MS, b"{}")])
    part = source_of(settings).build_part("input", f"{settings.controls_topic}/0", None)
    (batch,) = read_until(part, bool)
    assert messages_of([batch]) == [(0, LATER_US + 59_999_999, b"{}")]


def test_after_a_restart_what_waits_for_controls_waits_no_longer_than_until_they_have_been_read(
    broker, settings_for
):
    """Nothing new comes, and the wall clock has no say: the time of what waits is known from the positions alone."""
    settings = settings_for(broker)
    names = [f"{settings.checkins_topic}/0", f"{settings.controls_topic}/0"]
    send(broker.bootstrap, settings.checkins_topic, 0, [(T0 + 7_500, b"x")])
    source = source_of(settings, now_us=None)
    check_ins, controls = (source.build_part("input", name, None) for name in names)
    read_until(check_ins, lambda got: len(messages_of(got)) == 1)
    states = [check_ins.snapshot(), controls.snapshot()]
    source = source_of(settings, now_us=None)
    check_ins, controls = (
        source.build_part("input", name, state) for name, state in zip(names, states, strict=True)
    )
    check_ins.next_batch()
    (batch, *_) = read_until(controls, bool)
    assert batch.read_us == (T0 + 7_500) * 1_000 + 1


def test_a_store_that_does_not_know_the_newest_time_is_resumed(broker, settings_for):
    settings = settings_for(broker)
    send(broker.bootstrap, settings.checkins_topic, 0, [(T0, b"a"), (T0 + 60_000, b"b")])
    part = part_of(settings, now_us=None)
    read_until(part, lambda got: len(messages_of(got)) == 2)
    for length in (2, 3):
        part = part_of(settings, now_us=None, state=(1, *part.snapshot()[1:length]))
        (batch, *_) = read_until(part, bool)
        assert messages_of([batch]) == [(1, (T0 + 60_000) * 1_000, b"b")]


def test_an_empty_partition_follows_the_wall_clock(broker, settings_for):
    part = part_of(settings_for(broker))
    (batch,) = read_until(part, bool)
    assert (batch.clock_before, batch.clock_after, batch.position) == (NO_MINUTE, MINUTE + 99, 0)


def test_a_backlog_keeps_its_own_time_until_it_is_read(broker, settings_for):
    settings = settings_for(broker, batch_size=1)
    backlog = [(T0 + number * 60_000, b"x") for number in range(20)]
    send(broker.bootstrap, settings.checkins_topic, 0, backlog)
    batches = read_until(part_of(settings), lambda got: bool(got) and got[-1].clock_after > MINUTE + 20)
    assert [batch.clock_after - MINUTE for batch in batches] == [*range(20), 99]


def test_for_several_shards_two_empty_batches_follow_the_last_one_so_that_what_it_brought_is_published(
    broker, settings_for
):
    settings = settings_for(
        broker, publish_interval=0.1, kafka_idle_allowance_seconds=LATER_US / 1e6, state_shards=2
    )
    send(broker.bootstrap, settings.checkins_topic, 0, [(T0, b"a")])
    part = part_of(settings)
    first, *echoes = read_until(part, lambda got: len(got) >= 3)
    assert len(first.messages) == 1
    for echo in echoes:
        assert (echo.messages, echo.clock_before, echo.clock_after, echo.position) == ([], MINUTE, MINUTE, 1)
    asked = []
    end = part._broker.end

    def ask():
        asked.append(end())
        return asked[-1]

    part._broker.end = ask
    assert read_until(part, lambda _: len(asked) >= 20) == []


def test_what_a_transaction_leaves_in_the_log_does_not_stop_the_clock(real_broker, settings_for):
    settings = settings_for(real_broker)
    producer = Producer({"bootstrap.servers": real_broker.bootstrap, "transactional.id": "test"})
    producer.init_transactions(60)
    producer.begin_transaction()
    producer.produce(settings.checkins_topic, b"a", partition=0, timestamp=T0)
    producer.commit_transaction(60)
    part = part_of(settings)
    batches = read_until(part, lambda got: bool(got) and got[-1].clock_after > MINUTE)
    assert len(messages_of(batches)) == 1
    assert part.snapshot()[:2] == (2, MINUTE + 99)


def test_an_open_transaction_holds_the_clock_back(real_broker, settings_for):
    settings = settings_for(real_broker)
    producer = Producer({"bootstrap.servers": real_broker.bootstrap, "transactional.id": "test-open"})
    producer.init_transactions(60)
    producer.begin_transaction()
    producer.produce(settings.checkins_topic, b"a", partition=0, timestamp=T0)
    producer.flush(60)
    answers = []
    part = part_of(settings)
    end = part._broker.end

    def record():
        answer = end()
        if answer is not None:
            answers.append(answer.offset)
        return answer

    part._broker.end = record
    assert read_until(part, lambda got: bool(answers)) == []
    producer.commit_transaction(60)
    batches = read_until(part, bool)
    assert batches[0].clock_before == NO_MINUTE
    assert batches[0].messages == [(0, T0 * 1000, b"a")]


def test_controls_have_no_part_in_the_event_clock(broker, settings_for):
    settings = settings_for(broker)
    send(broker.bootstrap, settings.controls_topic, 0, [(T0, b"{}")])
    source = source_of(settings)
    key = f"{settings.controls_topic}/0"
    assert key in source.list_parts()
    assert key not in source.origins
    (batch,) = read_until(source.build_part("input", key, None), bool)
    assert (batch.origin, batch.format, batch.clock_before, batch.clock_after) == (
        -1,
        Format.CONTROLS,
        NO_MINUTE,
        NO_MINUTE,
    )
    assert batch.messages == [(0, T0 * 1000, b"{}")]
