"""Content encodings: a body back to what it was before it was compressed, in steps, and never beyond a bound."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator

import brotli
import zstandard

from cronwax.intake.outcome import Rejected

STEP_BYTES = 64 << 10
"""How much is decompressed at once, where the library takes a limit."""
_PLAIN = frozenset({"", "identity", "utf-8"})
"""Old SDKs for Ruby and Android send the last one, and mean nothing by it."""
_ZSTD_WINDOW_BYTES = 8 << 20
"""The largest window that a decompressor must have (RFC 8878, 3.1.1.1.2)."""

TOO_LARGE = "the body is too large when it is decompressed"
NOT_ENCODED = "body is not in its content-encoding"


def decoded(encoding: str, body: bytes, limit: int) -> bytes:
    """The body without its encoding, of at most `limit` bytes.

    Raises Rejected: 415 for an encoding that is not known, 400 for bytes that are not in it, 413 for too much.
    """
    name = encoding.strip().lower()
    if name in _PLAIN:
        if len(body) > limit:
            raise Rejected(413, TOO_LARGE)
        return body
    try:
        pieces = _ENCODINGS[name]
    except KeyError:
        raise Rejected(415, "unsupported content-encoding") from None
    out: list[bytes] = []
    size = 0
    try:
        for piece in pieces(body):
            size += len(piece)
            if size > limit:
                raise Rejected(413, TOO_LARGE)
            out.append(piece)
    except (zlib.error, zstandard.ZstdError, brotli.error, EOFError):
        raise Rejected(400, NOT_ENCODED) from None
    return b"".join(out)


def _zlib(wbits: int) -> Callable[[bytes], Iterator[bytes]]:
    def pieces(body: bytes) -> Iterator[bytes]:
        rest = body
        while True:
            decompressor = zlib.decompressobj(wbits)
            while not decompressor.eof:
                piece = decompressor.decompress(rest, STEP_BYTES)
                rest = decompressor.unconsumed_tail
                if not (piece or rest or decompressor.eof):
                    raise EOFError
                yield piece
            rest = decompressor.unused_data.lstrip(b"\0")
            if not rest:
                return
            if wbits != _GZIP:
                raise EOFError

    return pieces


def _brotli(body: bytes) -> Iterator[bytes]:
    decompressor = brotli.Decompressor()
    # The library gives up to a step's output at once if it is asked to; the bound is looked at between.
    piece = decompressor.process(body, output_buffer_limit=STEP_BYTES)
    yield piece
    while not decompressor.is_finished():
        if decompressor.can_accept_more_data():
            raise EOFError
        yield decompressor.process(b"", output_buffer_limit=STEP_BYTES)


def _zstd(body: bytes) -> Iterator[bytes]:
    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
    with decompressor.stream_reader(body) as reader:
        while piece := reader.read(STEP_BYTES):
            yield piece
    # The reader takes a torn frame for a whole one. By now it is known to be small enough to be looked at at once.
    whole = decompressor.decompressobj()
    whole.decompress(body)
    if not whole.eof:
        raise EOFError


_GZIP = 31
_ENCODINGS: dict[str, Callable[[bytes], Iterator[bytes]]] = {
    "gzip": _zlib(_GZIP),
    "x-gzip": _zlib(_GZIP),
    "deflate": _zlib(15),
    "br": _brotli,
    "zstd": _zstd,
}
