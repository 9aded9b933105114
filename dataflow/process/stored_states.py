"""What a recovery store would let a flow go on from, as the engine itself reads it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import bytewax.operators as op
from bytewax.dataflow import Dataflow, Stream
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.operators import StatefulBatchLogic
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from bytewax.recovery import RecoveryConfig
from bytewax.testing import run_main

from dataflow.process.exit import StartError
from dataflow.process.recovery_store import read_store

States = dict[str, dict[str, Any]]
"""By step, without the flow's name, and by state key. Of a stateful step the keys are numbers."""


def read_states(store: Path, copy: Path, flow_id: str, sink: str, stateful: Sequence[str]) -> States:
    """The states of all sources, of one sink and of stateful steps. The store is left as it is.

    A small flow with steps of these names resumes from a copy of the store: so it finds what the next start would
    find, which epoch that is being the engine's own matter. Raises StartError if there is no store, or it cannot be
    read.
    """
    stored = read_store(store, flow_id)
    sources = {step: sorted(keys) for step, keys in stored.items() if step.startswith("source_")}
    if not sources:
        raise StartError(f"recovery store {store}: it knows no positions yet; there is nothing to go by")
    copy.mkdir()
    for file in store.glob("part-*.sqlite3*"):
        shutil.copyfile(file, copy / file.name)
    found: States = {step: {} for step in (*sources, sink, *stateful)}
    shards = sorted(stored.get(sink, {"0"}))
    flow = Dataflow(flow_id)
    streams = [
        op.input(step, flow, _Source(keys, shards, found[step].__setitem__))
        for step, keys in sorted(sources.items())
    ]
    read: Stream[Any] = op.merge("read", *streams) if len(streams) > 1 else streams[0]
    op.output(sink, read, _Sink(shards, found[sink].__setitem__))
    for step in stateful:
        nothing = op.flat_map_batch(f"nothing_to_{step}", read, _nothing)
        logics = op.stateful_batch(step, nothing, _Logics(found[step]))
        op.inspect(f"seen_{step}", logics, _unseen)
    run_main(flow, recovery_config=RecoveryConfig(str(copy)))
    shutil.rmtree(copy)
    return found


def _nothing(_: Sequence[Any]) -> list[tuple[str, Any]]:
    return []


def _unseen(step_id: str, item: Any) -> None:
    """The engine wants to see an output of every step."""


Note = Callable[[str, Any], None]


class _Source(FixedPartitionedSource[tuple[str, None], Any]):
    def __init__(self, keys: list[str], sink_keys: list[str], note: Note) -> None:
        self._keys, self._sink_keys, self._note = keys, sink_keys, note

    def list_parts(self) -> list[str]:
        return self._keys

    def build_part(self, step_id: str, for_part: str, resume_state: Any) -> _SourcePartition:
        if resume_state is not None:
            self._note(for_part, resume_state)
        return _SourcePartition(self._sink_keys)


class _SourcePartition(StatefulSourcePartition[tuple[str, None], Any]):
    """Gives one item for each partition of the sink, without which the engine would build none."""

    def __init__(self, sink_keys: list[str]) -> None:
        self._items: list[tuple[str, None]] = [(key, None) for key in sink_keys]

    def next_batch(self) -> list[tuple[str, None]]:
        if not self._items:
            raise StopIteration
        items, self._items = self._items, []
        return items

    def snapshot(self) -> None:
        return None


class _Sink(FixedPartitionedSink[None, Any]):
    def __init__(self, keys: list[str], note: Note) -> None:
        self._keys, self._note = keys, note

    def list_parts(self) -> list[str]:
        return self._keys

    def part_fn(self, item_key: str) -> int:
        return self._keys.index(item_key)

    def build_part(self, step_id: str, for_part: str, resume_state: Any) -> _SinkPartition:
        if resume_state is not None:
            self._note(for_part, resume_state)
        return _SinkPartition()


class _SinkPartition(StatefulSinkPartition[None, Any]):
    def write_batch(self, values: list[None]) -> None:
        """Nothing is written."""

    def snapshot(self) -> None:
        return None


class _Logics:
    """Builds logics that do nothing, and notes what they were to go on from."""

    def __init__(self, found: dict[str, Any]) -> None:
        self._found = found

    def __call__(self, state: Any) -> _Logic:
        if state is not None:
            self._found[str(len(self._found))] = state
        return _Logic()


class _Logic(StatefulBatchLogic[Any, Any, Any]):
    def on_batch(self, values: list[Any]) -> tuple[list[Any], bool]:
        return [], StatefulBatchLogic.RETAIN

    def snapshot(self) -> None:
        return None
