"""The recovery store on disk, as Bytewax lays it out in SQLite files: made, packed, read, and one flow's at a time."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from bytewax.recovery import init_db_dir

from dataflow.process.exit import FlowError, StartError
from dataflow.process.log import warn
from state.program import program

Stored = dict[str, set[str]]
"""Step ids without the flow's, and the state keys that a recovery store holds for them."""
PAGE_BYTES = 32_768
"""Of a part's file. What a key group's snapshot holds is one value of up to some hundred KB: in SQLite's own pages of
4 KB it takes twice as long to write, and to throw away."""
MAX_PARTS = 9_999
_NEW_PART_BYTES = 1_000_000
"""A part's file and its log take no more when they are new."""
_LOCKS = "process-*.lock"
"""The lock files of a store, one for each process that ever ran on it."""
_RUNNING = "running.lock"
"""Shared by all processes of a flow, from when they have found each other until they end."""
_DROPPING = "dropping.lock"
"""Held by the process of a flow that looks for those of the last execution: its peers wait for their turn, and are not
taken for them."""
OTHERS_SECONDS = 60.0
"""So long a start waits for processes of the last execution that have not ended yet: they end when they miss one."""
_LOOK_SECONDS = 0.1
BUSY_SECONDS = 5.0
"""So long a part is waited for that another process is changing."""
_PASSING = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR)
"""SQLite's errors that may be gone at the next start."""
_held: list[int] = []
"""Descriptors of lock files, open until the process ends: with them the locks would go."""
_running = threading.Lock()
_running_on: set[Path] = set()
"""The lock files that say so for this process; each worker asks."""


class StoreError(Exception):
    """A store cannot be made or packed; the text says why, in one line."""


def read_store(folder: Path, flow_id: str) -> Stored:
    """What a store holds for a flow. Raises StartError if there is none, or it cannot be resumed from as it is."""
    files = part_files(folder)
    if not files:
        raise StartError(
            f"recovery store {folder}: there is none; make one with: {program()} recovery {folder} 8"
        )
    stored: Stored = {}
    counts: set[int] = set()
    for file in files:
        try:
            with sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True) as connection:
                counts.update(count for (count,) in connection.execute("SELECT part_count FROM parts"))
                rows = connection.execute("SELECT DISTINCT step_id, state_key FROM snaps").fetchall()
            connection.close()
        except sqlite3.Error as error:
            raise StartError(f"recovery store {folder}: {file.name} cannot be read: {error}") from None
        for step_id, key in rows:
            flow, _, step = step_id.partition(".")
            if flow != flow_id:
                raise StartError(f"recovery store {folder}: it belongs to another flow, {flow}")
            stored.setdefault(step.partition(".")[0], set()).add(key)
    if counts and counts != {len(files)}:
        raise StartError(
            f"recovery store {folder}: it was made with {max(counts)} partitions and {len(files)} are there"
        )
    return stored


def hold_store(folder: Path, process: str) -> None:
    """Keep others from starting on a recovery store as the same process of a cluster, until this one ends.

    A second flow would find the data folder in use, and end, but only after the engine has noted its start in the
    store: the next start would go on from there, of which the flow that is running has dropped parts since. Raises
    StartError if there is one.
    """
    path = folder / f"process-{process}.lock"
    with _locking(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        _held.append(descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 300).decode(errors="replace").strip()
            raise StartError(
                f"recovery store {folder}: another flow ({holder or 'an unknown process'}) is running on it"
            ) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode())


@contextmanager
def _locking(path: Path) -> Iterator[None]:
    """Around what is done with a lock file. Raises StartError where the file system does not do it."""
    try:
        yield
    except OSError as error:
        raise StartError(
            f"recovery store {path.parent}: {path.name}: cannot be locked: {error.strerror}"
        ) from None


def forget(folder: Path, step: str) -> None:
    """Let a step of a store that nobody runs on begin from nothing. Raises StoreError."""
    for file in part_files(folder):
        try:
            with closing(sqlite3.connect(file)) as connection, connection:
                connection.execute(
                    "DELETE FROM snaps WHERE step_id = ? OR step_id LIKE ?", [step, f"{step}.%"]
                )
        except sqlite3.Error as error:
            raise StoreError(f"{file}: cannot be changed: {error}") from None


def hold_running(folder: Path) -> None:
    """Say that this process runs on the store, until it ends: all processes of its flow have found each other, and will
    write. Raises StartError."""
    path = folder / _RUNNING
    with _running:
        if path in _running_on:
            return
        with _locking(path):
            _held.append(os.open(path, os.O_RDWR | os.O_CREAT, 0o644))
            fcntl.flock(_held[-1], fcntl.LOCK_SH)
        _running_on.add(path)


def drop_broken_off(folder: Path) -> None:
    """Delete what the last execution wrote of an epoch that did not end. Nobody may run on the store.

    The engine resumes at that epoch, and leaves such a row there until its key is asked in the very same epoch. If it
    is not, the start after this one would go on from it: what came in that epoch would count twice. Raises as `_delete`
    does.
    """
    _delete(folder, "snap_epoch >= ?", [_resume_epoch(folder)])


