"""Checks before the start: what the engine would answer with a panic gets one clear line here."""

from __future__ import annotations

import argparse
import os
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

from dataflow.failure import StartError
from dataflow.keys import group_keys
from dataflow.settings import Settings

Stored = dict[str, set[str]]
"""Step ids without the flow's, and the state keys that a recovery store holds for them."""


def check_data_dir(folder: Path) -> None:
    """Make the data folder. Raises StartError if it cannot be made or written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(f"CRONWAX_DATA_DIR: {folder} cannot be made: {error.strerror}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StartError(f"CRONWAX_DATA_DIR: {folder} is not writable")


def recovery_directory(arguments: Sequence[str], environment: Mapping[str, str]) -> Path | None:
    """The recovery store that the engine was told to use, on its command line or in its environment."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=True)
    parser.add_argument("-r", "--recovery-directory", default=environment.get("BYTEWAX_RECOVERY_DIRECTORY"))
    known, _ = parser.parse_known_args(list(arguments[1:]))
    return Path(known.recovery_directory) if known.recovery_directory else None


def check_recovery_store(
    folder: Path | None, flow_id: str, settings: Settings, parts: Mapping[str, Sequence[str]]
) -> None:
    """Compare the recovery store with the flow. Raises StartError where it cannot be resumed from.

    `parts` holds the partitions of each source step.
    """
    if folder is None:
        return
    stored = _read_store(folder, flow_id)
    for step, keys in stored.items():
        if step.startswith("source_") and step not in parts:
            raise StartError(
                f"recovery store {folder}: it was made with CRONWAX_SOURCE={step.removeprefix('source_')}, "
                f"this is {settings.source}; use the same source or an empty store"
            )
        if missing := sorted(keys - set(parts.get(step, keys))):
            raise StartError(
                f"recovery store {folder}: its input {', '.join(missing)} is no longer there; "
                "put it back or begin with an empty store"
            )
    expected = {
        "gate": group_keys(settings.gate_groups),
        "sample": group_keys(settings.gate_groups),
        "upsert": group_keys(settings.key_groups),
        "transition": group_keys(settings.key_groups),
    }
    for step, names in expected.items():
        if strange := sorted(stored.get(step, set()) - set(names)):
            made = strange[0].partition("/")[2] or "another number of"
            raise StartError(
                f"recovery store {folder}: step {step} was split into {made} key groups, now it is "
                f"{len(names)}; CRONWAX_KEY_GROUPS is fixed for the life of a store"
            )


def _read_store(folder: Path, flow_id: str) -> Stored:
    files = sorted(folder.glob("part-*.sqlite3")) if folder.is_dir() else []
    if not files:
        raise StartError(
            f"recovery store {folder}: there is none; make one with: "
            f"mkdir -p {folder} && python -m bytewax.recovery {folder} 1"
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
