"""The forms of a text: plain, Markdown and HTML, of the same sentences."""

from __future__ import annotations

import re
from html import escape

from cronwax.notify.notification import Notification

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~])")
_ITEM = "- "
_ACKNOWLEDGE = "Acknowledge"


def plain(notification: Notification) -> str:
    """The body as plain text."""
    parts = ["\n".join(notification.sentences)]
    if notification.fields:
        parts.append("\n".join(f"{name}: {value}" for name, value in notification.fields))
    if notification.link:
        parts.append(notification.link)
    if notification.acknowledge:
        parts.append(f"{_ACKNOWLEDGE}: {notification.acknowledge}")
    return "\n\n".join(part for part in parts if part)


def markdown(notification: Notification) -> str:
    """The body as Markdown. Nothing in a monitor's name is taken for markup."""
    lines = []
    for sentence in notification.sentences:
        is_item = sentence.startswith(_ITEM)
        text = _escaped(sentence.removeprefix(_ITEM) if is_item else sentence)
        lines.append(f"{_ITEM}{text}" if is_item else f"{text}\n")
    parts = ["\n".join(lines).strip()]
    if notification.fields:
        parts.append("\n".join(f"- **{name}:** {_escaped(value)}" for name, value in notification.fields))
    if notification.link:
        parts.append(f"<{notification.link}>")
    if notification.acknowledge:
        parts.append(f"[{_ACKNOWLEDGE}](<{notification.acknowledge}>)")
    return "\n\n".join(part for part in parts if part)


def html(notification: Notification) -> str:
    """The body as HTML, without the page around it."""
    parts = [f"<p>{escape(sentence)}</p>" for sentence in notification.sentences]
    if notification.fields:
        rows = "".join(
            f'<tr><th align="left">{escape(name)}</th><td>{escape(value)}</td></tr>'
            for name, value in notification.fields
        )
        parts.append(f"<table>{rows}</table>")
    if notification.link:
        link = escape(notification.link)
        parts.append(f'<p><a href="{link}">{link}</a></p>')
    if notification.acknowledge:
        parts.append(f'<p><a href="{escape(notification.acknowledge)}">{_ACKNOWLEDGE}</a></p>')
    return "\n".join(parts)


def _escaped(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", text)
