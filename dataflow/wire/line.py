"""A line of a file: broker's time, and a message or a control (SPEC, section 2)."""

from __future__ import annotations

from datetime import datetime

import msgspec
from msgspec import UNSET, Raw, UnsetType

from dataflow.monitors.check_in import CheckIn, source_of
from dataflow.monitors.fields import MAX_PROJECT_ID
from dataflow.monitors.times import Minute
from dataflow.wire.check_ins import CheckInDecoder, LineMessage, LinePulse, Wrapper, read_fields
from dataflow.wire.timestamps import LATEST_S, read_ts, time_of


class Line(msgspec.Struct, gc=False):
    """A line, decoded as far as its message or control."""

    message: Wrapper | UnsetType = UNSET
    control: Raw | UnsetType = UNSET


class StampedLine(msgspec.Struct, gc=False):
    """A line that is as usual, decoded to the payload's fields."""

    ts: datetime | int | float
    message: LineMessage | LinePulse | UnsetType = UNSET
    control: Raw | UnsetType = UNSET


_stamped = msgspec.json.Decoder(StampedLine).decode
decode_line = msgspec.json.Decoder(Line).decode
"""Bytes to Line, whatever its time. Raises msgspec.DecodeError, UnicodeDecodeError, RecursionError."""


class LineDecoder:
    """Reads the lines of one file as far as they are what most lines are: check-ins with a time."""

    def __init__(self, check_ins: CheckInDecoder, topic: str, partition: int) -> None:
        self._made = check_ins.made
        self._topic = topic
        self._partition = partition
        self._source = source_of(topic, partition)

    def read(self, line: bytes, offset: int, clock_minute: Minute) -> tuple[int | None, CheckIn | None]:
        """The time of a line (see `read_ts`), and the check-in in it, which comes at this clock of its partition.

        None is for others to look into: a control, a clock pulse, or whatever is wrong. Time and check-in are
        wanted at different places, but looking through a line once costs half of looking twice.
        """
        try:
            stamped = _stamped(line)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return read_ts(line), None
        ts = stamped.ts
        # The usual one is not worth another call.
        received_us = round(ts * 1e6) if type(ts) is float and 0 <= ts < LATEST_S else time_of(ts)
        message = stamped.message
        if received_us is None or type(message) is not LineMessage:
            return received_us, None
        fields = read_fields(message.payload)
        if fields is None or message.project_id > MAX_PROJECT_ID:
            return received_us, None
        return received_us, self._made(
            message.project_id,
            fields,
            message.start_time,
            message.sdk,
            received_us,
            clock_minute,
            self._topic,
            self._partition,
            offset,
            self._source,
            line,
            True,
        )
