"""What every source emits."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import msgspec

from dataflow.monitors.check_in import NO_MINUTE, CheckIn
from dataflow.monitors.times import NO_TIME
from dataflow.stream.codecs import Sent, sent


class Format(IntEnum):
    """How the messages of a batch are encoded."""

    LINES = 0
    """JSON Lines: {"ts": ..., "message": ...} or {"ts": ..., "control": ...}."""
    MSGPACK = 1
    """The wire format of `ingest-monitors`."""
    CONTROLS = 2
    """Controls as JSON objects."""


Message = tuple[int, int | None, bytes]
"""Offset, broker's timestamp in µs or None if it has none that can be read, the message."""


@sent
class SourceBatch(Sent, array_like=True):
    """Messages of one source partition, in order."""

    origin: int
    """The partition's index among all partitions of the flow: one of the event clock's inputs. Partitions that are
    none of them (controls) have -1, -2 and so on."""
    topic: str
    partition: int
    format: int
    """A `Format`."""
    clock_before: int
    """The partition's clock before the first message: the minute of its newest broker timestamp less the clock's delay;
    NO_MINUTE if it had none."""
    messages: list[Message]
    clock_after: int = NO_MINUTE
    """The partition's clock behind the last message. Further than the messages say when the partition is idle."""
    position: int = 0
    """The offset that is read next."""
    ended: bool = False
    """Nothing will ever come any more; the clock stays, or no longer counts if there never was one."""
    check_ins: list[CheckIn | None] = msgspec.field(default_factory=list)
    """With `LINES`: the check-in in each message, if the source has read it. Empty: it has read none."""
    read_us: int = NO_TIME
    """Nothing earlier than this comes from the partition any more, if that is further than the newest message says;
    FOREVER: nothing comes."""
    untrue: list[int] = msgspec.field(default_factory=list)
    """The offsets of messages whose own time cannot be true: the one given here stands for it."""

    def __reduce__(self) -> tuple[Any, ...]:
        if self.check_ins:
            return msgspec.structs.replace(self, check_ins=[]).__reduce__()
        return super().__reduce__()
