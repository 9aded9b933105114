"""Writes tables in a thread of its own, so that a commit, the history and publishing delay no message."""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import NamedTuple

from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from dataflow.connectors.unwritten_records import Encoded, decoded, encoded_blocks
from dataflow.process.exit import at_border
from dataflow.process.stopping import stopping
from dataflow.stream.items import Records
from state.write.data_mark import DataMark

MAX_UNWRITTEN_BYTES = 32_000_000
"""Bytes of compressed records that may wait to be written; with more, the flow waits for them."""
MAX_UNWRITTEN_RAW_BYTES = 64_000_000
"""The same before they are compressed: in memory they take several times that. Ten seconds of a replay are half of it,
of misses that come due at once more."""

_WRITTEN_AT_ONCE = 64
"""Records that are handed on to the tables at once."""

Written = Callable[[str, float], None]
"""Called with the partition, and how many seconds it took, when the records of an epoch are on disk."""


class EpochPartition(StatefulSinkPartition[Records, None]):
    """A partition whose work at the end of an epoch can be done later."""

    @abstractmethod
    def end_epoch(self, ended_at: float) -> None:
        """Write what came in an epoch that ended at this time, in seconds since the epoch."""

    def rest_due_in(self) -> float | None:
        """In how many seconds `publish_rest` is to be called, unless an epoch ends before; None: nothing is left. It
        may be called between two epochs only."""
        return None

    def publish_rest(self) -> None:
        """Publish what came too soon after a snapshot for the next one. The engine calls a sink only at the end of an
        epoch that brought it something: in a flow that has fallen quiet that may be never."""

    def work_off(self, worked_off: dict[int, int]) -> None:
        """How far key groups had come (`Records.worked_off`) when the flow was stopped; with the next epoch."""

    def mark(self) -> DataMark | None:
        """Which file the tables are in, and of what age; any thread may call it. None: not known."""
        return None

    def check(self, mark: DataMark) -> None:
        """See that this is the file, and not an older state of it, that a recovery store knows by `mark`. Raises
        StartError."""

    def snapshot(self) -> None:
        """The engine's call, for an epoch that ends now."""
        self.end_epoch(time.time())


class DeferredSink(FixedPartitionedSink[Records, bytes]):
    """Lets another sink of records work in a thread of its own, epoch by epoch and in order.

    - The end of an epoch waits for nothing. The records that are not on disk yet are in the snapshot, and are
      written first after a crash; as rows are unique by identity, it does no harm if they had been written after all.
    - The other sink's partitions are `EpochPartition`s; its snapshots hold nothing, its errors end the process.
    """

    def __init__(self, sink: FixedPartitionedSink[Records, None], written: Written | None = None) -> None:
        self._sink = sink
        self._written = written
        self._parts: list[DeferredPartition] = []

    def settle(self) -> None:
        """Wait until the epochs that have ended are written, by this process's partitions."""
        for part in self._parts:
            part.settle()

    def list_parts(self) -> list[str]:
        """The other sink's."""
        return self._sink.list_parts()

    def part_fn(self, item_key: str) -> int:
        """The other sink's."""
        return self._sink.part_fn(item_key)

    def build_part(self, step_id: str, for_part: str, resume_state: bytes | None) -> DeferredPartition:
        """The partition, once what its predecessor may not have written is written."""
        part = self._sink.build_part(step_id, for_part, None)
        assert isinstance(part, EpochPartition)
        worked_off: dict[int, int] = {}
        if resume_state:
            left = decoded(resume_state)
            if left.mark is not None:
                part.check(left.mark)
            part.work_off(left.worked_off)
            if left.records:
                part.write_batch(left.records)
                part.snapshot()
            worked_off = left.worked_off
        self._parts.append(DeferredPartition(for_part, part, self._written, worked_off))
        return self._parts[-1]


class _Epoch(NamedTuple):
    """The records of an epoch that may not be on disk yet."""

    encoded: Encoded
    writing: Future[None]


class DeferredPartition(StatefulSinkPartition[Records, bytes]):
    """One partition; see `DeferredSink`."""

    def __init__(
        self, name: str, part: EpochPartition, written: Written | None, worked_off: dict[int, int]
    ) -> None:
        self._worked_off = dict(worked_off)
        """By key group, with all that was taken."""
        self._name = name
        self._part = part
        self._written = written
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tables")
        self._records: list[Records] = []
        self._encoded = Encoded()
        self._unwritten: list[_Epoch] = []
        self._timer: threading.Timer | None = None
        """Calls for the rest; only the thread touches it until it has ended."""
        self._resting: Future[None] | None = None

    def write_batch(self, values: list[Records]) -> None:
        """Keep the records until the end of the epoch."""
        self._records += values
        self._encoded.add(values)
        for each in values:
            self._worked_off |= each.worked_off

    def snapshot(self) -> bytes:
        """Hand the epoch over; the records that are not on disk yet."""
        self._unwritten = [epoch for epoch in self._unwritten if not _is_done(epoch.writing)]
        if self._resting is not None and _is_done(self._resting):
            self._resting = None
        if self._records:
            self._encoded.finish()
            self._unwritten.append(
                _Epoch(self._encoded, self._thread.submit(at_border(self._write), self._records, time.time()))
            )
            self._records, self._encoded = [], Encoded()
        if stopping() or self._is_full():
            self._wait()
        blocks = [block for epoch in self._unwritten for block in epoch.encoded.blocks]
        return encoded_blocks(blocks, self._part.mark(), self._worked_off)

    def close(self) -> None:
        """Wait until everything is written; then the other sink's close, unless the flow broke off."""
        self._wait()
        self._thread.shutdown()
        if self._timer is not None:
            self._timer.cancel()
        if not self._records:
            self._part.close()

    def settle(self) -> None:
        """Wait until the epochs that have ended are written. Any thread may call it."""
        for epoch in list(self._unwritten):
            epoch.writing.result()

    def _is_full(self) -> bool:
        unwritten = [epoch.encoded for epoch in self._unwritten]
        return (
            sum(each.size_bytes for each in unwritten) > MAX_UNWRITTEN_BYTES
            or sum(each.raw_bytes for each in unwritten) > MAX_UNWRITTEN_RAW_BYTES
        )

    def _wait(self) -> None:
        self.settle()
        self._unwritten = []

    def _write(self, records: list[Records], ended_at: float) -> None:
        started = time.perf_counter()
        while (
            records
        ):  # bit by bit, as whoever lets go of all of an epoch at once holds the worker up meanwhile
            self._part.write_batch(records[:_WRITTEN_AT_ONCE])
            del records[:_WRITTEN_AT_ONCE]
        self._part.end_epoch(ended_at)
        if self._written is not None:
            self._written(self._name, time.perf_counter() - started)
        self._call_for_rest()

    def _call_for_rest(self) -> None:
        """By the thread: see that what is not published yet will be, even if no epoch brings anything any more."""
        if self._timer is not None or (seconds := self._part.rest_due_in()) is None:
            return
        self._timer = threading.Timer(seconds, self._hand_over_rest)
        self._timer.daemon = True
        self._timer.start()

    def _hand_over_rest(self) -> None:
        with suppress(RuntimeError):  # the thread is shut down: whoever closes the tables publishes
            self._resting = self._thread.submit(at_border(self._publish_rest))

    def _publish_rest(self) -> None:
        self._timer = None
        self._part.publish_rest()
        self._call_for_rest()


def _is_done(work: Future[None]) -> bool:
    """Whether the thread has done it. Raises what came up meanwhile."""
    if not work.done():
        return False
    work.result()
    return True
