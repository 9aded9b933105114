"""A recovery store is one flow's at a time; the engine does not see to that."""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path

from dataflow.process.exit import StartError

LOCKS = "process-*.lock"
"""The lock files of a store, one for each process that ever ran on it."""
_held: list[int] = []
"""Descriptors of lock files, open until the process ends: with them the locks would go."""


def hold_store(folder: Path, process: str) -> None:
    """Keep others from starting on a recovery store as the same process of a cluster, until this one ends.

    A second flow would find the data folder in use, and end, but only after the engine has noted its start in the
    store: the next start would go on from there, of which the flow that is running has dropped parts since. Raises
    StartError if there is one.
    """
    path = folder / f"process-{process}.lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        _held.append(descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
    except BlockingIOError:
        holder = os.read(descriptor, 300).decode(errors="replace").strip()
        raise StartError(
            f"recovery store {folder}: another flow ({holder or 'an unknown process'}) is running on it"
        ) from None
    except OSError as error:
        raise StartError(
            f"recovery store {folder}: {path.name}: cannot be locked: {error.strerror}"
        ) from None
