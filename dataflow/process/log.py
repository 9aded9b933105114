"""Log lines: one for each thing that happened, an event and what belongs to it.

Who is not shown lines of keys and values (a command, the flow on files) sees the field `text` of a warning.
"""

from __future__ import annotations

import logging

LOGGER = logging.getLogger("cronwax")
"""Takes all lines. Until somebody configures it, Python prints warnings alone, each as its text."""


def log(event: str, **fields: object) -> None:
    """Log that something happened, and what belongs to it; None is left out."""
    write(logging.INFO, event, **fields)


def warn(event: str, **fields: object) -> None:
    """Log that something happened that somebody should look at."""
    write(logging.WARNING, event, **fields)


def write(level: int, event: str, **fields: object) -> None:
    """Log at one of the levels of the `logging` module; what is below INFO is not shown."""
    text = fields.get("text")
    LOGGER.log(level, "%s", event if text is None else text, extra={"event": event, "fields": fields})
