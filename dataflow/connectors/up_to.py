"""A source that is read from its beginning to where a recovery store stands, and no further."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from dataflow.process.exit import LastingError
from dataflow.stream.batch import SourceBatch


class UpToSource(FixedPartitionedSource[SourceBatch, None]):
    """Gives what another source gives, up to a last batch of each partition.

    Raises LastingError, while it runs, for an input that ends before.
    """

    def __init__(
        self,
        source: FixedPartitionedSource[SourceBatch, Any],
        last: Mapping[str, SourceBatch],
        stopping: Callable[[], bool],
        may_end: bool,
    ) -> None:
        """`last`: by partition a batch without messages that stands at its end. `may_end`: where that is the end of the
        input, too, nothing comes any more."""
        self._source = source
        self._last = last
        self._stopping = stopping
        self._may_end = may_end
        self.at_end: set[str] = set()
        """Partitions that hold nothing beyond it."""

    def list_parts(self) -> list[str]:
        """The other source's."""
        return self._source.list_parts()

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> UpToPartition:
        """The other source's, from its beginning."""
        part = self._source.build_part(step_id, for_part, None)

        def reached_the_end() -> bool:
            self.at_end.add(for_part)
            return self._may_end

        return UpToPartition(for_part, part, self._last[for_part], self._stopping, reached_the_end)


class UpToPartition(StatefulSourcePartition[SourceBatch, None]):
    """One partition; it is closed as soon as it has come to where it ends, so that it holds up no other."""

    def __init__(
        self,
        name: str,
        part: StatefulSourcePartition[SourceBatch, Any],
        last: SourceBatch,
        stopping: Callable[[], bool],
        reached_the_end: Callable[[], bool],
    ) -> None:
        self._name = name
        self._part = part
        self._last = last
        self._stopping = stopping
        self._reached_the_end = reached_the_end
        self._is_closed = False

    def next_batch(self) -> Iterable[SourceBatch]:
        """The other's, cut where it ends."""
        if self._is_closed or self._stopping():
            raise StopIteration
        if self._last.position <= 0:  # nothing of it had been read
            return [self._finish(self._last)]
        out: list[SourceBatch] = []
        try:
            batches = self._part.next_batch()
        except StopIteration:
            batches = []
            if not self._stopping():
                self._fail()
        for batch in batches:
            if batch.position >= self._last.position:
                out.append(self._finish(batch))
                break
            if batch.ended:
                self._fail()
            out.append(batch)
        return out

    def next_awake(self) -> datetime | None:
        """The other's."""
        return None if self._is_closed else self._part.next_awake()

    def snapshot(self) -> None:
        """It is never resumed."""

    def close(self) -> None:
        """Close the other."""
        if not self._is_closed:
            self._is_closed = True
            self._part.close()

    def _finish(self, batch: SourceBatch) -> SourceBatch:
        last, read_us = self._last, self._last.read_us
        if batch.ended and batch.position == last.position and self._reached_the_end():
            read_us = batch.read_us
        kept = [message for message in batch.messages if message[0] < last.position]
        self.close()
        return msgspec.structs.replace(
            batch,
            messages=kept,
            check_ins=batch.check_ins[: len(kept)],
            untrue=[offset for offset in batch.untrue if offset < last.position],
            clock_after=last.clock_after,
            position=last.position,
            read_us=read_us,
            ended=True,
        )

    def _fail(self) -> None:
        raise LastingError(
            f"{self._name}: it ends before {self._last.position}, where the recovery store stands: what was read then "
            "is not there any more"
        )
