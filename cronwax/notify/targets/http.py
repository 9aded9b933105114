"""Sending JSON over HTTP, and what its answers mean."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import requests

from cronwax.notify.targets.base import CONNECT_SECONDS, READ_SECONDS, RefusedError, RetryError
from dataflow.operations.version import own_version

_REFUSALS = frozenset((400, 405, 406, 409, 410, 411, 413, 414, 415, 422, 431, 451))
"""Answers that blame the message itself. Others (a wrong token, a wrong path) a person can put right meanwhile."""


class JsonSender:
    """Posts bytes to one address. Redirects are not followed: what is sent may be secret."""

    def __init__(
        self, url: str, headers: Mapping[str, str] | None = None, login: tuple[str, str] | None = None
    ) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.headers.update(
            {"Content-Type": "application/json", "User-Agent": f"cronwax/{own_version()}", **(headers or {})}
        )
        self._session.auth = login

    def post(self, body: bytes, headers: Mapping[str, str], now_s: float) -> str:
        """Post once; the answer's status. Raises DeliveryError."""
        try:
            with self._session.post(
                self._url,
                data=body,
                headers=dict(headers),
                timeout=(CONNECT_SECONDS, READ_SECONDS),
                allow_redirects=False,
                stream=True,
            ) as answer:
                return _judged(answer, now_s)
        except (requests.RequestException, UnicodeError, ValueError) as error:
            raise RetryError(_reason(error)) from None

    def close(self) -> None:
        """Give up the connection."""
        self._session.close()


def url_problem(url: str) -> str | None:
    """Why an address cannot be posted to, in one line that does not quote it; None: it can."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "is no URL"
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        return "must be a URL that begins with http:// or https:// and names a host"
    return None


def retry_after(value: str | None, now_s: float) -> float | None:
    """The header Retry-After in seconds from now; None: there is none, or none that can be read."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    try:
        at = parsedate_to_datetime(text)
        seconds = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now_s
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _judged(answer: requests.Response, now_s: float) -> str:
    status = answer.status_code
    if 200 <= status < 300:
        return str(status)
    reason = f"it answers {status}"
    if status in _REFUSALS:
        raise RefusedError(reason)
    if 300 <= status < 400:
        raise RetryError(f"{reason}: redirects are not followed")
    raise RetryError(reason, retry_after(answer.headers.get("Retry-After"), now_s))


def _reason(error: BaseException) -> str:
    """In words of our own: those of the libraries quote addresses."""
    if isinstance(error, requests.exceptions.SSLError):
        return "TLS fails: the certificate is not trusted, or it speaks no TLS"
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return f"no connection within {CONNECT_SECONDS:g} s"
    if isinstance(error, requests.exceptions.Timeout):
        return f"no answer within {READ_SECONDS:g} s"
    if isinstance(error, requests.exceptions.ConnectionError):
        text = str(error)
        for sign, words in _SIGNS.items():
            if sign in text:
                return words
        return "the connection fails"
    return f"it cannot be asked ({type(error).__name__})"


_SIGNS = {
    "NameResolutionError": "its host's name is not known",
    "Connection refused": "the connection is refused",
    "unreachable": "its network cannot be reached",
    "Connection aborted": "it ends the connection without an answer",
    "Connection reset": "it ends the connection without an answer",
}


def iso(seconds: float) -> str:
    """A time as RFC 3339 with milliseconds, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def iso_us(us: int | None) -> str | None:
    """A time in µs the same way."""
    return None if us is None else iso(us / 1e6)


Json = dict[str, Any]
