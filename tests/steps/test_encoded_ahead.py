"""What is encoded before an epoch ends says the same as what is encoded at its end."""

from __future__ import annotations

from collections import deque

import msgspec
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow.monitors.config import MonitorConfig
from dataflow.monitors.environment import Environment
from dataflow.monitors.group_state import GroupState
from dataflow.monitors.monitor import Monitor, MonitorState
from dataflow.monitors.noted import Noted
from dataflow.monitors.rate_limit import KEPT_MINUTES, RateLimit
from dataflow.monitors.times import NO_MINUTE
from dataflow.process.exit import LastingError
from dataflow.steps import snapshot_blocks, transition_state
from dataflow.steps.gate import Gate
from dataflow.steps.gate_state import COUNTS_AT_ONCE, GateState, SavedRates
from dataflow.steps.snapshot_blocks import Saved, key_of
from dataflow.steps.transition_state import SavedMonitors, TransitionState
from tests.examples import examples
from tests.monitors.test_admission import received
from tests.steps.blocks_in_memory import MemoryBlocks
from tests.steps.small_pieces import make_pieces_small
from tests.steps.test_snapshots import gate_of

CONFIG = MonitorConfig(schedule_type="crontab", schedule="0 * * * *")
_encode = msgspec.msgpack.encode


class Group:
    """Monitors that change, and how snapshots and the blocks beside them hold them."""

    def __init__(self) -> None:
        self.monitors: dict[tuple[int, str], Monitor] = {}
        self.noted = Noted()
        self.store = MemoryBlocks()
        self.saved = SavedMonitors(self.store)
        self.committed = TransitionState(NO_MINUTE, [])
        self.named: deque[set[str]] = deque(maxlen=3)
        self.guids = 0

    def change(self, slug: str, environments: int, guids: int = 0) -> None:
        """Make a monitor, or change it, with some check-ins that end; without environments, delete it."""
        key = (1, slug)
        monitor = self.monitors.get(key)
        if monitor is None:
            monitor = self.monitors[key] = Monitor(
                1, slug, slug.upper(), False, False, CONFIG, CONFIG.timing_or_never()
            )
        self.noted.add(monitor)
        if not environments:
            del self.monitors[key]
            return
        for number in range(environments):
            environment = monitor.find(f"e{number}")
            if environment is None:
                environment = Environment.new(f"e{number}")
                monitor.add(environment)
            environment.oks += 1
            for _ in range(guids):
                self.guids += 1
                environment.remember(self.guids.to_bytes(16))
        for environment in monitor.environments()[environments:]:
            monitor.remove(environment)

    def work(self) -> None:
        self.saved.work(self.monitors, self.noted)
        self.store.free = set(self.store.data).difference(*self.named)
        self.store.take(self.saved.hand_over("transition/0"))

    def snapshot(self) -> TransitionState:
        state = self.saved.state(GroupState(), self.monitors, self.noted.take())
        self.committed = msgspec.msgpack.decode(_encode(state), type=TransitionState)
        self.named.append(keys_of(self.committed))
        return self.committed

    def crash(self) -> None:
        """Go on from the last snapshot. What was handed over since is in the store all the same."""
        self.store.execution += 1
        self.saved, self.noted = SavedMonitors(self.store), Noted()
        restored = [Monitor.restore(each) for each in self.saved.restore(copied(self.committed))]
        self.monitors = {monitor.key: monitor for monitor in restored}


def keys_of(state):
    return {key_of(name) for name in state.kept}


def copied(state):
    return msgspec.msgpack.decode(_encode(state), type=TransitionState)


def plain(monitor):
    """A monitor but for how it is saved."""
    for environment in monitor.environments():
        environment.fold()
        environment.is_saved = False
    return _encode(monitor.state())


def restored(group):
    saved = SavedMonitors(group.store).restore(copied(group.committed))
    return {each.slug: plain(Monitor.restore(each)) for each in saved}


def there(group):
    saved = [
        msgspec.msgpack.decode(_encode(each.state()), type=MonitorState) for each in group.monitors.values()
    ]
    return {each.slug: plain(Monitor.restore(each)) for each in saved}


CHANGE = st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 3), st.sampled_from([0, 1, 7, 60]))


