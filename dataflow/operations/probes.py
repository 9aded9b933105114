"""Probes of a running process over HTTP, answered by a thread of their own: /healthz, /readyz and /metrics."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

from dataflow.operations.vitals import SECOND_US, Vitals
from dataflow.process.exit import StartError
from dataflow.process.stopping import has_ended_epoch, stopping
from dataflow.process.wall_clock import wall_clock_us

_REQUEST_SECONDS = 5.0
"""A client that is slower than this is dropped."""


class Probes:
    """What a process says of itself. It needs nothing of the flow's but its signs of life, so a flow that hangs in
    a call of a broker's, a disk's or a database's is answered for.

    1. Healthy: the engine asks its sources, no sink owes its output for longer than the limit, and the data folder is
       the one that was there at the start. Where not, a restart may help.
    2. Ready: healthy, an epoch has ended, not stopping, and every clock within the limit. Where not, misses are
       noticed late; a restart does not help.
    """

    def __init__(
        self,
        vitals: Vitals,
        limit_seconds: float,
        data_dir: Path,
        is_stopping: Callable[[], bool] = stopping,
        has_begun: Callable[[], bool] = has_ended_epoch,
    ) -> None:
        """`limit_seconds` is CRONWAX_STALL_SECONDS."""
        self._vitals = vitals
        self._limit_us = int(limit_seconds * SECOND_US)
        self._data_dir = data_dir
        self._folder = _identity(data_dir)
        self._is_stopping = is_stopping
        self._has_begun = has_begun

    def unhealthy(self, now_us: int) -> list[str]:
        """Why this process should be started again; nothing if all is well, or it has only begun."""
        problems = []
        asked_us = self._vitals.last_asked_us()
        if asked_us is not None and not self._is_stopping() and now_us - asked_us > self._limit_us:
            problems.append(f"no input has been asked for {_seconds(now_us - asked_us)}")
        for sign in self._vitals.signs(now_us):
            if sign.kind == "sink" and sign.age_us > self._limit_us:
                problems.append(f"{sign.subject} has owed its output for {_seconds(sign.age_us)}")
        if _identity(self._data_dir) != self._folder:
            problems.append(f"{self._data_dir} is not the folder that was there at the start")
        return problems

    def unready(self, now_us: int) -> list[str]:
        """Why nobody should rely on this process now."""
        problems = self.unhealthy(now_us)
        signs = self._vitals.signs(now_us)
        if self._is_stopping():
            problems.append("it is stopping")
        if not self._has_begun():
            problems.append("no epoch has ended yet")
        for sign in signs:
            if sign.kind == "sink":
                continue
            if sign.age_us > self._limit_us:
                problems.append(f"{sign.subject} is {_seconds(sign.age_us)} behind")
            elif not sign.is_certain:
                problems.append(f"{sign.subject} has no clock yet")
        return problems


def serve_probes(address: str, probes: Probes) -> Callable[[], None]:
    """Answer at HOST:PORT from now on, in a thread; returns what ends that. Raises StartError."""
    host, _, port = address.rpartition(":")

    class Handler(_Handler):
        asked = probes

    try:
        server = ThreadingHTTPServer((host.strip("[]"), int(port)), Handler)
    except OSError as error:
        raise StartError(
            f"CRONWAX_PROBE_ADDRESS: {address}: {error.strerror}; each process needs an address of its own"
        ) from None
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="probes", daemon=True).start()

    def end() -> None:
        server.shutdown()
        server.server_close()

    return end


class _Handler(BaseHTTPRequestHandler):
    asked: Probes
    timeout = _REQUEST_SECONDS
    server_version = "cronwax"
    sys_version = ""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/healthz":
            self._say(self.asked.unhealthy(wall_clock_us()))
        elif path == "/readyz":
            self._say(self.asked.unready(wall_clock_us()))
        elif path == "/metrics":
            self._send(200, CONTENT_TYPE_LATEST, generate_latest(REGISTRY))
        else:
            self._send(404, "text/plain", b"/healthz, /readyz and /metrics are here\n")

    def do_HEAD(self) -> None:
        self.do_GET()

    def _say(self, problems: list[str]) -> None:
        body = json.dumps({"ok": not problems, "problems": problems}) + "\n"
        self._send(503 if problems else 200, "application/json", body.encode())

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Nothing: a probe every few seconds would fill the log."""


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _seconds(microseconds: int) -> str:
    return f"{microseconds // SECOND_US:,} s"
