"""Sends HTTP requests at a steady rate, or as fast as they are answered, and measures the answers. Its own process:
`python -m benchmarks.http_load`, with a job as JSON on stdin and figures as JSON on stdout."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from base64 import b64decode
from typing import Any

import uvloop


class _Client(asyncio.Protocol):
    """One connection that is kept alive: a request, its answer, the next request."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.answer: asyncio.Future[bytes] | None = None
        self._data = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        head = self._data.find(b"\r\n\r\n")
        if head < 0:
            return
        at = self._data.lower().find(b"content-length:")
        length = int(self._data[at + 15 : self._data.find(b"\r", at)]) if 0 <= at < head else 0
        if len(self._data) >= head + 4 + length and self.answer is not None:
            answer, self.answer, data, self._data = self.answer, None, self._data, b""
            answer.set_result(data)

    def connection_lost(self, _: Exception | None) -> None:
        if self.answer is not None:
            self.answer.set_exception(ConnectionError("closed"))

    async def ask(self, request: bytes) -> bytes:
        self.answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self.answer


async def _load(job: dict[str, Any]) -> dict[str, Any]:
    """`requests` in turn, over `connections`, for `seconds`: `rate` a second, or (0) as many as are answered."""
    loop = asyncio.get_running_loop()
    requests = [b64decode(each) for each in job["requests"]]
    clients = [
        (await loop.create_connection(_Client, job["host"], job["port"]))[1]
        for _ in range(job["connections"])
    ]
    ms: list[float] = []
    statuses: dict[str, int] = {}
    began = loop.time() + 0.1
    until, rate, count = began + job["seconds"], job["rate"], 0

    async def send(client: _Client, due: float) -> None:
        nonlocal count
        request = requests[count % len(requests)]
        count += 1
        answer = await client.ask(request)
        ms.append((time.monotonic() - due) * 1000)
        status = answer[9:12].decode()
        statuses[status] = statuses.get(status, 0) + 1

    async def worker(number: int, client: _Client) -> None:
        step = len(clients) / rate if rate else 0.0
        due = began + (step * number / len(clients) if rate else 0.0)
        await asyncio.sleep(max(0.0, due - loop.time()))
        while due < until and loop.time() < until + 5:
            await send(client, due)
            due = due + step if rate else loop.time()
            if (pause := due - loop.time()) > 0:
                await asyncio.sleep(pause)

    await asyncio.gather(*(worker(number, client) for number, client in enumerate(clients)))
    elapsed = loop.time() - began
    for client in clients:
        client.transport.close()
    ms.sort()

    def at(share: float) -> float:
        return round(ms[min(len(ms) - 1, int(share * len(ms)))], 2)

    return {
        "a_second": round(len(ms) / elapsed),
        "p50_ms": at(0.5),
        "p99_ms": at(0.99),
        "max_ms": round(ms[-1], 2),
        "refused": sum(count for status, count in statuses.items() if not status.startswith("2")),
    }


if __name__ == "__main__":
    json.dump(uvloop.run(_load(json.load(sys.stdin))), sys.stdout)
