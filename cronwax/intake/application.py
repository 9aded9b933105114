"""The intake as a bare ASGI application: reads a request within its bounds, makes it safe, answers."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

import msgspec

from cronwax.intake.acknowledge import HTML, Acknowledging, path_of_link
from cronwax.intake.commit import NotTaken
from cronwax.intake.counts import Counts
from cronwax.intake.lines import Entry, entries_of
from cronwax.intake.outcome import JSON, PLAIN, Outcome
from cronwax.intake.projects import Projects
from cronwax.intake.routes import Request, handle, segments_of, wants_body
from dataflow.process.log import warn

MAX_BODY_BYTES = 1 << 20
"""Of a body as it comes, compressed."""
MAX_PATH_BYTES = 8 << 10
"""Of path and query together."""
MAX_HEADERS = 100
MAX_HEADER_BYTES = 32 << 10
BODY_SECONDS = 30.0
"""Within which a body has to be there."""
_CORS_HEADERS = (
    b"x-sentry-auth, x-requested-with, x-forwarded-for, origin, referer, accept, content-type, authentication, "
    b"authorization, content-encoding, transfer-encoding"
)
_PREFLIGHT = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"POST"),
    (b"access-control-allow-headers", _CORS_HEADERS),
    (b"access-control-max-age", b"3600"),
]
_ANY_ORIGIN = (b"access-control-allow-origin", b"*")
_EXPOSED = (b"access-control-expose-headers", b"x-sentry-error, x-sentry-rate-limits, retry-after")
_SHOWN_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]


class Safe(Protocol):
    """Where check-ins become safe (the log, or the log and Kafka)."""

    partitions: int

    async def add(self, entries: list[Entry]) -> object:
        """Return once these are safe. Raises NotTaken, within a second."""

    def not_ready(self) -> str | None:
        """Why check-ins cannot be taken as they should be; None: they can."""


class _Refused(Exception):  # noqa: N818 - an answer
    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Application:
    """The ASGI application. Whatever comes, its answer is not a 500, and it is there within a second of the request."""

    def __init__(
        self,
        safe: Safe,
        projects: Callable[[], Projects],
        root_path: str = "",
        now_s: Callable[[], float] = time.time,
        acknowledging: Acknowledging | None = None,
    ) -> None:
        self._safe = safe
        self._projects = projects
        self._root_path = root_path
        self._now_s = now_s
        self._acknowledging = acknowledging
        self.counts = Counts()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        began = time.monotonic()
        status, body, content_type = 503, b'{"detail":"the intake has a fault"}', JSON
        is_whole = False
        try:
            path = self._path(scope)
            if path in _SHOWN_PATHS:
                status, body, content_type = self._show(path)
                is_whole = True
            elif scope["method"] == "OPTIONS":
                await _answer(send, 200, b"", PLAIN, True, _PREFLIGHT)
                return
            elif self._acknowledging is not None and (parts := path_of_link(path)):
                status, body = await self._acknowledge(self._acknowledging, scope, parts, receive)
                content_type, is_whole = HTML, True
            else:
                outcome, is_whole = await self._take(scope, path, receive)
                status, body, content_type = outcome.status, outcome.body, outcome.content_type
        except _Refused as refusal:
            status, body = refusal.status, _detail(str(refusal))
            self.counts.drop("request", str(refusal))
        except NotTaken as reason:
            status, body, is_whole = 503, _detail(f"not taken: {reason}"), True
        except _Disconnected:
            return
        except Exception:
            # A fault of ours must not look like one of the client's, and 503 is what clients repeat.
            warn("intake_fault", text=traceback.format_exc())
        self.counts.answered(status, time.monotonic() - began)
        await _answer(send, status, body, content_type, is_whole, [_ANY_ORIGIN, _EXPOSED])

    def _path(self, scope: Scope) -> str:
        raw: bytes = scope["raw_path"]
        query: bytes = scope["query_string"]
        if len(raw) + len(query) > MAX_PATH_BYTES:
            raise _Refused(414, "the address is too long")
        path = raw.decode("ascii", "replace")
        if self._root_path and path.startswith(f"{self._root_path}/"):
            path = path[len(self._root_path) :]
        return path

    async def _take(self, scope: Scope, path: str, receive: Receive) -> tuple[Outcome, bool]:
        """What becomes of the request, once it is safe; and whether all of it was read."""
        headers = _headers(scope["headers"])
        method: str = scope["method"]
        keeps = wants_body(method, segments_of(path), headers.get("content-type", ""))
        body = await _body(receive, headers, keeps)
        start_time = int(self._now_s())
        query = scope["query_string"].decode("latin-1")
        outcome = handle(Request(method, path, query, headers, body, start_time), self._projects())
        for drop in outcome.drops:
            self.counts.drop(drop.item, drop.reason)
        await self._safe.add(entries_of(outcome, start_time, self._safe.partitions))
        self.counts.check_ins += len(outcome.messages)
        return outcome, True

    @staticmethod
    async def _acknowledge(
        acknowledging: Acknowledging, scope: Scope, parts: list[str], receive: Receive
    ) -> tuple[int, bytes]:
        method: str = scope["method"]
        body = await _body(receive, _headers(scope["headers"]), method == "POST")
        answer = await acknowledging.take(method, parts, body)
        return answer.status, b"" if method == "HEAD" else answer.body

    def _show(self, path: str) -> tuple[int, bytes, bytes]:
        if path == "/metrics":
            return 200, self.counts.exposition(), PLAIN
        if path == "/healthz":
            return 200, b"ok\n", PLAIN
        reason = self._safe.not_ready()
        return (200, b"ready\n", PLAIN) if reason is None else (503, f"{reason}\n".encode(), PLAIN)


class _Disconnected(Exception):  # noqa: N818 - an event
    pass


def _headers(raw: list[tuple[bytes, bytes]]) -> dict[str, str]:
    if len(raw) > MAX_HEADERS or sum(len(name) + len(value) for name, value in raw) > MAX_HEADER_BYTES:
        raise _Refused(431, "too many headers")
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in raw}


async def _body(receive: Receive, headers: dict[str, str], keeps: bool) -> bytes:
    """The body, if it is wanted; read to its end in any case."""
    length = headers.get("content-length", "")
    if keeps and length.isdigit() and (len(length) > 12 or int(length) > MAX_BODY_BYTES):
        raise _Refused(413, "the body is too large")
    event = await receive() if length == "0" else await _event(receive)
    if not event.get("more_body"):
        # Nearly every request is in one piece.
        body: bytes = event.get("body", b"")
        if event["type"] == "http.disconnect":
            raise _Disconnected
        return _bounded(body) if keeps else b""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _pieces(receive, event, keeps)
    except TimeoutError:
        raise _Refused(408, "the body did not come in time") from None


async def _event(receive: Receive) -> Event:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await receive()
    except TimeoutError:
        raise _Refused(408, "the body did not come in time") from None


async def _pieces(receive: Receive, event: Event, keeps: bool) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while True:
        if event["type"] == "http.disconnect":
            raise _Disconnected
        if keeps:
            pieces.append(event.get("body", b""))
            size += len(pieces[-1])
            if size > MAX_BODY_BYTES:
                raise _Refused(413, "the body is too large")
        if not event.get("more_body"):
            return b"".join(pieces)
        event = await receive()


def _bounded(body: bytes) -> bytes:
    if len(body) > MAX_BODY_BYTES:
        raise _Refused(413, "the body is too large")
    return body


def _detail(reason: str) -> bytes:
    return msgspec.json.encode({"detail": reason})


async def _answer(
    send: Send,
    status: int,
    body: bytes,
    content_type: bytes,
    is_whole: bool,
    more: list[tuple[bytes, bytes]],
) -> None:
    headers = [(b"content-length", b"%d" % len(body)), *more]
    if body:
        headers.append((b"content-type", content_type))
    if not is_whole:  # the rest of the request is not wanted
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
