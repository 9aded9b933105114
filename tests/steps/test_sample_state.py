"""What waits for the watermark is in blocks that are written once, and comes back from any snapshot."""

from __future__ import annotations

from itertools import count

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow.monitors.admission import RuleRequested
from dataflow.monitors.times import MINUTE_US
from dataflow.steps.sample import Sample
from dataflow.steps.sample_state import SNAPSHOTS, SampleState
from dataflow.steps.snapshot_blocks import keys_of
from dataflow.stream.items import BlockWrite, Chunk, Item, Records
from tests.examples import examples
from tests.steps.blocks_in_memory import MemoryBlocks
from tests.steps.small_pieces import make_pieces_small

_encode = msgspec.msgpack.encode
CHUNKS = st.lists(
    st.tuples(
        st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4)), max_size=9),
        st.booleans(),
        st.sampled_from(["go on", "go on", "snapshot", "snapshot", "crash"]),
    ),
    max_size=25,
)


@pytest.fixture(scope="module", autouse=True)
def small_pieces():
    with pytest.MonkeyPatch.context() as patch:
        make_pieces_small(patch)
        yield


class Twice:
    """The step with blocks of its own, which crashes, and one that keeps all in memory and does not."""

    def __init__(self):
        self.store, self.numbers, self.minute = MemoryBlocks(), count(1), 1
        self.plain, self.step = Sample(0.0, lambda: True, None), self.resumed(None)
        self.committed: tuple[bytes, bytes] | None = None
        self.named: list[set[str]] = []

    def resumed(self, snapshot):
        return Sample(0.0, lambda: True, snapshot, self.store)

    def take(self, waits, advances):
        items: list[Item] = [
            RuleRequested(1, number, "m", (self.minute + ahead) * int(MINUTE_US), "t", 0, next(self.numbers))
            for ahead, number in waits
        ]
        self.minute += advances
        chunk = Chunk(0, 0, items, self.minute)
        expected, got = self.plain.on_batch([chunk])[0], self.step.on_batch([chunk])[0]
        self.store.free = set(self.store.data).difference(*self.named[-3:])
        self.store.take(each for each in got if isinstance(each, BlockWrite))
        return rows(expected), rows(got)

    def snapshot(self):
        assert waiting(self.step) == waiting(self.plain)
        self.committed = self.step.snapshot(), self.plain.snapshot()
        self.named.append(keys_of(SNAPSHOTS.decode(self.committed[0]).kept))

    def crash(self):
        self.store.execution += 1
        with_blocks, plain = self.committed or (None, None)
        self.step, self.plain = self.resumed(with_blocks), Sample(0.0, lambda: True, plain)


def rows(out):
    return [_encode(each.rows) for each in out if isinstance(each, Records)]


def waiting(step):
    return [_encode(item) for item in step.rules.state().waiting]


@settings(max_examples=examples(200), deadline=None)
@given(CHUNKS)
def test_whenever_it_is_resumed_the_same_waits_and_the_same_is_decided(chunks):
    twice = Twice()
    for waits, advances, then in chunks:
        expected, got = twice.take(waits, advances)
        assert got == expected
        if then == "snapshot":
            twice.snapshot()
        elif then == "crash":
            twice.crash()
        assert waiting(twice.step) == waiting(twice.plain)


def test_an_epoch_writes_what_began_to_wait_in_it():
    twice = Twice()
    twice.take([(5, number) for number in range(1, 100)], False)
    twice.snapshot()
    twice.take([(5, 100)], False)
    before = set(twice.store.data)
    for number in range(101, 110):
        twice.take([(5, number)], False)
    state = twice.step.state()
    assert state.waiting == []
    assert set() < before <= keys_of(state.kept)
    assert sum(map(len, state.blocks)) < 100


def test_what_a_snapshot_of_version_1_held_is_in_blocks_from_then_on():
    item = RuleRequested(1, 7, "m", int(MINUTE_US), "t", 0, 1)
    old = _encode((1, _encode_raw(SampleState(1, {}, [item]))))
    step = Sample(0.0, lambda: True, old)
    state = SNAPSHOTS.decode(step.snapshot())
    assert state.waiting == []
    assert waiting(Sample(0.0, lambda: True, step.snapshot())) == [_encode(item)]
    assert list(step.rules.waiting.values()) == [item]


def _encode_raw(state):
    return msgspec.Raw(_encode([state.minute, state.rules, state.waiting]))
