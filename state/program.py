"""The command that brought us here, as hints and usage lines name it."""

from __future__ import annotations

import os
import shlex
from pathlib import Path


def program() -> str:
    """What to type for this program: `cronwax`, or what a script that starts it says (`CRONWAX_PROGRAM`)."""
    return os.environ.get("CRONWAX_PROGRAM") or "cronwax"


def data_dir_option(folder: Path) -> str:
    """What to add to a hint so that it is about the same data: nothing, if that is what would be taken anyway."""
    return "" if folder == Path("data") else f" --data-dir {shlex.quote(str(folder))}"
