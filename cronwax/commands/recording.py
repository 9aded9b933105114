"""Recorded input to letters: JSON Lines in the file format (SPEC, section 2), and dead letters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from cronwax.commands.arguments import ToolError
from cronwax.commands.outgoing import Letter, control, packed_check_in
from dataflow.wire.timestamps import read_ts


class _DeadLetter(msgspec.Struct):
    topic: str
    partition: Annotated[int, msgspec.Meta(ge=0)]
    payload: str | UnsetType = UNSET
    payload_base64: bytes | UnsetType = UNSET


class _Line(msgspec.Struct):
    message: dict[str, Raw] | UnsetType = UNSET
    control: dict[str, Any] | UnsetType = UNSET


_line = msgspec.json.Decoder(_Line).decode
_dead_letter = msgspec.json.Decoder(_DeadLetter).decode
_text = msgspec.json.Decoder(str).decode
_value = msgspec.json.Decoder().decode


def read_recording(lines: Iterable[bytes]) -> Iterator[tuple[int, Letter]]:
    """Letters in order, each with its broker timestamp in µs.

    A check-in goes out as it was recorded, valid or not. Raises ToolError for a line that is not a message, or a
    control that the flow would reject; it names the line.
    """
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        at_us = read_ts(line)
        if at_us is None:
            raise ToolError(f"line {number}: not a JSON object with a time in ts")
        try:
            yield at_us, _letter(_line(line))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ToolError(f"line {number}: {error}") from None
        except ToolError as error:
            raise ToolError(f"line {number}: {error}") from None


def read_dead_letters(lines: Iterable[bytes], topics: Sequence[str]) -> Iterator[Letter]:
    """The original bytes of dead letters (as `cronwax tail --dead-letters --json` shows them), for the partitions
    that they came from.

    `topics` are those of check-ins and of controls. Raises ToolError for a line that is not a dead letter of theirs;
    it names the line.
    """
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found = _dead_letter(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ToolError(f"line {number}: {error}") from None
        if found.topic not in topics:
            raise ToolError(
                f"line {number}: came from {found.topic}, which is not one of {', '.join(topics)}"
            )
        if not isinstance(found.payload_base64, UnsetType):
            value = found.payload_base64
        elif not isinstance(found.payload, UnsetType):
            value = found.payload.encode()
        else:
            raise ToolError(f"line {number}: neither payload nor payload_base64")
        yield Letter("dead letter", found.topic == topics[1], None, value, found.partition)


def _letter(line: _Line) -> Letter:
    if isinstance(line.control, dict):
        return control(line.control)
    if isinstance(line.message, dict):
        message: dict[str, Any] = {
            name: _value(raw) for name, raw in line.message.items() if name != "payload"
        }
        if "payload" in line.message:
            raw = bytes(line.message["payload"])
            message["payload"] = _text(raw).encode() if raw[:1] == b'"' else raw
        return packed_check_in(message)
    raise ToolError("neither message nor control")
