"""Blocks hold what there is, whatever changed when, and not much beyond."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.steps.snapshot_blocks import SMALL_BLOCK, Blocks, Saved

DECODE = msgspec.msgpack.Decoder(tuple[list[int], list[tuple[int, int]]]).decode


class Group:
    """Numbers with values, and the blocks that hold them."""

    def __init__(self, saved=()):
        self.blocks: Blocks[Any] = Blocks()
        self.values = dict(self.blocks.restore(Saved([], list(saved)), DECODE, lambda entry: entry[0]))
        self.encoded = 0

    def snapshot(self, changed):
        def found(key):
            self.encoded += 1
            return (key, self.values[key]) if key in self.values else None

        def everything():
            self.encoded += len(self.values)
            return list(self.values.items())

        self.blocks.update(changed, len(self.values), found, everything)
        return self.blocks.saved().blocks


@given(
    st.lists(st.dictionaries(st.integers(0, 40), st.none() | st.integers(0, 99), max_size=12), max_size=12),
    st.data(),
)
def test_what_is_restored_is_what_there_was(epochs, data):
    group = Group()
    for epoch in epochs:
        for key, value in epoch.items():
            group.values.pop(key, None)
            if value is not None:
                group.values[key] = value
        saved = group.snapshot(list(epoch))
        again = Group(saved)
        assert again.values == group.values
        if data.draw(st.booleans()):
            group = again


def grown(count):
    group = Group()
    group.values = dict.fromkeys(range(count), 0)
    group.snapshot(list(group.values))
    group.encoded = 0
    return group


def test_only_what_changed_is_encoded():
    group = grown(10_000)
    first = group.snapshot([])
    for epoch in range(1, 21):
        changed = range(epoch * 200, epoch * 200 + 200)
        for key in changed:
            group.values[key] = epoch
        saved = group.snapshot(list(changed))
    assert saved[0] == first[0]
    assert len(saved) == 21
    assert group.encoded == 20 * 200


def test_few_changes_share_a_block():
    group = grown(10_000)
    for key in range(SMALL_BLOCK):
        saved = group.snapshot([key])
    assert len(saved) == 2
    assert len(group.snapshot([9_999])) == 3


def test_what_is_gone_is_gone():
    group = grown(1_000)
    del group.values[7]
    assert 7 not in Group(group.snapshot([7])).values
    group.values = {}
    assert Group(group.snapshot(list(range(1_000)))).values == {}


@pytest.mark.parametrize("spoil", [lambda data: data[:-3], lambda data: b"nonsense", lambda data: data[:10]])
def test_a_block_that_cannot_be_read_is_an_error(spoil):
    (data,) = grown(100).snapshot([])
    with pytest.raises(ValueError, match=r"."):
        Group([spoil(data)])