def drop_broken_off_of_cluster(folder: Path) -> None:
    """The same for a process of a cluster, before it looks for the others: those of the last execution must have ended,
    as they may still note that an epoch is over, and those of this one cannot have written anything yet. Waits for the
    former. Raises FlowError if they go on, and as `drop_broken_off` does."""
    deadline = time.monotonic() + OTHERS_SECONDS
    waiting = f"waiting for processes of an earlier start on recovery store {folder} to end"
    with _alone(folder / _DROPPING, deadline), _alone(folder / _RUNNING, deadline, waiting):
        drop_broken_off(folder)


@contextmanager
def _alone(path: Path, deadline: float, waiting: str | None = None) -> Iterator[None]:
    """Hold a lock file that nobody else holds, not even shared. Says that it waits, if it does. Raises FlowError where
    it does in vain, and StartError."""
    with _locking(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        while not _locked(path, descriptor):
            if time.monotonic() > deadline:
                raise FlowError(
                    f"recovery store {path.parent}: processes of an earlier start are still running on it"
                )
            if waiting is not None:
                warn("peers", text=waiting)
                waiting = None
            time.sleep(_LOOK_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _locked(path: Path, descriptor: int) -> bool:
    with _locking(path):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _resume_epoch(folder: Path) -> int:
    """Where the engine will go on: the first epoch that not all workers of the last execution have ended."""
    executions: list[tuple[int, int, int]] = []
    fronts: dict[tuple[int, int], int] = {}
    for file in part_files(folder):
        try:
            with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
                executions += connection.execute("SELECT ex_num, resume_epoch, worker_count FROM exs")
                for execution, worker, epoch in connection.execute(
                    "SELECT ex_num, worker_index, worker_frontier FROM fronts"
                ):
                    fronts[execution, worker] = max(epoch, fronts.get((execution, worker), 0))
        except sqlite3.Error as error:
            raise StartError(f"recovery store {folder}: {file.name} cannot be read: {error}") from None
    if not executions:
        return 0
    last, begun, workers = max(executions)
    return min(max(begun, fronts.get((last, worker), 0)) for worker in range(workers))


def drop_given_up(folder: Path, step: str) -> None:
    """Delete the rows that say of a step's keys that they were given up. The engine never does, and looks through all
    rows in each epoch.

    For a step of which an older row may come back: other steps name the keys that count. Raises as `_delete` does.
    """
    _delete(folder, "ser_change IS NULL AND (step_id = ? OR step_id LIKE ?)", [step, f"{step}.%"])


def _delete(folder: Path, condition: str, values: list[int] | list[str]) -> None:
    """Delete rows of snapshots from all parts; a part without any is only read. Raises StartError, or FlowError where a
    restart may help: the disk is full, say."""
    rows = f"FROM snaps WHERE {condition}"
    for file in part_files(folder):
        try:
            with closing(sqlite3.connect(file, timeout=BUSY_SECONDS)) as connection, connection:
                if connection.execute(f"SELECT 1 {rows} LIMIT 1", values).fetchone():
                    connection.execute(f"DELETE {rows}", values)
        except sqlite3.Error as error:
            text = f"recovery store {folder}: {file.name} cannot be changed: {error}"
            if (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _PASSING:
                raise FlowError(text) from None
            raise StartError(text) from None


def hold_whole_store(folder: Path, process: str = "0") -> None:
    """The same against all processes of a flow. Raises StartError."""
    for each in sorted({process, *(lock.stem.partition("-")[2] for lock in folder.glob(_LOCKS))}):
        hold_store(folder, each)


def make(folder: Path, parts: int) -> None:
    """Make a store of this many parts, for this user alone. Raises StoreError."""
    if not 1 <= parts <= MAX_PARTS:
        raise StoreError(f"PARTS must be from 1 to {MAX_PARTS:,}, not {parts}")
    others = os.umask(0o077)
    try:
        _make(folder, parts)
    finally:
        os.umask(others)


def _make(folder: Path, parts: int) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if part_files(folder):
            raise StoreError(f"{folder}: there is a recovery store already")
        if shutil.disk_usage(folder).free < parts * _NEW_PART_BYTES:
            raise StoreError(
                f"{folder}: cannot make it: {os.strerror(errno.ENOSPC)}"
            )  # the engine would panic
        init_db_dir(folder, parts)
    except OSError as error:
        raise StoreError(f"{folder}: cannot make it: {error.strerror}") from None
    except RuntimeError as error:
        raise StoreError(f"{folder}: cannot make it: {error}") from None
    for file in part_files(folder):
        _pack(file)


def pack(folder: Path) -> tuple[int, int]:
    """Rewrite all parts in large pages, without what is no longer used; the bytes before and after.

    Whenever the process dies, each part is as it was or as it should be. Raises StoreError, and StartError if a flow
    runs on the store.
    """
    files = part_files(folder)
    if not files:
        raise StoreError(f"{folder}: there is no recovery store")
    hold_whole_store(folder)
    before = _size(files)
    for file in files:
        _pack(file)
    return before, _size(files)


def part_files(folder: Path) -> list[Path]:
    """The files of a store, in order."""
    return sorted(folder.glob("part-*.sqlite3"))


def _pack(file: Path) -> None:
    try:
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")  # else the size of pages is fixed
            connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            connection.execute("VACUUM")
            connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.Error as error:
        raise StoreError(f"{file}: cannot be packed: {error}") from None


def _size(files: list[Path]) -> int:
    return sum(file.stat().st_size for file in files)
