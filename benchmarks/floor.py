"""The floor: the same input through the engine, decoded and counted, with no state. What no flow can undercut."""

from __future__ import annotations

from typing import Any

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource
from bytewax.outputs import DynamicSink, StatelessSinkPartition

from dataflow.steps.decode import Decode
from dataflow.stream.items import Chunk


class Counter(DynamicSink[int]):
    """Adds up what it is given."""

    def __init__(self) -> None:
        self.total = 0

    def build(self, step_id: str, worker_index: int, worker_count: int) -> _Partition:
        return _Partition(self)


class _Partition(StatelessSinkPartition[int]):
    def __init__(self, counter: Counter) -> None:
        self._counter = counter

    def write_batch(self, items: list[int]) -> None:
        self._counter.total += sum(items)


def build(source: FixedPartitionedSource[Any, Any], projects: dict[int, int], counter: Counter) -> Dataflow:
    """Source -> decode -> count."""
    flow = Dataflow("floor")
    decoded = op.flat_map_batch("decode", op.input("source", flow, source), Decode(projects, 8))
    counts = op.flat_map_batch("count", decoded, _sizes)
    op.output("counter", counts, counter)
    return flow


def _sizes(items: list[Any]) -> list[int]:
    return [len(item.items) for item in items if type(item) is Chunk]
