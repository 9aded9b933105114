"""Acknowledging over HTTP: the page behind a notification's link, and the control that it makes.

Opening a link changes nothing: chats and mail scanners open them too. Only the page's button does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple, TypeVar
from urllib.parse import parse_qsl, unquote

import msgspec

from cronwax.acknowledge_links import PREFIX, Subject, is_made_by, link_key
from cronwax.intake.commit import NotTaken
from cronwax.intake.lines import control_entry
from cronwax.intake.log_writer import append_controls
from dataflow.connectors.intake_log import CONTROLS, FOLDER, LogError
from dataflow.monitors.limits import Limit
from dataflow.process.log import warn
from state.ask.terminal import clean

HTML = b"text/html; charset=utf-8"
_MAX_FIELDS = 8
_DISK_SECONDS = 0.9
"""No answer of the intake takes longer than a second."""
Given = TypeVar("Given")
Returned = TypeVar("Returned")


class Answer(NamedTuple):
    """A page."""

    status: int
    body: bytes


class Acknowledging:
    """Takes acknowledgements for the embedded log of a data folder."""

    def __init__(self, data_dir: Path, key: Callable[[Path], bytes] = link_key) -> None:
        self._data_dir = data_dir
        self._key = key

    async def take(self, method: str, segments: Sequence[str], body: bytes) -> Answer:
        """The answer to a request whose path begins with `acknowledge`. Raises NotTaken."""
        subject = await _within(self._subject, segments)
        if subject is None:
            return _page(
                404, "This link is not valid", "<p>It is not of this Cronwax, or a part of it is missing.</p>"
            )
        if method in ("GET", "HEAD"):
            return _page(200, "Acknowledge this incident?", _form(subject))
        if method != "POST":
            return _page(405, "This is a page", "<p>Open it in a browser.</p>")
        fields = _fields(body)
        who, note = fields.get("who", "").strip(), fields.get("note", "").strip()
        if not who or len(who) > Limit.WHO_CHARACTERS or len(note) > Limit.NOTE_CHARACTERS:
            problem = f"<p>Say who you are, in at most {Limit.WHO_CHARACTERS} letters; a note may have "
            return _page(400, "That was not taken", f"{problem}{Limit.NOTE_CHARACTERS}.</p>{_form(subject)}")
        await _within(self._write, _control(subject, who, note))
        return _page(200, "Acknowledged", f"<p>{_named(subject)}: nobody is reminded of it any more.</p>")

    def _subject(self, segments: Sequence[str]) -> Subject | None:
        if len(segments) != 6 or not segments[1].isascii() or not segments[1].isdecimal():
            return None
        subject = Subject(int(segments[1][:20]), segments[2], segments[3], segments[4])
        try:
            return subject if is_made_by(self._key(self._data_dir), subject, segments[5]) else None
        except (OSError, ValueError) as error:
            warn("acknowledge_failed", text=f"the key of links: {error}")
            raise NotTaken("the key of links cannot be read") from None

    def _write(self, control: bytes) -> None:
        try:
            append_controls(self._data_dir / FOLDER / CONTROLS, [control_entry(control)])
        except (OSError, LogError) as error:
            warn("acknowledge_failed", text=f"the log of controls: {error}")
            raise NotTaken("the log cannot be written") from None


async def _within(call: Callable[[Given], Returned], given: Given) -> Returned:
    """What a call returns that uses the disk, in a thread. Raises NotTaken when it takes too long: what it was to write
    may be written all the same, and twice is as good as once."""
    try:
        async with asyncio.timeout(_DISK_SECONDS):
            return await asyncio.to_thread(call, given)
    except TimeoutError:
        raise NotTaken("the disk does not answer") from None


def path_of_link(path: str) -> list[str]:
    """The decoded parts of a path, percent-encoded, if it is that of a link; else none."""
    parts = [unquote(part) for part in path.split("/") if part]
    return parts if parts[:1] == [PREFIX] else []


def _control(subject: Subject, who: str, note: str) -> bytes:
    body: dict[str, object] = {
        "type": "acknowledge_incident",
        "project_id": subject.project_id,
        "monitor_slug": subject.slug,
        "environment": subject.environment,
        "incident_id": subject.incident_id,
        "who": who,
    }
    return msgspec.json.encode(body | ({"note": note} if note else {}))


def _fields(body: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(body.decode(), max_num_fields=_MAX_FIELDS))
    except ValueError:  # no text, or too many
        return {}


def _named(subject: Subject) -> str:
    return escape(clean(f"{subject.slug} ({subject.environment})"))


def _form(subject: Subject) -> str:
    return (
        f"<p>{_named(subject)}, incident {escape(clean(subject.incident_id))}</p>"
        '<form method="post"><p><label>Who are you? <input name="who" required></label></p>'
        '<p><label>Note <input name="note"></label></p><p><button>Acknowledge</button></p></form>'
    )


def _page(status: int, title: str, body: str) -> Answer:
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><meta name="referrer" content="no-referrer">'
        f'<meta name="robots" content="noindex"><title>{title}</title><h1>{title}</h1>{body}</html>\n'
    )
    return Answer(status, page.encode("utf-8", "surrogatepass"))
