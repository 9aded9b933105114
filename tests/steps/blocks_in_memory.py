"""Blocks that are kept beside snapshots, in memory instead of a recovery store."""

from __future__ import annotations

from collections.abc import Iterable

from dataflow.stream.items import BlockWrite


class MemoryBlocks:
    """What was handed over and not thrown away."""

    def __init__(self, execution: int = 0) -> None:
        self.execution = execution
        self.data: dict[str, bytes] = {}

    def take(self, writes: Iterable[BlockWrite]) -> None:
        """As the step of blocks would."""
        for write in writes:
            if write.data is None:
                self.data.pop(write.name, None)
            else:
                assert write.name not in self.data, "a name is given once"
                self.data[write.name] = write.data

    def read(self, name: str) -> bytes:
        if name not in self.data:
            raise ValueError(f"block {name} is not there")
        return self.data[name]

    def names(self, place: str) -> list[str]:
        return sorted(name for name in self.data if name.startswith(f"{place}/"))

    def release(self) -> None:
        """Nothing is dropped: tests read it again."""