@pytest.fixture(scope="module", autouse=True)
def small_pieces():
    """Few monitors make several blocks, of which all are handed over."""
    with pytest.MonkeyPatch.context() as patch:
        make_pieces_small(patch)
        yield


@settings(max_examples=examples(400), deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(CHANGE, max_size=12),
            st.sampled_from(["go on", "work", "work", "snapshot", "snapshot", "crash"]),
        ),
        max_size=40,
    )
)
def test_a_snapshot_holds_all_monitors_whenever_they_were_encoded(pieces):
    group, expected = Group(), {}
    for changes, then in pieces:
        for slug, environments, guids in changes:
            group.change(slug, environments, guids)
        if then == "work":
            group.work()
        elif then == "snapshot":
            expected = there(group)
            group.snapshot()
            assert expected == there(group)
        elif then == "crash":
            group.crash()
            assert there(group) == expected
        assert restored(group) == expected
    expected = there(group)
    group.snapshot()
    assert restored(group) == expected


def test_all_is_written_again_in_pieces_and_what_was_before_is_thrown_away():
    group = Group()
    for round_ in range(60):
        for slug in "abcdefgh":
            group.change(slug, 1 + round_ % 2, 3)
        group.work()
        group.snapshot()
    assert group.saved._blocks.held < 8 * 8
    for _ in range(8):
        group.work()
        group.snapshot()
    assert set(group.store.data) == keys_of(group.committed)
    group.crash()
    group.work()
    assert set(group.store.data) == keys_of(group.committed)


@pytest.mark.parametrize("calls_an_epoch", [1, 3])
def test_however_fast_monitors_change_they_are_written_again_faster(calls_an_epoch):
    group, at, count = Group(), 0, 60
    for number in range(count):
        group.change(f"m{number}", 1)
    for _ in range(80):
        for _ in range(calls_an_epoch):
            for _ in range(20):
                group.change(f"m{at % count}", 1, 1)
                at += 1
            group.work()
        group.snapshot()
        assert group.saved._blocks.held <= 6 * count


def test_keys_are_used_again():
    """Of each key that is given up the engine keeps a row for ever."""
    group, after = Group(), []
    for round_ in range(400):
        for slug in "abcdefgh":
            group.change(slug, 1 + round_ % 2, 3)
        group.work()
        group.snapshot()
        after.append(len(group.store.seen))
    assert after[-1] == after[100] > 3


def test_no_small_block_keeps_larger_ones_in_the_snapshot(monkeypatch):
    monkeypatch.setattr(snapshot_blocks, "_SMALLEST_KEPT", 10**6)
    group = Group()
    for slug in "abcdefgh":
        group.change(slug, 1)
        group.snapshot()
        group.saved._blocks.begin()  # closes the block
        group.saved._blocks._rewritten_from = -1
    group.work()
    assert len(group.snapshot().blocks) == 1


def test_fingerprints_are_not_written_again_with_each_check_in():
    group = Group()
    for slug in "abcd":
        group.change(slug, 1, 60)
    group.snapshot()
    group.work()
    for slug in "abcd":
        group.change(slug, 1, 1)
    state = group.snapshot()
    (block,) = state.blocks
    assert len(zstandard.ZstdDecompressor().decompress(block)) < 2 * 50 * 8
    assert {
        len(each.environments["e0"].finished_prints) for each in SavedMonitors(group.store).restore(state)
    } == {50 * 8}


@pytest.mark.parametrize("spoil", ["gone", "changed"])
def test_a_block_that_is_not_as_it_was_is_one_line(spoil):
    group = Group()
    for slug in "abcdefgh":
        group.change(slug, 1)
    group.work()
    group.snapshot()
    name = key_of(group.committed.kept[0])
    if spoil == "gone":
        del group.store.data[name]
    else:
        group.store.data[name] = group.store.data[name][:-1]
    with pytest.raises(LastingError, match=rf"step transition .*block {name}.* is (not there|damaged)"):
        SavedMonitors(group.store).restore(group.committed)
    with pytest.raises(LastingError, match="no recovery store is known"):
        SavedMonitors().restore(group.committed)


