"""A hostile sender: memory stays bounded, the status is right, and others are served meanwhile."""

from __future__ import annotations

import asyncio
import gzip
import socket
import time
from contextlib import closing, suppress

import pytest

from tests.intake.running import KEY, PING_KEY, envelope, wait_for

pytestmark = pytest.mark.process

GROWTH_KB = 60_000


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    from tests.intake.running import Machine

    made = Machine(tmp_path_factory.mktemp("bounds"))
    made.intake()
    made.cron("warm")
    yield made
    made.close()


@pytest.fixture(autouse=True)
def others_are_served(machine):
    """Before and after each attack; and memory is as before."""
    before = _memory_kb(machine)
    yield
    began = time.monotonic()
    assert machine.cron("others") == 202
    assert time.monotonic() - began < 1.0
    assert _memory_kb(machine) - before < GROWTH_KB


def _memory_kb(machine) -> int:
    with open(f"/proc/{machine.running[0].pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


def connect(machine) -> socket.socket:
    return socket.create_connection(("127.0.0.1", machine.port), timeout=30)


def answer_to(machine, *parts: bytes) -> bytes:
    """Everything that comes back until the server closes, or 2 s pass without a word."""
    received = b""
    with closing(connect(machine)) as connection:
        with suppress(ConnectionError):
            for part in parts:
                connection.sendall(part)
        connection.settimeout(2)
        with suppress(TimeoutError, ConnectionError):
            while piece := connection.recv(65_536):
                received += piece
    return received


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


HEAD = f"POST /api/42/envelope/?sentry_key={KEY} HTTP/1.1\r\nHost: x\r\n".encode()


def test_a_decompression_bomb_is_413(machine):
    bomb = gzip.compress(b"{}\n" + b"\n" * (512 << 20), 9)
    assert len(bomb) < 1 << 20
    status, _ = machine.request(
        "POST", "/api/42/envelope/", bomb, {**envelope()[1], "Content-Encoding": "gzip"}
    )
    assert status == 413


def test_a_body_that_says_that_it_is_too_large_is_413_at_once(machine):
    assert status_of(answer_to(machine, HEAD + b"Content-Length: 1048577\r\n\r\n")) == 413


def test_a_chunked_body_that_becomes_too_large_is_413(machine):
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    answer = answer_to(machine, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 20)
    assert status_of(answer) == 413


def test_a_ping_with_any_body_is_taken(machine):
    status, body = machine.request("POST", f"/ping/{PING_KEY}/large/0", b"x" * (20 << 20))
    assert (status, body) == (200, b"OK")


def test_both_length_and_chunked_is_400(machine):
    head = HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert status_of(answer_to(machine, head, b"0\r\n\r\n")) == 400


def test_an_address_of_64_kb_is_refused(machine):
    answer = answer_to(machine, b"GET /" + b"a" * 65_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert status_of(answer) in (414, 431)


def test_an_address_without_end_is_refused(machine):
    assert status_of(answer_to(machine, b"GET /", *[b"a" * 65_536] * 100)) == 431


def test_a_flood_of_headers_is_refused(machine):
    few = b"".join(b"X-%d: y\r\n" % number for number in range(200))
    assert status_of(answer_to(machine, HEAD + few + b"Content-Length: 0\r\n\r\n")) == 431
    many = [b"X-%d: %b\r\n" % (number, b"y" * 8_000) for number in range(1_000)]
    assert status_of(answer_to(machine, HEAD, *many)) == 431


def test_nonsense_is_400(machine):
    assert status_of(answer_to(machine, b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n")) == 400


def test_pipelined_requests_are_answered_in_order(machine):
    paths = [f"/api/42/cron/pipe/{KEY}/?status=ok", "/nothing", f"/ping/{PING_KEY}/pipe"] * 30
    requests = b"".join(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for path in paths)
    answer = answer_to(machine, requests)
    statuses = [int(each[:3]) for each in answer.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [202, 404, 200] * 30


def test_a_head_that_does_not_come_to_its_end_ends_its_connection(machine):
    with closing(connect(machine)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost")
        began = time.monotonic()
        connection.settimeout(20)
        assert connection.recv(100) == b""
        assert 8 < time.monotonic() - began < 15


def test_slow_senders_keep_nobody_waiting(machine):
    slow = []
    try:
        for _ in range(300):
            slow.append(connect(machine))
            slow[-1].sendall(HEAD + b"Content-Length: 100\r\n\r\n{")
        for connection in slow:
            connection.sendall(b"}")
            assert machine.cron("quick") == 202 if connection is slow[0] else True
        began = time.monotonic()
        assert machine.cron("quick") == 202
        assert time.monotonic() - began < 1.0
    finally:
        for connection in slow:
            connection.close()


def test_ten_thousand_open_connections_are_held_and_others_served(machine):
    async def hold() -> int:
        held = []
        try:
            for start in range(0, 10_000, 100):
                calls = [
                    asyncio.open_connection("127.0.0.1", machine.port) for _ in range(start, start + 100)
                ]
                held += await asyncio.gather(*calls)
            status: int = await asyncio.to_thread(machine.cron, "crowded")
        finally:
            for _, writer in held:
                writer.close()
        return status

    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 12_000:
        pytest.skip("this process may not open 10,000 files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 12_000), hard))
    assert asyncio.run(hold()) == 202
    wait_for(lambda: machine.cron("after") == 202)


def test_a_check_in_of_every_method_that_is_not_one(machine):
    for method in ("PUT", "DELETE", "PATCH"):
        assert machine.request(method, f"/api/42/cron/x/{KEY}/?status=ok")[0] == 405
    assert machine.request("OPTIONS", "/api/42/envelope/")[0] == 200
