"""The command that brought us here, as hints and usage lines name it."""

from __future__ import annotations

import os


def program() -> str:
    """What to type for this program: `cronwax`, or what a script that starts it says (`CRONWAX_PROGRAM`)."""
    return os.environ.get("CRONWAX_PROGRAM") or "cronwax"
