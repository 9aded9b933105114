"""Blocks: parts of the snapshots of other steps, each under a key of its own.

The engine writes a key's state only in an epoch in which something came for it. A block comes once; when it is needed
no longer, another one takes its key.
"""

from __future__ import annotations

from bytewax.operators import StatefulBatchLogic

from dataflow.stream.items import BlockWrite

STEP = "blocks"


class KeptBlock(StatefulBatchLogic[BlockWrite, BlockWrite, bytes]):
    """One block. Its step's snapshot names it; it is read at the start (`process.stored_blocks`)."""

    def __init__(self, snapshot: bytes | None) -> None:
        self._data = snapshot or b""

    def on_batch(self, values: list[BlockWrite]) -> tuple[list[BlockWrite], bool]:
        """Keep the newest block, or give up the key."""
        data = values[-1].data
        if data is None:
            return [], StatefulBatchLogic.DISCARD
        self._data = data
        return [], StatefulBatchLogic.RETAIN

    def snapshot(self) -> bytes:
        """The block."""
        return self._data
