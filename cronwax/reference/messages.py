"""docs/reference/messages.md: every message, and every field of it."""

from __future__ import annotations

from cronwax.reference.markdown import MADE_BY, table
from dataflow.wire.message_catalogue import PAYLOADS, Payload

_HEAD = f"""\
# Fields of messages

{MADE_BY}

What the flow sends: JSON, one message a line or Kafka record. [Messages](../messages.md) says how they belong together.
Messages without a row in `status_changes` are about the processes, not the input: a replay does not give them again.
"""


def messages_page() -> str:
    """The whole page."""
    rows = [
        (f"`{name}`", each.sent_when, each.key, "yes" if each.has_row else "no")
        for name, each in PAYLOADS.items()
    ]
    parts = [_HEAD, table(("payload_type", "sent when", "key", "row"), rows) + "\n"]
    for names, payload in _alike():
        parts.append(f"## {', '.join(names)}\n")
        fields = [(f"`{name}`", meaning or _one_of(names)) for name, meaning in payload.fields.items()]
        parts.append(table(("field", "meaning"), fields) + "\n")
    return "\n".join(parts)


def _alike() -> list[tuple[list[str], Payload]]:
    """Payload types that have the same fields, together."""
    found: list[tuple[list[str], Payload]] = []
    for name, payload in PAYLOADS.items():
        if found and found[-1][1].fields is payload.fields:
            found[-1][0].append(name)
        else:
            found.append(([name], payload))
    return found


def _one_of(names: list[str]) -> str:
    return " or ".join(f"`{name}`" for name in names)
