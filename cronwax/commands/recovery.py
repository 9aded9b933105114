"""Makes recovery stores, and packs them: `cronwax recovery`."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from bytewax.recovery import init_db_dir

from cronwax.commands.arguments import OneLineParser, ToolError, complain
from dataflow.process.exit import StartError
from dataflow.process.store_lock import LOCKS, hold_store
from state.program import program

PAGE_BYTES = 32_768
"""Of a part's file. What a key group's snapshot holds is one value of up to some hundred KB: in SQLite's own pages of
4 KB it takes twice as long to write, and to throw away."""
MAX_PARTS = 9_999
_NEW_PART_BYTES = 1_000_000
"""A part's file and its log take no more when they are new."""


def parser() -> OneLineParser:
    """The command line."""
    top = OneLineParser(
        prog=f"{program()} recovery",
        description="Make a recovery store. Without PARTS: pack one that is there, of a flow that is stopped.",
    )
    top.add_argument("store", metavar="DIR", type=Path)
    top.add_argument("parts", metavar="PARTS", type=int, nargs="?", help="for the life of the store")
    return top


def main(arguments: list[str] | None = None) -> int:
    """Make a store, or pack one that is there; returns the exit status."""
    options = parser().parse_args(arguments)
    try:
        if options.parts is None:
            before, after = pack(options.store)
            print(f"cronwax: {options.store}: {before / 1e6:,.0f} MB, packed {after / 1e6:,.0f} MB")
        else:
            make(options.store, options.parts)
    except ToolError as error:
        complain(str(error))
        return 2
    except StartError:
        return 2  # it has said why
    return 0


def make(folder: Path, parts: int) -> None:
    """Make a store of so many parts. Raises ToolError."""
    if not 1 <= parts <= MAX_PARTS:
        raise ToolError(f"PARTS must be from 1 to {MAX_PARTS:,}, not {parts}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if _parts(folder):
            raise ToolError(f"{folder}: there is a recovery store already")
        if shutil.disk_usage(folder).free < parts * _NEW_PART_BYTES:
            raise ToolError(
                f"{folder}: cannot make it: {os.strerror(errno.ENOSPC)}"
            )  # the engine would panic
        init_db_dir(folder, parts)
    except OSError as error:
        raise ToolError(f"{folder}: cannot make it: {error.strerror}") from None
    except RuntimeError as error:
        raise ToolError(f"{folder}: cannot make it: {error}") from None
    for file in _parts(folder):
        _pack(file)


def pack(folder: Path) -> tuple[int, int]:
    """Rewrite all parts in large pages, without what is no longer used; the bytes before and after.

    Whenever the process dies, each part is as it was or as it should be. Raises ToolError, and StartError if a flow
    runs on the store.
    """
    files = _parts(folder)
    if not files:
        raise ToolError(f"{folder}: there is no recovery store")
    for process in sorted({"0", *(lock.stem.partition("-")[2] for lock in folder.glob(LOCKS))}):
        hold_store(folder, process)
    before = _size(files)
    for file in files:
        _pack(file)
    return before, _size(files)


def _parts(folder: Path) -> list[Path]:
    return sorted(folder.glob("part-*.sqlite3"))


def _pack(file: Path) -> None:
    try:
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")  # else the size of pages is fixed
            connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            connection.execute("VACUUM")
            connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.Error as error:
        raise ToolError(f"{file}: cannot be packed: {error}") from None


def _size(files: list[Path]) -> int:
    return sum(file.stat().st_size for file in files)
