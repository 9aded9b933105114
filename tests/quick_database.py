"""Empty tables as the writer makes them, made once and copied: of most tests that write a few rows, creating the tables
and a hundred views would be the half."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import local
from typing import Any

import state.schema.database
import state.write.writer
from state.schema.views import apply_answers
from tests.shared import made_once

_open = state.schema.database.open_database
_apply = apply_answers
_here = local()
"""`is_trusted`: the file that this thread opens has its views."""
_opened: set[tuple[Path, int]] = set()
"""Path and inode of the files that were opened here: they have theirs."""


def install(put: Callable[[object, str, object], Any] = setattr) -> None:
    """Let writers begin with a copy, where there is no file yet, and make the views of a file once.

    `put` is a test's own way to set an attribute.
    """
    put(state.write.writer, "open_database", _open_quickly)
    put(state.schema.database, "apply_answers", _apply_unless_trusted)


@contextmanager
def trusted() -> Iterator[None]:
    """What is opened meanwhile is a copy of what this release has made."""
    _here.is_trusted = True
    try:
        yield
    finally:
        _here.is_trusted = False


def _open_quickly(path: Path, shard: int, shards: int) -> Any:
    if (_known(path) in _opened) if path.exists() else _is_copied(path, shard, shards):
        with trusted():
            connection = _open(path, shard, shards)
    else:
        connection = _open(path, shard, shards)
    _opened.add(_known(path))
    return connection


def _known(path: Path) -> tuple[Path, int]:
    return path, path.stat().st_ino


def _is_copied(path: Path, shard: int, shards: int) -> bool:
    def make(folder: Path) -> None:
        _open(folder / "empty.duckdb", shard, shards).close()

    empty = made_once(f"tables-{shard}-of-{shards}", make) / "empty.duckdb"
    with suppress(OSError):  # the writer says what is wrong
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(empty, path)  # with the modes that the umask says
        return True
    return False


def _apply_unless_trusted(connection: Any) -> None:
    if not getattr(_here, "is_trusted", False):
        _apply(connection)
