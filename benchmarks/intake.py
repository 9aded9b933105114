"""intake: durable check-ins a second over HTTP, and how long an answer takes: as gzip envelopes, on the cron address,
as pings; and pings the plain way, one committed row each. Server on one core, the sender on the others."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import socket
import subprocess
import sys
import time
import uuid
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.contender import Failed
from benchmarks.report import Figures, Report, interleaved, ratio

SIZE = 10
"""Seconds that each figure takes."""
KEY = "0123456789abcdef0123456789abcdef"
PING_KEY = "fqOOd6-F4MMNuCEnzTU01w"
CONNECTIONS = 64
RATES = (100, 1_000, 5_000)
"""Check-ins a second that are sent; and as many as are answered."""
JOBS = 500
REQUESTS = 2_000
_START_SECONDS = 30


def run(size: int, runs: int) -> Report:
    """Each form at each rate, and flat out."""
    report = Report("intake", size, runs)
    contenders: dict[str, Callable[[], Figures]] = {}
    for form in _FORMS:
        for rate in (*RATES, 0):
            contenders[_name(form, rate)] = partial(_measure, form, rate, size)
    found = interleaved(report, contenders)
    best = _name("ping", 0)
    report.aim(
        "pings a second / the plain way",
        ratio(found[best], found[_name("plain ping", 0)], "a_second"),
        "above 1",
    )
    for form in ("envelope", "cron", "ping"):
        flat_out = report.figures[_name(form, 0)]
        report.aim(f"{form}: a second, flat out", flat_out["a_second"], "at least 5,000")
        report.ratios[f"{form}: a second that one core has time for"] = round(1e6 / flat_out["cpu_us"])
        report.aim(
            f"{form}: p99 ms at 1,000 a second", report.figures[_name(form, 1_000)]["p99_ms"], "below 50"
        )
    report.notes.append(f"load average at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    return report


def _name(form: str, rate: int) -> str:
    return f"{form}, {rate:,} a second" if rate else f"{form}, flat out"


def _measure(form: str, rate: int, seconds: int) -> Figures:
    """The figures of a fresh server."""
    with TemporaryDirectory(prefix="cronwax-bench-") as name, _server(form, Path(name)) as (port, process):
        requests = [_FORMS[form](number) for number in range(REQUESTS)]
        _load(port, requests, 0 if not rate else min(rate, 500), 1)  # a warm server
        cpu, memory = _cpu_seconds(process), _memory_mb(process)
        figures = _load(port, requests, rate, seconds)
        sent = figures["a_second"] * seconds
        figures["cpu_us"] = round((_cpu_seconds(process) - cpu) / max(1.0, sent) * 1e6, 1)
        figures["memory_mb"] = _memory_mb(process)
        figures["growth_mb"] = round(figures["memory_mb"] - memory, 1)
        return figures


def _load(port: int, requests: list[bytes], rate: int, seconds: int) -> Figures:
    job = {
        "requests": [b64encode(request).decode() for request in requests],
        "host": "127.0.0.1",
        "port": port,
        "connections": CONNECTIONS,
        "seconds": seconds,
        "rate": rate,
    }
    command = [sys.executable, "-m", "benchmarks.http_load"]
    ended = subprocess.run(command, input=json.dumps(job), capture_output=True, text=True, check=False)
    if ended.returncode:
        raise Failed(ended.stderr.strip().splitlines()[-1])
    figures: Figures = json.loads(ended.stdout)
    if figures.pop("refused"):
        raise Failed("check-ins were refused")
    return figures


@contextmanager
def _server(form: str, folder: Path) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """A server on the first core; its port and process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    projects = folder / "projects.json"
    projects.write_text(json.dumps({"1": {"keys": [KEY], "ping_keys": [PING_KEY]}}))
    environment = os.environ | {
        "CRONWAX_DATA_DIR": str(folder / "data"),
        "CRONWAX_PROJECTS_PATH": str(projects),
        "CRONWAX_INTAKE_PORT": str(port),
        "CRONWAX_SOURCE": "intake",
    }
    command = ["-m", "cronwax", "intake"]
    if form == "plain ping":
        command = ["-m", "benchmarks.intake_plain", str(folder / "pings.sqlite3"), str(port)]
    process = subprocess.Popen([sys.executable, *command], env=environment, stderr=subprocess.DEVNULL)
    try:
        os.sched_setaffinity(process.pid, {min(os.sched_getaffinity(0))})
        _wait_for(port)
        yield port, process
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", "/healthz")
            connection.getresponse()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise Failed("the server does not answer")


def _cpu_seconds(process: subprocess.Popen[bytes]) -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory_mb(process: subprocess.Popen[bytes]) -> float:
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return round(next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024, 1)


def _envelope(number: int) -> bytes:
    """As sentry-sdk sends it: gzip, the key in a header."""
    check_in = {
        "type": "check_in",
        "check_in_id": uuid.UUID(int=number).hex,
        "monitor_slug": f"job-{number % JOBS}",
        "status": "ok",
        "environment": "production",
        "duration": None,
        "release": "billing@1.0",
        "server_name": "worker-1",
        "platform": "python",
        "sdk": {
            "name": "sentry.python",
            "version": "2.75.0",
            "integrations": ["atexit", "logging", "threading"],
        },
        "monitor_config": {"schedule": {"type": "crontab", "value": "*/5 * * * *"}, "checkin_margin": 2},
        "contexts": {"trace": {"trace_id": uuid.UUID(int=number).hex, "span_id": "a" * 16}},
    }
    payload = json.dumps(check_in).encode()
    item = json.dumps(
        {"type": "check_in", "content_type": "application/json", "length": len(payload)}
    ).encode()
    header = json.dumps({"event_id": uuid.UUID(int=number).hex, "sent_at": "2026-11-26T00:00:00Z"}).encode()
    body = gzip.compress(b"\n".join((header, item, payload)) + b"\n", mtime=0)
    head = (
        "POST /api/1/envelope/ HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\n"
        f"X-Sentry-Auth: Sentry sentry_key={KEY}, sentry_version=7, sentry_client=sentry.python/2.75.0\r\n"
        f"User-Agent: sentry.python/2.75.0\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _get(path: str, number: int) -> bytes:
    path = path.format(job=f"job-{number % JOBS}")
    return f"GET {path} HTTP/1.1\r\nHost: x\r\nUser-Agent: curl/8\r\nAccept: */*\r\n\r\n".encode()


_FORMS: dict[str, Callable[[int], bytes]] = {
    "envelope": _envelope,
    "cron": partial(_get, f"/api/1/cron/{{job}}/{KEY}/?status=ok"),
    "ping": partial(_get, f"/ping/{PING_KEY}/{{job}}"),
    "plain ping": partial(_get, f"/ping/{PING_KEY}/{{job}}"),
}
