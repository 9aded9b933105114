"""Sinks under observation: what passes is counted, epochs are timed, and signs of life taken."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from dataflow.connectors.background_writer import DeferredSink
from dataflow.operations.metrics import COMMIT_SECONDS, SNAPSHOT_SECONDS, count_records
from dataflow.operations.vitals import Vitals
from dataflow.process.log import warn
from dataflow.stream.items import Records

SLOW_SECONDS = 5.0
"""An epoch's end that takes a sink longer is logged, and so is a commit."""

Item = TypeVar("Item")
Count = Callable[[Sequence[Item]], None]


class WatchedSink(FixedPartitionedSink[Item, Any]):
    """Another sink, watched. Promises and errors are the other one's."""

    _finishes_with_epoch = True
    """What a sink was given is where it belongs once its snapshot is taken."""

    def __init__(
        self,
        name: str,
        sink: FixedPartitionedSink[Item, Any],
        vitals: Vitals,
        count: Count[Item] | None = None,
    ) -> None:
        self._name = name
        self._sink = sink
        self._vitals = vitals
        self._count = count

    def list_parts(self) -> list[str]:
        """The sink's."""
        return self._sink.list_parts()

    def part_fn(self, item_key: str) -> int:
        """The sink's."""
        return self._sink.part_fn(item_key)

    def build_part(self, step_id: str, for_part: str, resume_state: Any) -> WatchedPartition[Item]:
        """The sink's, watched."""
        part = self._sink.build_part(step_id, for_part, resume_state)
        return WatchedPartition(
            self._subject(for_part), part, self._vitals, self._count, self._finishes_with_epoch
        )

    def _subject(self, part: str) -> str:
        return self._name if len(self.list_parts()) == 1 else f"{self._name}/{part}"


class WatchedTables(WatchedSink[Records]):
    """The tables, written behind the flow's back: all records pass here, and the partitions' clocks with them."""

    _finishes_with_epoch = False

    def __init__(
        self, sink: FixedPartitionedSink[Records, None], vitals: Vitals, partitions: Sequence[str]
    ) -> None:
        """`partitions` are the event clock's inputs, in order."""
        super().__init__("tables", DeferredSink(sink, self._written), vitals, self._count_records)
        self._partitions = partitions

    def build_part(self, step_id: str, for_part: str, resume_state: Any) -> WatchedPartition[Records]:
        """One shard; the clocks of its partitions are expected from now on."""
        part = super().build_part(step_id, for_part, resume_state)
        self._vitals.expect_clocks(self._partitions[self.part_fn(for_part) :: len(self.list_parts())])
        return part

    def _written(self, part: str, seconds: float) -> None:
        COMMIT_SECONDS.observe(seconds)
        self._vitals.sink_finished(self._subject(part))
        if seconds >= SLOW_SECONDS:
            warn("slow_commit", sink=self._subject(part), seconds=seconds)

    def _count_records(self, items: Sequence[Records]) -> None:
        count_records(items)
        self._vitals.clocks(items)


class WatchedPartition(StatefulSinkPartition[Item, Any]):
    """One partition of a watched sink."""

    def __init__(
        self,
        name: str,
        part: StatefulSinkPartition[Item, Any],
        vitals: Vitals,
        count: Count[Item] | None,
        finishes_with_epoch: bool,
    ) -> None:
        self._name = name
        self._part = part
        self._vitals = vitals
        self._count = count
        self._finishes_with_epoch = finishes_with_epoch
        self._seconds = SNAPSHOT_SECONDS.labels(name)

    def write_batch(self, values: list[Item]) -> None:
        """Count and hand on."""
        self._vitals.sink_takes(self._name)
        if self._count is not None:
            self._count(values)
        self._part.write_batch(values)

    def snapshot(self) -> Any:
        """The end of an epoch, which mostly is a sign of life."""
        started = time.perf_counter()
        snapshot = self._part.snapshot()
        seconds = time.perf_counter() - started
        self._seconds.observe(seconds)
        if self._finishes_with_epoch:
            self._vitals.sink_finished(self._name)
        if seconds >= SLOW_SECONDS:
            warn("slow_snapshot", sink=self._name, seconds=seconds)
        return snapshot

    def close(self) -> None:
        """Nothing more comes."""
        self._vitals.sink_closed(self._name)
        self._part.close()
