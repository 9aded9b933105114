"""JSON Lines files as a sink: messages and dead letters, one JSON object a line."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from dataflow.process.exit import FlowError, LastingError
from dataflow.stream.items import DeadLetter, Message

X = TypeVar("X")

_BUFFER_BYTES = 1 << 20
_SEPARATORS = tuple(
    (character.encode(), f"\\u{ord(character):04x}".encode()) for character in "\x85\u2028\u2029"
)


class LinesSink(FixedPartitionedSink[X, int], Generic[X]):
    """Appends items to one file, each item once.

    Its state is the file's size. What is behind that size was written by an epoch that did not come to its
    snapshot (without a state: by any run before), and the flow sends it again: an item whose identity is
    found there is skipped. So neither a crash nor a replay writes a line twice, and none is lost. A torn
    last line is cut off.

    `encode` makes an item's line, without newline; `identify` says what an item is about, `identify_line`
    the same from its line as an object (KeyError: the line is none of ours).
    """

    def __init__(
        self,
        path: Path,
        encode: Callable[[X], bytes],
        identify: Callable[[X], str],
        identify_line: Callable[[dict[str, Any]], str],
    ) -> None:
        self._path = path
        self._encode = encode
        self._identify = identify
        self._identify_line = identify_line

    def list_parts(self) -> list[str]:
        """The one partition: one writer for one file."""
        return ["0"]

    def part_fn(self, item_key: str) -> int:
        """Every key goes there."""
        return 0

    def build_part(self, step_id: str, for_part: str, resume_state: int | None) -> LinesPartition[X]:
        """Open the file where the state says; raises FlowError if it cannot be used."""
        return LinesPartition(
            self._path, self._encode, self._identify, self._identify_line, resume_state or 0
        )


class LinesPartition(StatefulSinkPartition[X, int], Generic[X]):
    """The file, open for appending. Errors of the file system are FlowErrors."""

    def __init__(
        self,
        path: Path,
        encode: Callable[[X], bytes],
        identify: Callable[[X], str],
        identify_line: Callable[[dict[str, Any]], str],
        size: int,
    ) -> None:
        self._path = path
        self._encode = encode
        self._identify = identify
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(path, "a+b", _BUFFER_BYTES, opener=_create)  # noqa: SIM115 - until close()
            self._known = self._read_known(identify_line, size)
        except OSError as error:
            raise FlowError(f"{path}: {error.strerror}") from None

    def write_batch(self, values: list[X]) -> None:
        """Append the items that are not there yet."""
        if self._known:
            values = [value for value in values if _digest(self._identify(value)) not in self._known]
        try:
            self._file.writelines(_one_line(self._encode(value)) for value in values)
        except OSError as error:
            raise FlowError(f"{self._path}: {error.strerror}") from None

    def snapshot(self) -> int:
        """Bring everything to the disk. Returns the file's size in bytes."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            return self._file.tell()
        except OSError as error:
            raise FlowError(f"{self._path}: {error.strerror}") from None

    def close(self) -> None:
        """Write what is left and close."""
        try:
            self._file.close()
        except OSError as error:
            raise FlowError(f"{self._path}: {error.strerror}") from None

    def _read_known(self, identify_line: Callable[[dict[str, Any]], str], size: int) -> set[bytes]:
        """The identities behind `size`; leaves the file at its end, which is a line's end."""
        if self._file.seek(0, os.SEEK_END) < size:
            raise LastingError(
                f"{self._path}: shorter than what was written to it before; put it back or start afresh"
            )
        self._file.seek(max(0, size - 1))
        if size and self._file.read(1) != b"\n":
            raise LastingError(
                f"{self._path}: not the file that was written before: no line ends where writing stopped"
            )
        known = set()
        for line in self._file:
            if not line.endswith(b"\n"):
                self._file.truncate(self._file.seek(0, os.SEEK_END) - len(line))
                break
            if (identity := _identity(line, identify_line)) is not None:
                known.add(_digest(identity))
        self._file.seek(0, os.SEEK_END)
        return known


def occurrences_sink(path: Path) -> LinesSink[Message]:
    """Messages, each as its JSON payload."""
    return LinesSink(path, _message_line, lambda message: message.id, lambda line: str(line["id"]))


def dead_letters_sink(path: Path) -> LinesSink[DeadLetter]:
    """Dead letters as {"topic", "partition", "offset", "reason", "payload"}; bytes that are not UTF-8 are in
    "payload_base64" instead."""
    return LinesSink(
        path,
        dead_letter_line,
        lambda letter: f"{letter.topic}/{letter.partition}/{letter.offset}",
        lambda line: f"{line['topic']}/{line['partition']}/{line['offset']}",
    )


def dead_letter_line(letter: DeadLetter) -> bytes:
    """A dead letter as JSON on one line."""
    line: dict[str, Any] = {
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "reason": letter.reason,
    }
    try:
        line["payload"] = letter.original.decode()
    except UnicodeDecodeError:
        line["payload_base64"] = b64encode(letter.original).decode()
    return msgspec.json.encode(line)


def _one_line(text: bytes) -> bytes:
    """JSON and a newline, without what some readers take for the end of a line too: it stands in strings only."""
    if not text.isascii():  # as hardly any is
        for character, escaped in _SEPARATORS:
            text = text.replace(character, escaped)
    return text + b"\n"


def _message_line(message: Message) -> bytes:
    # JSON holds line breaks between its tokens only, where a space means the same.
    return message.payload.replace(b"\n", b" ").replace(b"\r", b" ")


def _identity(line: bytes, identify_line: Callable[[dict[str, Any]], str]) -> str | None:
    try:
        return identify_line(_decode_object(line))
    except (msgspec.DecodeError, KeyError):
        return None


def _digest(identity: str) -> bytes:
    return blake2b(identity.encode(), digest_size=16).digest()


def _create(path: str, flags: int) -> int:
    return os.open(path, flags, 0o644)


_decode_object = msgspec.json.Decoder(dict[str, Any]).decode
