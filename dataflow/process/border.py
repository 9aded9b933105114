"""The border between the engine and sources or sinks: a FlowError becomes one line and the process's exit status.

Inside, errors are exceptions without effects; the engine would make a panic of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, TypeVar

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from dataflow.process.exit import at_border
from dataflow.process.stopping import building, epoch_ended, flow_began

Item = TypeVar("Item")


class BorderSource(FixedPartitionedSource[Item, Any]):
    """A source as the engine sees it."""

    def __init__(
        self, source: FixedPartitionedSource[Item, Any], began: Callable[[], None] = lambda: None
    ) -> None:
        """`began` is called when all processes have found each other, and nothing is written yet, by each worker."""
        self._source = source
        self._began = began

    @at_border
    def list_parts(self) -> list[str]:
        """The source's."""
        self._began()  # the engine asks when all processes have found each other
        flow_began()
        return self._source.list_parts()

    @at_border
    def build_part(self, step_id: str, for_part: str, resume_state: Any) -> BorderSourcePartition[Item]:
        """The source's."""
        with building():
            return BorderSourcePartition(self._source.build_part(step_id, for_part, resume_state))


class BorderSourcePartition(StatefulSourcePartition[Item, Any]):
    """One partition of a source as the engine sees it."""

    def __init__(self, part: StatefulSourcePartition[Item, Any]) -> None:
        self._part = part
        # Asked for each batch: the engine calls the partition's own method, by way of one frame.
        self.next_batch = at_border(part.next_batch)  # type: ignore[method-assign]

    def next_batch(self) -> Iterable[Item]:
        """The partition's."""
        return self._part.next_batch()

    @at_border
    def next_awake(self) -> datetime | None:
        """The partition's."""
        return self._part.next_awake()

    @at_border
    def snapshot(self) -> Any:
        """The partition's."""
        snapshot = self._part.snapshot()
        epoch_ended()
        return snapshot

    @at_border
    def close(self) -> None:
        """The partition's."""
        self._part.close()


class BorderSink(FixedPartitionedSink[Item, Any]):
    """A sink as the engine sees it."""

    def __init__(self, sink: FixedPartitionedSink[Item, Any]) -> None:
        self._sink = sink
        # Asked for each item.
        self.part_fn = sink.part_fn  # type: ignore[method-assign]

    @at_border
    def list_parts(self) -> list[str]:
        """The sink's."""
        return self._sink.list_parts()

    def part_fn(self, item_key: str) -> int:
        """The sink's."""
        return self._sink.part_fn(item_key)

    @at_border
    def build_part(self, step_id: str, for_part: str, resume_state: Any) -> BorderSinkPartition[Item]:
        """The sink's."""
        with building():
            return BorderSinkPartition(self._sink.build_part(step_id, for_part, resume_state))


class BorderSinkPartition(StatefulSinkPartition[Item, Any]):
    """One partition of a sink as the engine sees it."""

    def __init__(self, part: StatefulSinkPartition[Item, Any]) -> None:
        self._part = part

    @at_border
    def write_batch(self, values: list[Item]) -> None:
        """The partition's."""
        self._part.write_batch(values)

    @at_border
    def snapshot(self) -> Any:
        """The partition's."""
        snapshot = self._part.snapshot()
        epoch_ended()
        return snapshot

    @at_border
    def close(self) -> None:
        """The partition's."""
        self._part.close()
