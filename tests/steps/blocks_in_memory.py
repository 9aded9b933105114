"""Blocks that are kept beside snapshots, in memory instead of a recovery store."""

from __future__ import annotations

from collections.abc import Iterable

from dataflow.stream.items import BlockWrite


class MemoryBlocks:
    """The blocks as the engine would keep them."""

    def __init__(self, execution: int = 0) -> None:
        self.execution = execution
        self.data: dict[str, bytes] = {}
        self.free: set[str] = set()
        """Keys whose blocks no snapshot names that is gone on from."""
        self.seen: set[str] = set()

    def take(self, writes: Iterable[BlockWrite]) -> None:
        """As the step of blocks would."""
        for write in writes:
            self.seen.add(write.key)
            if not write.data:
                self.data.pop(write.key, None)
            else:
                assert write.key not in self.data or write.key in self.free, "its block may still be needed"
                self.data[write.key] = write.data

    def read(self, key: str) -> bytes:
        if key not in self.data:
            raise ValueError(f"block {key} is not there")
        return self.data[key]

    def keys(self, place: str) -> list[str]:
        return sorted(key for key in self.data if key.startswith(f"{place}/"))

    def release(self) -> None:
        """Nothing is dropped: tests read it again."""
