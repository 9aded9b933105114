"""The end of a bounded input, in pieces: sources end when all that they gave has been worked off.

The engine makes one call for each key group after the last source has ended, and everything that is left would have to
be done in it: days of misses, in memory, during which no stop is heard.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from dataflow.process.exit import FlowError
from dataflow.process.stopping import stopping
from dataflow.stream.batch import SourceBatch

FILE = "finished"
"""In the data folder: where the processes of a cluster tell each other which key groups are done."""
PAUSE = timedelta(milliseconds=2)
"""How long a source that has nothing more to give waits before it asks again."""
State = TypeVar("State")


class Finishing:
    """Which key groups have worked off everything after the inputs have ended.

    The processes of a cluster share a byte for each in a file, and one for a process that was stopped before.
    """

    def __init__(self, key_groups: int, shared: Path | None = None) -> None:
        """`shared`: the data folder, if there are other processes."""
        self._left = set(range(key_groups))
        self._marks = bytearray(key_groups + 1)
        self._path = shared / FILE if shared is not None else None
        self._is_stopped = False

    def begin(self) -> None:
        """A source is opened: what an earlier run left in the file holds no more."""
        if self._path is not None:
            self._write(0, bytes(len(self._marks)))

    def finished(self, group: int) -> None:
        """A key group has nothing left to do. Any thread may call it."""
        self._left.discard(group)
        if self._path is not None:
            self._write(group, b"\1")

    def stop(self) -> None:
        """A source ends before its input does: nobody waits any longer."""
        self._is_stopped = True
        if self._path is not None:
            self._write(len(self._marks) - 1, b"\1")

    def may_end(self) -> bool:
        """Whether a source whose input has ended may end, too."""
        if self._is_stopped or stopping() or not self._left:
            return True
        if self._path is None:
            return False
        try:
            marks = self._path.read_bytes()
        except OSError as error:
            raise FlowError(f"{self._path}: {error.strerror}") from None
        return marks[-1:] == b"\1" or marks.count(1, 0, len(self._marks) - 1) == len(self._marks) - 1

    def _write(self, at: int, marks: bytes) -> None:
        assert self._path is not None
        try:
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.pwrite(file, marks, at)
            finally:
                os.close(file)
        except OSError as error:
            raise FlowError(f"{self._path}: {error.strerror}") from None


class FinishingSource(FixedPartitionedSource[SourceBatch, State]):
    """Lets another source end once its input has been worked off."""

    def __init__(self, source: FixedPartitionedSource[SourceBatch, State], finishing: Finishing) -> None:
        self._source = source
        self._finishing = finishing

    def list_parts(self) -> list[str]:
        """The other source's."""
        return self._source.list_parts()

    def build_part(
        self, step_id: str, for_part: str, resume_state: State | None
    ) -> FinishingPartition[State]:
        """The other source's, kept open at its end."""
        self._finishing.begin()
        return FinishingPartition(self._source.build_part(step_id, for_part, resume_state), self._finishing)


class FinishingPartition(StatefulSourcePartition[SourceBatch, State]):
    """A partition that gives nothing after its last batch, and ends when all is done."""

    def __init__(self, part: StatefulSourcePartition[SourceBatch, State], finishing: Finishing) -> None:
        self._part = part
        self._finishing = finishing
        self._has_ended = False

    def next_batch(self) -> Iterable[SourceBatch]:
        """The partition's, and nothing after its end until all is done."""
        if self._has_ended:
            if self._finishing.may_end():
                raise StopIteration
            return []
        try:
            batches = list(self._part.next_batch())
        except StopIteration:
            self._finishing.stop()
            raise
        self._has_ended = bool(batches) and batches[-1].ended
        return batches

    def next_awake(self) -> datetime | None:
        """The partition's, or in a moment."""
        return datetime.now(UTC) + PAUSE if self._has_ended else self._part.next_awake()

    def snapshot(self) -> State:
        """The partition's."""
        return self._part.snapshot()

    def close(self) -> None:
        """The partition's."""
        self._part.close()
