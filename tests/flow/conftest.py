"""Every snapshot of every run here is checked: what it holds must be all that there is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from dataflow.monitors.monitor import Monitor
from dataflow.monitors.times import FAR_MINUTE
from dataflow.steps.gate import Gate
from dataflow.steps.gate_state import SavedMembers, SavedRates
from dataflow.steps.key_group import KeyGroup
from dataflow.steps.sample import Sample
from dataflow.steps.sample_state import SavedWaiting
from dataflow.steps.saved_entries import SavedEntries
from dataflow.steps.snapshot_blocks import Blocks
from dataflow.steps.transition import Transition
from dataflow.steps.transition_state import SavedMonitors
from dataflow.steps.upsert import Upsert
from dataflow.steps.upsert_state import SavedRegistry
from tests.steps.blocks_in_memory import MemoryBlocks
from tests.steps.small_pieces import make_pieces_small

_encode = msgspec.msgpack.encode


def _monitor(monitor: Monitor) -> bytes:
    """A monitor but for the bookkeeping of deadlines and snapshots, which starts afresh."""
    plain = Monitor.restore(msgspec.msgpack.decode(_encode(monitor.state()), type=type(monitor.state())))
    for environment in plain.environments():
        environment.scheduled_minute = FAR_MINUTE
        environment.fold()
        environment.is_saved = False
    return _encode(plain.state())


def _held(
    step: KeyGroup[Any, Any], snapshot: bytes, store: MemoryBlocks
) -> tuple[Iterable[bytes], Iterable[bytes]]:
    """What a snapshot says of a step's entries, and the entries themselves."""
    state = type(step).CODEC.decode(snapshot)
    if isinstance(step, Transition):
        restored = [_monitor(Monitor.restore(saved)) for saved in SavedMonitors(store).restore(state)]
        return restored, [_monitor(monitor) for monitor in step.group.monitors.values()]
    if isinstance(step, Upsert):
        there = step.registry.monitors.values()
        monitors = SavedRegistry(step.registry, store).restore(state)
        return [_encode(each) for each in monitors], [_encode(each) for each in there]
    if isinstance(step, Sample):
        waiting = SavedWaiting(step.rules, store).restore(state)
        return [_encode(each) for each in waiting], [_encode(each) for each in step.rules.waiting.values()]
    assert isinstance(step, Gate)
    assert SavedRates(store).restore(state) == step.rate_limit.state()
    members = SavedMembers(step.rules, store).restore(state)
    entries = [step.rules.saved_member(key) for key in step.rules.member_keys()]
    return [_encode(each) for each in members], [_encode(each) for each in entries]


@pytest.fixture(scope="module", autouse=True)
def snapshots_are_complete(request):
    """Each snapshot holds all that there is.

    Blocks are not written again of themselves, so that what is not noted as changed is missed; but in the modules
    with the mark `usual_blocks` they are when the flow itself would write them again.
    """
    take, hand_over, store = KeyGroup.snapshot, Blocks.hand_over, MemoryBlocks()

    def checked(self: KeyGroup[Any, Any]) -> bytes:
        snapshot = take(self)
        if isinstance(self, Transition | Upsert | Gate | Sample):
            held, there = _held(self, snapshot, store)
            assert sorted(held) == sorted(there)
        return snapshot

    def noted(self: Blocks[Any], place: str) -> list[Any]:
        writes = hand_over(self, place)
        store.data |= {write.key: write.data for write in writes if write.data is not None}
        return writes

    with pytest.MonkeyPatch.context() as patch:
        if request.node.get_closest_marker("usual_blocks") is None:
            patch.setattr(SavedEntries, "_is_outdated", lambda self: False)
            patch.setattr(SavedMonitors, "_is_outdated", lambda self, count: False)
        make_pieces_small(patch)
        patch.setattr(KeyGroup, "snapshot", checked)
        patch.setattr(Blocks, "hand_over", noted)
        yield
