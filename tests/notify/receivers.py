"""Those who are notified, as real servers of this process: HTTP and SMTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from aiosmtpd.controller import Controller

from tests.processes import free_ports

HANG_SECONDS = 120.0


class Request(NamedTuple):
    """What was posted."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Answer(NamedTuple):
    """What is answered; status 0: the connection ends without an answer, -1: nothing is answered at all."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    is_taken: bool = True
    """Whether the request counts as taken, whatever is answered."""


OK = Answer()
Judge = Callable[[Request], Answer]


class Receiver:
    """An HTTP server on loopback that keeps what it takes. To be closed."""

    def __init__(self, judge: Judge = lambda request: OK) -> None:
        self.judge = judge
        self.taken: list[Request] = []
        self.asked = 0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                if len(body) < length:  # whoever asked was killed while it did
                    self.close_connection = True
                    return
                request = Request(self.path, dict(self.headers.items()), body)
                answer = receiver._judged(request)
                if answer.status == -1:
                    receiver._ended.wait(HANG_SECONDS)
                if answer.status <= 0:
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in answer.headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_: object) -> None:
                """A notifier that is killed ends its connections."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def _judged(self, request: Request) -> Answer:
        with self._lock:
            self.asked += 1
            answer = self.judge(request)
            if answer.is_taken and answer.status in (-1, 0, *range(200, 300)):
                self.taken.append(request)
            return answer

    @property
    def bodies(self) -> list[Any]:
        return [request.json for request in list(self.taken)]

    def close(self) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()


class MailServer:
    """An SMTP server on loopback that keeps what it takes. To be closed."""

    def __init__(self, answer: Callable[[EmailMessage], str | None] = lambda mail: None) -> None:
        self.mails: list[EmailMessage] = []
        self.answer = answer
        """What is said instead of taking a mail."""
        server = self

        class Handler:
            async def handle_DATA(self, _: object, __: object, envelope: Any) -> str:
                mail = BytesParser(EmailMessage, policy=default).parsebytes(envelope.content)
                if (said := server.answer(mail)) is not None:
                    return said
                server.mails.append(mail)
                return "250 taken"

            async def handle_RCPT(
                self, _: object, __: object, envelope: Any, address: str, ___: object
            ) -> str:
                if address.startswith("nobody"):
                    return "550 no such mailbox"
                envelope.rcpt_tos.append(address)
                return "250 OK"

        [self.port] = free_ports(1)
        self._controller = Controller(Handler(), hostname="127.0.0.1", port=self.port)
        self._controller.start()

    def close(self) -> None:
        self._controller.stop()
