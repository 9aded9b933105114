"""What a source of messages promises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol


class Batch(NamedTuple):
    """Messages in their order, and where reading goes on after them."""

    messages: list[bytes]
    positions: dict[str, str]
    """By part of the input; only those that have changed."""
    is_caught_up: bool = True
    """All that was there when reading began has been read."""
    has_begun_again: bool = False
    """The input is another one than before: it is read from its beginning, these messages included."""


class Source(Protocol):
    """Reads messages from positions that somebody else keeps."""

    def start(self, positions: Mapping[str, str]) -> bool:
        """Go on from there, or, if none of them is of this source, from the beginning; whether it goes on. What there
        is now is what `is_caught_up` means."""

    def positions(self) -> dict[str, str]:
        """Where reading goes on, by part of the input: all of them."""

    def read(self, limit: int, wait_seconds: float) -> Batch:
        """The next messages, at most so many; waits a little while there are none. Raises FlowError."""

    def close(self) -> None:
        """Stop reading."""
