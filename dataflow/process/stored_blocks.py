"""The blocks that a recovery store holds beside the snapshots that name them, read at the start.

They are read before the engine opens the store: the SQLite in Python and the engine's own must not have a file open at
the same time in one process, as the first to close it would drop the locks of the other.
"""

from __future__ import annotations

import io
import pickle
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from dataflow.process.exit import StartError
from dataflow.process.recovery_store import part_files


class StoredBlocks:
    """The blocks of a store, as of a moment at which no flow runs on it."""

    def __init__(self, store: Path, step: str) -> None:
        """`step`: with the flow's name. Raises StartError if the store cannot be read."""
        self.execution = 0
        """How often the engine has begun to run on the store."""
        self._data: dict[str, bytes] = {}
        newest: dict[str, int] = {}
        for file in part_files(store):
            try:
                with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
                    (executions,) = connection.execute("SELECT max(ex_num) FROM exs").fetchone()
                    # Of the newest row: SQLite takes what is not grouped by from where the maximum is.
                    rows = connection.execute(
                        "SELECT state_key, MAX(snap_epoch), ser_change FROM snaps WHERE ser_change IS NOT NULL "
                        "AND (step_id = ? OR step_id LIKE ?) GROUP BY state_key",
                        [step, f"{step}.%"],
                    )
                    for key, epoch, pickled in rows:
                        if epoch > newest.get(key, -1):
                            newest[key] = epoch
                            self._data[key] = _unpickled(pickled)
            except (sqlite3.Error, pickle.UnpicklingError, EOFError, ValueError) as error:
                raise StartError(f"recovery store {store}: {file.name} cannot be read: {error}") from None
            self.execution = max(self.execution, 0 if executions is None else executions + 1)
        self._keys = sorted(newest)

    def read(self, key: str) -> bytes:
        """A block. Raises ValueError if there is none under this key."""
        try:
            return self._data[key]
        except KeyError:
            raise ValueError(f"block {key} is not there") from None

    def keys(self, place: str) -> list[str]:
        """Those of one place."""
        return [key for key in self._keys if key.startswith(f"{place}/")]

    def release(self) -> None:
        """All that is needed has been read."""
        self._data.clear()


class _BytesOnly(pickle.Unpickler):
    """Reads what the engine made of bytes, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it names {module}.{name}")


def _unpickled(pickled: bytes) -> bytes:
    value = _BytesOnly(io.BytesIO(pickled)).load()
    if not isinstance(value, bytes):
        raise pickle.UnpicklingError(f"it is of type {type(value).__name__}")
    return value
