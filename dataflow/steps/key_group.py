"""The adapter between the engine and the rules: one key group of a stateful step."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Generic, Protocol, TypeVar

import msgspec
from bytewax.operators import StatefulBatchLogic

from dataflow.process.exit import LastingError
from dataflow.steps.snapshot_blocks import Blocks, Key, decoder

Input = TypeVar("Input", bound="Targeted")
Output = TypeVar("Output")


class Targeted(Protocol):
    """What comes to a key group."""

    target: int
    """The key group."""


class SnapshotVersionError(Exception):
    """A snapshot was made by a newer release."""


class KeyGroup(StatefulBatchLogic[Input, Output, bytes], Generic[Input, Output]):
    """One key group: applies chunks in order, never ends, and snapshots its state as one versioned `bytes`.

    Engine and step agree on order: chunks of one origin arrive as they were sent; what a call returns goes out in
    that order. A snapshot of a newer version is a LastingError rather than be misread.
    """

    VERSION = 1
    """Of the snapshot's layout. A newer release reads older ones; an older one refuses."""

    @abstractmethod
    def apply(self, chunks: list[Input]) -> list[Output]:
        """Take chunks, in order, and say what comes of them."""

    @abstractmethod
    def state(self) -> Any:
        """The state, as msgspec can encode it. Called once at the end of an epoch."""

    def on_batch(self, values: list[Input]) -> tuple[list[Output], bool]:
        """The engine's call."""
        return self.apply(values), StatefulBatchLogic.RETAIN

    def snapshot(self) -> bytes:
        """The engine's call, at the end of an epoch."""
        return msgspec.msgpack.encode((self.VERSION, self.state()))


def read_blocks(step: str, blocks: Blocks[Key], saved: list[bytes], layout: Any, key_of: Any) -> Any:
    """What `Blocks.restore` reads; raises LastingError if it cannot be read."""
    try:
        return blocks.restore(saved, layout, key_of)
    except (msgspec.DecodeError, ValueError) as error:
        raise LastingError(_unreadable(step, error)) from None


def _unreadable(step: str, error: Exception) -> str:
    return f"the recovery store holds a snapshot of step {step} that cannot be read: {error}"


def read_snapshot(step: str, version: int, snapshot: bytes, layout: Any) -> Any:
    """Decode what `KeyGroup.snapshot` made; raises LastingError if it cannot be read."""
    try:
        written, raw = decoder(tuple[int, msgspec.Raw])(snapshot)
        if written > version:
            raise LastingError(
                f"the recovery store holds a snapshot of step {step} in version {written}; this release reads "
                f"up to {version}. Run the release that wrote it, or a newer one."
            )
        return decoder(layout)(raw)
    except (msgspec.DecodeError, ValueError) as error:
        raise LastingError(_unreadable(step, error)) from None
