"""New tables in the place of a data folder's own, all or nothing.

They are made in a folder of their own. One rename says that it is complete: from then on they count, and whatever
dies, the next call of `install` finishes what was begun. Before that, nothing has changed.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from state.errors import StateError, reason
from state.history.history_files import FOLDER as HISTORY
from state.history.history_files import sync
from state.program import program
from state.schema.database import shard_path

_UNFINISHED = ".tables.unfinished"
_COMPLETE = ".tables.complete"
_REPLACED = ".tables.replaced"
_COMMAND = "command"
"""In the folder: which command makes the tables."""


def unfinished(data_dir: Path) -> Path:
    """Where the new tables are made."""
    return data_dir / _UNFINISHED


def begin(data_dir: Path) -> Path:
    """An empty folder for the new tables, laid out as a data folder. Raises StateError."""
    folder = data_dir / _UNFINISHED
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise StateError(f"{folder}: cannot be made: {reason(error)}") from None
    return folder


def give_up(data_dir: Path) -> None:
    """Remove what was begun and is not complete."""
    shutil.rmtree(data_dir / _UNFINISHED, ignore_errors=True)


def complete(data_dir: Path, command: str) -> None:
    """From now on the new tables count, and this command puts them in their place. The files in their folder must be on
    disk. Raises StateError."""
    try:
        for name in _folders(data_dir):  # one that is not there is taken for one that is in its place
            (data_dir / _UNFINISHED / name).mkdir(exist_ok=True)
        (data_dir / _UNFINISHED / _COMMAND).write_text(command, encoding="ascii")
        sync(data_dir / _UNFINISHED / _COMMAND)
        for folder, _, _ in os.walk(data_dir / _UNFINISHED, topdown=False):
            sync(Path(folder))
        (data_dir / _UNFINISHED).replace(data_dir / _COMPLETE)
        sync(data_dir)
    except OSError as error:
        raise StateError(f"{data_dir / _COMPLETE}: cannot be made: {reason(error)}") from None


def is_begun(data_dir: Path) -> bool:
    """Whether there are complete new tables that are not in their place yet."""
    return (data_dir / _COMPLETE).exists()


def check_command(data_dir: Path, command: str | None) -> None:
    """See that what was begun is this command's to finish; None: nobody's. Raises StateError."""
    if not is_begun(data_dir):
        return
    try:
        begun = (data_dir / _COMPLETE / _COMMAND).read_text(encoding="ascii")
    except OSError as error:
        raise StateError(f"{data_dir / _COMPLETE}: cannot be read: {reason(error)}") from None
    if begun != command:
        raise StateError(
            f"{data_dir}: its tables are being replaced, and that did not come to its end: start {program()} {begun} "
            "again"
        )


def install(data_dir: Path) -> None:
    """Put complete new tables in their place. Raises StateError.

    What is published is still of before, and its history is not in its place any more: publish again, then `finish`.
    """
    fresh, replaced = data_dir / _COMPLETE, data_dir / _REPLACED
    try:
        if fresh.exists():
            replaced.mkdir(exist_ok=True)
            for name in _folders(data_dir):
                _exchange(data_dir / name, fresh / name, replaced / name)
    except OSError as error:
        raise StateError(
            f"{error.filename or data_dir}: cannot be put in its place: {reason(error)}"
        ) from None


def finish(data_dir: Path) -> None:
    """The new tables are published: forget that they replace others, and remove those. Raises StateError.

    Until then the command that began has to be called again.
    """
    try:
        replaced = data_dir / _REPLACED
        if is_begun(data_dir):
            # At once: of a folder that is half removed, nobody could say whose it is.
            shutil.rmtree(replaced / _COMPLETE, ignore_errors=True)
            replaced.mkdir(exist_ok=True)
            (data_dir / _COMPLETE).replace(replaced / _COMPLETE)
            sync(data_dir)
        shutil.rmtree(replaced, ignore_errors=True)
    except OSError as error:
        raise StateError(f"{error.filename or data_dir}: cannot be removed: {reason(error)}") from None


def _exchange(old: Path, new: Path, replaced: Path) -> None:
    """Each step is done once: a new folder that is not there any more is in its place already."""
    if new.exists():
        if old.exists():
            shutil.rmtree(replaced, ignore_errors=True)
            old.replace(replaced)
            sync(old.parent)
        new.replace(old)
        sync(old.parent)


def _folders(data_dir: Path) -> tuple[str, str]:
    return shard_path(data_dir, 0).parent.name, HISTORY
