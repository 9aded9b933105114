"""How state and items become bytes and come back: the only place where msgspec's decoders of msgpack are made.

They are made at import. msgspec looks through a structure's fields when its first decoder is made, and two workers'
threads that do so at once end the process with a segmentation fault.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

State = TypeVar("State")
Kind = TypeVar("Kind", bound=type[Any])

_encode = msgspec.msgpack.Encoder().encode
_decoders: dict[str, Callable[[bytes], Any]] = {}
"""By the name of a kind of item."""
_versioned = msgspec.msgpack.Decoder(tuple[int, msgspec.Raw]).decode


class SnapshotError(Exception):
    """A snapshot cannot be read; the text says why."""


class Sent(msgspec.Struct, array_like=True):
    """What the engine pickles when it crosses from one process to another: one `bytes`, made by msgspec.

    Each kind is registered by the decorator `sent`.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return _decode_sent, (type(self).__name__, _encode(self))


def sent(kind: Kind) -> Kind:
    """Make the decoder of a subclass of Sent."""
    _decoders[kind.__name__] = msgspec.msgpack.Decoder(kind).decode
    return kind


def _decode_sent(kind: str, data: bytes) -> Any:  # by its name for pickle: a decoder's method has none
    return _decoders[kind](data)


def block_decoder(layout: Any) -> Callable[[bytes], Any]:
    """What decodes the blocks of a snapshot (see `steps.snapshot_blocks`). Call it at import only."""
    return msgspec.msgpack.Decoder(layout).decode


class SnapshotCodec(Generic[State]):
    """The snapshots of one step: its state with the version of the layout. Make it at import only."""

    def __init__(self, step: str, version: int, layout: type[State]) -> None:
        """`version`: of the layout. A newer release reads older ones; an older one refuses."""
        self.step = step
        self.version = version
        self.layout = layout
        self._decode = msgspec.msgpack.Decoder(layout).decode

    def encode(self, state: State) -> bytes:
        """A snapshot of the state."""
        return _encode((self.version, state))

    def decode(self, snapshot: bytes) -> State:
        """The state in a snapshot. Raises SnapshotError if a newer release wrote it, or it cannot be read."""
        try:
            written, raw = _versioned(snapshot)
            if written > self.version:
                raise SnapshotError(
                    f"the recovery store holds a snapshot of step {self.step} in version {written}; this release "
                    f"reads up to {self.version}. Run the release that wrote it, or a newer one."
                )
            return self._decode(raw)
        except (msgspec.DecodeError, ValueError) as error:
            raise self.unreadable(error) from None

    def unreadable(self, error: Exception) -> SnapshotError:
        """That a snapshot, or a part of it, cannot be read."""
        return SnapshotError(
            f"the recovery store holds a snapshot of step {self.step} that cannot be read: {error}"
        )