def test_no_more_is_encoded_ahead_in_an_epoch_than_there_is():
    at_once = transition_state.ENCODED_AT_ONCE
    saved, monitors = SavedMonitors(), 3 * at_once
    assert not saved.are_due(at_once - 1, monitors)
    group = Group()
    for _ in range(3):
        assert saved.are_due(at_once, monitors)
        for number in range(at_once):
            group.change(f"m{number}", 1)
        saved.encode_ahead(group.monitors, group.noted.take())
    assert not saved.are_due(at_once, monitors)
    saved.state(GroupState(), group.monitors, [])
    assert saved.are_due(at_once, monitors)


MINUTES = st.lists(
    st.tuples(
        st.lists(st.tuples(st.integers(0, 6), st.sampled_from("abc")), max_size=8),
        st.sampled_from(["go on", "hand over", "snapshot", "crash"]),
    ),
    max_size=30,
)


@settings(max_examples=examples(300), deadline=None)
@given(MINUTES, st.integers(0, 2))
def test_the_rate_limits_counts_are_those_of_now_in_every_snapshot(pieces, behind):
    """Some check-ins come for minutes that were let go of already."""
    store, clock = MemoryBlocks(), 0
    limit, saved = RateLimit(6), SavedRates(store)
    committed, counts = {}, {}
    for check_ins, then in pieces:
        for minute, slug in check_ins:
            limit.is_exceeded_by(received(minute, slug=slug), minute)
            clock = max(clock, minute - behind)
        limit.forget_before(clock)
        if then == "hand over":
            saved.work(limit)
            store.take(saved.hand_over("rates/0"))
        elif then == "snapshot":
            counts = limit.state()
            committed = saved.saved(limit)
        elif then == "crash":
            store.execution += 1
            saved = SavedRates(store)
            limit = RateLimit(6, saved.restore(GateState((0, {}), {}, {}, rates=committed)))
            assert limit.state() == counts
            clock = 0
        state = msgspec.convert(msgspec.msgpack.decode(_encode(committed)), dict[int, Saved], strict=False)
        assert SavedRates(store).restore(GateState((0, {}), {}, {}, rates=state)) == counts
    for _ in range(5):
        limit.forget_before(100)
        saved.saved(limit)
        store.take(saved.hand_over("rates/0"))
    assert store.data == {}


def test_a_minute_that_is_let_go_of_at_once_after_a_start_can_still_be_gone_on_from():
    """The engine may not get to the end of the first epoch."""
    store = MemoryBlocks()
    limit, saved = RateLimit(6), SavedRates(store)
    for slug in ("a", "b", "c"):
        limit.is_exceeded_by(received(0, slug=slug), 0)
    saved.work(limit)
    store.take(saved.hand_over("rates/0"))
    committed, counts = GateState((0, {}), {}, {}, rates=saved.saved(limit)), limit.state()
    assert committed.rates[0].names
    store.execution += 1
    saved = SavedRates(store)
    limit = RateLimit(6, saved.restore(committed))
    for slug in ("a", "b", "c"):
        limit.is_exceeded_by(received(9, slug=slug), 9)
    limit.forget_before(9)
    saved.work(limit)
    store.take(saved.hand_over("rates/0"))
    assert SavedRates(store).restore(committed) == counts


def test_in_a_backlog_counts_are_not_encoded_for_minutes_that_are_over_before_the_epoch_is():
    limit, saved = RateLimit(6), SavedRates(MemoryBlocks())
    for minute in range(100):
        for number in range(COUNTS_AT_ONCE):
            limit.is_exceeded_by(received(minute, slug=str(number)), minute)
        limit.forget_before(minute)
        saved.work(limit)
    assert limit.count_fresh() == (KEPT_MINUTES + 1) * COUNTS_AT_ONCE
    saved.saved(limit)  # another epoch
    limit.is_exceeded_by(received(100, slug="a"), 100)
    for number in range(COUNTS_AT_ONCE):
        limit.is_exceeded_by(received(100, slug=str(number)), 100)
    saved.work(limit)
    assert limit.count_fresh() == 0


def test_counts_of_earlier_snapshots_come_into_the_next_one():
    gate = gate_of()
    gate.rate_limit.is_exceeded_by(received(3, slug="a"), 3)
    counts = gate.rate_limit.state()
    state = gate.state()
    state.counts, state.rates = counts, {}
    again = gate_of(Gate.CODEC.encode(state))
    held = Gate.CODEC.decode(gate_of(again.snapshot()).snapshot())
    assert SavedRates(None).restore(held) == counts
