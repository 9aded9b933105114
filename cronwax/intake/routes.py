"""The addresses: which request is what, and what becomes of it. Nothing here reads a clock, a file or a socket."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

import msgspec

from cronwax.intake import batch, cron, envelope, pings
from cronwax.intake.authentication import Sender, public_key, sender_of
from cronwax.intake.encodings import decoded
from cronwax.intake.outcome import JSON, PLAIN, Drop, Outcome, Rejected
from cronwax.intake.projects import Projects

MAX_DECOMPRESSED_BYTES = 8 << 20
MAX_PROJECT_ID = 2**63 - 1
_READING = ("GET", "HEAD", "POST")
_is_uuid = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII).fullmatch


@dataclass(slots=True)
class Request:
    """A request, read to its end."""

    method: str
    path: str
    """As it came: still percent-encoded."""
    raw_query: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    start_time: float
    """When it came, in whole seconds since the epoch."""


def handle(request: Request, projects: Projects) -> Outcome:
    """What becomes of a request. Refusals are outcomes too."""
    segments = segments_of(request.path)
    try:
        return _handle(request, segments, projects)
    except Rejected as refusal:
        drop = Drop("request", refusal.reason, refusal.payload, refusal.slug)
        is_ping = segments[:1] in (["ping"], ["p"])
        body = refusal.reason.encode() if is_ping else _detail(refusal.reason)
        content_type = PLAIN if is_ping else JSON
        return Outcome(refusal.status, body, [], [drop], refusal.project_id, content_type)


def segments_of(path: str) -> list[str]:
    """The parts of a path between its slashes, decoded. Runs of slashes count as one, and a prefix before `api` (a
    DSN may have one) does not count."""
    segments = [unquote(part) for part in path.split("/") if part]
    if segments[:1] in (["ping"], ["p"]) or "api" not in segments:
        return segments
    return segments[segments.index("api") :]


def wants_body(method: str, segments: Sequence[str], content_type: str) -> bool:
    """Whether a body is looked at; any other is read and thrown away, whatever its size."""
    if method != "POST" or segments[:1] != ["api"]:
        return False
    return segments[2:3] != ["cron"] or content_type.startswith("application/json")


def _handle(request: Request, segments: list[str], projects: Projects) -> Outcome:
    match segments:
        case ["api", project, "envelope"]:
            return _envelope(request, _project(project), projects)
        case ["api", project, "cron", slug]:
            return _cron(request, _project(project), slug, None, projects)
        case ["api", project, "cron", slug, key]:
            return _cron(request, _project(project), slug, key, projects)
        case ["api", project, "check-ins"]:
            return _batch(request, _project(project), projects)
        case ["ping", check, *rest]:
            return _ping(request, check, rest, projects)
        case ["p", key, slug]:
            return _telemetry(request, key, slug, projects)
    raise Rejected(404, "not found")


def _envelope(request: Request, project_id: int, projects: Projects) -> Outcome:
    if request.method != "POST" or not request.path.endswith("/"):
        raise Rejected(405 if request.method != "POST" else 404, "method not allowed or slash missing")
    body = _decoded(request)
    found = envelope.opened(project_id, request.headers, _query(request), request.raw_query, body)
    _admit(projects, found.key, project_id)
    return _of(project_id, None, lambda: envelope.check_ins_of(project_id, found, request.start_time))


def _cron(request: Request, project_id: int, slug: str, path_key: str | None, projects: Projects) -> Outcome:
    _allow(request.method, _READING)
    query = _query(request)
    sender = _sender(request, query, path_key)
    _admit(projects, public_key(sender), project_id)

    def taken() -> Outcome:
        if request.headers.get("content-type", "").startswith("application/json"):
            return cron.from_json(project_id, slug, sender, _decoded(request), request.start_time)
        return cron.from_query(project_id, slug, sender, query, request.start_time)

    return _of(project_id, slug, taken)


def _batch(request: Request, project_id: int, projects: Projects) -> Outcome:
    _allow(request.method, ("POST",))
    sender = _sender(request, _query(request), None)
    _admit(projects, public_key(sender), project_id)
    return _of(
        project_id,
        None,
        lambda: batch.check_ins_of(project_id, _decoded(request), request.start_time),
    )


def _ping(request: Request, check: str, rest: list[str], projects: Projects) -> Outcome:
    _allow(request.method, _READING)
    if _is_uuid(check):
        known = projects.of_check(check.lower())
        if known is None:
            raise Rejected(404, "not found")
        (project_id, slug), action = known, rest
    else:
        opened = projects.of_ping_key(check)
        if opened is None or not rest:
            raise Rejected(404, "not found")
        project_id, slug, action = opened, rest[0], rest[1:]
    return _of(
        project_id, slug, lambda: pings.ping(project_id, slug, action, _query(request), request.start_time)
    )


def _telemetry(request: Request, key: str, slug: str, projects: Projects) -> Outcome:
    _allow(request.method, _READING)
    project_id = projects.of_ping_key(key)
    if project_id is None:
        raise Rejected(404, "not found")
    return _of(
        project_id,
        slug,
        lambda: pings.telemetry(project_id, key, slug, request.raw_query, request.start_time),
    )


def _of(project_id: int, slug: str | None, take: Callable[[], Outcome]) -> Outcome:
    """Take it; a refusal from here on is one of a known sender's."""
    try:
        return take()
    except Rejected as refusal:
        refusal.project_id, refusal.slug = project_id, slug
        raise


def _allow(method: str, methods: Sequence[str]) -> None:
    if method not in methods:
        raise Rejected(405, "method not allowed")


def _project(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20) or int(text) > MAX_PROJECT_ID:
        raise Rejected(400, "the project is not a number")
    return int(text)


def _query(request: Request) -> dict[str, str]:
    return dict(parse_qsl(request.raw_query, keep_blank_values=True)) if request.raw_query else {}


def _sender(request: Request, query: Mapping[str, str], path_key: str | None) -> Sender:
    sender = sender_of(request.headers, query, request.raw_query, path_key)
    if sender is None:
        raise Rejected(401, "missing authorization information")
    return sender


def _admit(projects: Projects, key: str, project_id: int) -> None:
    if not projects.opens(key, project_id):
        raise Rejected(403, "the key does not open this project")


def _decoded(request: Request) -> bytes:
    return decoded(request.headers.get("content-encoding", ""), request.body, MAX_DECOMPRESSED_BYTES)


def _detail(reason: str) -> bytes:
    return msgspec.json.encode({"detail": reason})
