"""Entries are in every snapshot as they are then, whatever was encoded before it; and no piece of that is long."""

from __future__ import annotations

from collections import deque
from itertools import count

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow.steps import saved_entries
from dataflow.steps.saved_entries import SavedEntries
from dataflow.steps.snapshot_blocks import Saved, key_of
from tests.examples import examples
from tests.steps.blocks_in_memory import MemoryBlocks
from tests.steps.small_pieces import make_pieces_small

DECODE = msgspec.msgpack.Decoder(tuple[list[int], list[tuple[int, int]]]).decode


class Numbers(SavedEntries[int]):
    """Numbers with values. It counts how many were encoded in one piece."""

    def __init__(self, store, values):
        super().__init__(store)
        self.values = values
        self.changed = {}
        self.rejected = 0
        self.piece = self.longest = self.encoded = 0

    def count(self):
        return len(self.values)

    def count_changed(self):
        return 2 * len(self.changed) + self.rejected  # somewhat more

    def take_changed(self):
        changed, self.changed, self.rejected = list(self.changed), {}, 0
        return changed

    def keys(self):
        return self.values.keys()

    def find(self, key):
        self.piece += 1
        return (key, self.values[key]) if key in self.values else None

    def set(self, key, value):
        self.values.pop(key, None)
        if value is not None:
            self.values[key] = value
        self.changed[key] = None

    def measured(self, do):
        self.piece = 0
        result = do()
        self.longest = max(self.longest, self.piece)
        self.encoded += self.piece
        return result


class Group:
    """Numbers, and how snapshots and the blocks beside them hold them."""

    def __init__(self):
        self.store = MemoryBlocks()
        self.numbers = Numbers(self.store, {})
        self.committed, self.values = Saved([], []), {}
        self.named: deque[set[str]] = deque(maxlen=3)

    def work(self):
        self.numbers.measured(self.numbers.work)
        self.store.free = set(self.store.data).difference(*self.named)
        self.store.take(self.numbers.hand_over("numbers/0"))

    def snapshot(self):
        self.committed = self.numbers.measured(self.numbers.saved)
        self.values = dict(self.numbers.values)
        self.named.append(set(map(key_of, self.committed.names)))

    def restored(self, numbers):
        return dict(numbers._blocks.restore(self.committed, DECODE, lambda entry: entry[0]))

    def crash(self):
        self.store.execution += 1
        self.numbers = Numbers(self.store, {})
        self.numbers.values |= self.restored(self.numbers)


@pytest.fixture
def small_pieces(monkeypatch):
    make_pieces_small(monkeypatch)


PIECES = st.lists(
    st.tuples(
        st.dictionaries(st.integers(0, 12), st.none() | st.integers(0, 99), max_size=8),
        st.sampled_from(["go on", "work", "work", "snapshot", "snapshot", "crash"]),
    ),
    max_size=40,
)


@pytest.mark.usefixtures("small_pieces")
@settings(max_examples=examples(400), deadline=None)
@given(PIECES)
def test_a_snapshot_holds_what_there_is_whenever_it_was_encoded(pieces):
    group = Group()
    for changes, then in pieces:
        for key, value in changes.items():
            group.numbers.set(key, value)
        if then == "work":
            group.work()
        elif then == "snapshot":
            group.snapshot()
        elif then == "crash":
            group.crash()
            assert group.numbers.values == group.values
        assert group.restored(Numbers(group.store, {})) == group.values
    group.snapshot()
    assert group.restored(Numbers(group.store, {})) == group.numbers.values


def test_no_piece_is_long_when_all_are_made_and_all_change_at_once():
    group, at_once, values = Group(), saved_entries.ENCODED_AT_ONCE, count()
    for _ in range(2):
        for begin in range(0, 40 * at_once, at_once // 2):
            for key in range(begin, begin + at_once // 2):
                group.numbers.set(key, next(values))
            group.work()
            if begin % (10 * at_once) == 0:
                group.snapshot()
        group.snapshot()
    assert group.numbers.longest <= 1.5 * at_once + saved_entries.REWRITTEN_AT_ONCE
    assert group.restored(Numbers(group.store, {})) == group.numbers.values


def test_what_only_might_have_changed_takes_no_place_of_what_has():
    group, at_once = Group(), saved_entries.ENCODED_AT_ONCE
    for key in range(4 * at_once):
        group.numbers.set(key, 0)
        if key % 200 == 0:
            group.work()
    group.snapshot()
    for _ in range(20):
        group.numbers.rejected += at_once
        group.work()
    for key in range(4 * at_once):
        group.numbers.set(key, 1)
        if key % 200 == 0:
            group.work()
    group.numbers.longest = 0
    group.snapshot()
    assert group.numbers.longest <= at_once


@pytest.mark.parametrize("calls_an_epoch", [1, 7])
def test_however_fast_all_changes_it_is_written_again_faster(calls_an_epoch):
    group, number, size = Group(), count(), 5_000
    for _ in range(60):
        for _ in range(calls_an_epoch):
            for _ in range(2_000):
                at = next(number)
                group.numbers.set(at % size, at)
            group.work()
        group.snapshot()
        assert group.numbers._blocks.held <= 5 * size


@pytest.mark.usefixtures("small_pieces")
def test_what_is_outdated_stays_bounded_and_what_was_before_is_thrown_away():
    group, number = Group(), count()
    for _ in range(300):
        for _ in range(4):
            at = next(number)
            group.numbers.set(at % 10, at)
        group.work()
        group.snapshot()
        assert group.numbers._blocks.held <= 60
    for _ in range(20):
        group.work()
        group.snapshot()
    assert group.numbers._blocks.held <= 25
    assert set(group.store.data) == set(map(key_of, group.committed.names))


def test_what_changes_again_and_again_is_encoded_no_more_often_in_an_epoch_than_there_is_of_it():
    group, at_once = Group(), saved_entries.ENCODED_AT_ONCE
    for round_ in range(50):
        for key in range(at_once):
            group.numbers.set(key, round_)
        group.work()
    assert group.numbers.encoded == at_once


def test_after_a_start_a_small_block_in_the_middle_keeps_no_later_one_in_the_snapshots(monkeypatch):
    monkeypatch.setattr(saved_entries, "ENCODED_AT_ONCE", 200)
    monkeypatch.setattr(saved_entries, "REWRITTEN_AT_ONCE", 598)
    group = Group()
    for key in range(3 * 200):
        group.numbers.set(key, 10**9 + 12_345 * key % 10**9)
        if key % 200 == 199:
            group.work()
    group.numbers._blocks.renew(group.numbers.keys())
    group.work()
    group.work()  # the last piece, of two
    group.numbers.set(3, 5)
    group.snapshot()
    assert len(group.committed.blocks) == 2
    group.crash()
    for epoch in range(2):
        for key in range(130):
            group.numbers.set(key, 10**9 + 54_321 * (key + epoch) % 10**9)
        group.work()
        group.snapshot()
    assert len(group.committed.blocks) <= 1
