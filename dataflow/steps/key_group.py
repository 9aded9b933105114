"""The adapter between the engine and the rules: one key group of a stateful step."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from time import perf_counter
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import msgspec
from bytewax.operators import StatefulBatchLogic

from dataflow.operations.pauses import LEAST_SECONDS, goes_on, paused, snapshot_taken
from dataflow.process.exit import LastingError
from dataflow.steps.snapshot_blocks import Blocks, Key, Saved
from dataflow.stream.codecs import SnapshotCodec, SnapshotError

Input = TypeVar("Input", bound="Targeted")
Output = TypeVar("Output")
State = TypeVar("State")


class Targeted(Protocol):
    """What comes to a key group."""

    target: int
    """The key group."""


class KeyGroup(StatefulBatchLogic[Input, Output, bytes], Generic[Input, Output]):
    """One key group: applies chunks in order, never ends, and snapshots its state as one versioned `bytes`.

    Engine and step agree on order: chunks of one origin arrive as they were sent; what a call returns goes out in
    that order. A snapshot of a newer version is a LastingError rather than be misread.
    """

    CODEC: ClassVar[SnapshotCodec[Any]]
    """Of the step's snapshots."""

    @abstractmethod
    def apply(self, chunks: list[Input]) -> list[Output]:
        """Take chunks, in order, and say what comes of them."""

    @abstractmethod
    def state(self) -> Any:
        """The state, as msgspec can encode it. Called once at the end of an epoch."""

    def go_on(self) -> list[Output]:
        """Do another piece of what calls have left, as `notify_at` has asked for, and say what comes of it."""
        return []

    def on_batch(self, values: list[Input]) -> tuple[list[Output], bool]:
        """The engine's call."""
        goes_on()
        began = perf_counter()
        out = self.apply(values)
        self._took(perf_counter() - began)
        return out, StatefulBatchLogic.RETAIN

    def on_notify(self) -> tuple[list[Output], bool]:
        """The engine's call, soon after the time that `notify_at` gave."""
        goes_on()
        began = perf_counter()
        out = self.go_on()
        self._took(perf_counter() - began)
        return out, StatefulBatchLogic.RETAIN

    def _took(self, seconds: float) -> None:
        if seconds >= LEAST_SECONDS:
            paused(self.CODEC.step, seconds)

    def snapshot(self) -> bytes:
        """The engine's call, at the end of an epoch."""
        began = perf_counter()
        snapshot = self.CODEC.encode(self.state())
        snapshot_taken(began, perf_counter())
        return snapshot


def restored(codec: SnapshotCodec[State], snapshot: bytes | None) -> State | None:
    """The state in a snapshot, if there is one. Raises LastingError if it cannot be read."""
    try:
        return codec.decode(snapshot) if snapshot is not None else None
    except SnapshotError as error:
        raise LastingError(str(error)) from None


def restored_blocks(
    codec: SnapshotCodec[Any],
    blocks: Blocks[Key],
    saved: Saved,
    decode: Callable[[bytes], Any],
    key_of: Callable[[Any], Key],
    join: Callable[[Any, Any], Any] | None = None,
) -> list[Any]:
    """What `Blocks.restore` reads. Raises LastingError if it cannot be read."""
    try:
        return blocks.restore(saved, decode, key_of, join)
    except (msgspec.DecodeError, ValueError) as error:
        raise LastingError(str(codec.unreadable(error))) from None
