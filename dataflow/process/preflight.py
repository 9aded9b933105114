"""Checks before the start: what the engine would answer with a panic gets one clear line here."""

from __future__ import annotations

import argparse
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from dataflow.process.exit import StartError
from dataflow.process.recovery_store import read_store
from dataflow.settings import Settings
from dataflow.stream.key_groups import group_keys
from state.errors import StateError
from state.program import program
from state.publish import replacement
from state.schema.database import shard_path

_OPTIONS: dict[str, tuple[str, Any]] = {
    "recovery-directory": ("-r", Path),
    "workers-per-process": ("-w", int),
    "process-id": ("-i", int),
    "addresses": ("-a", str),
}
"""The engine's options that are looked at here."""


@dataclass(frozen=True)
class Arguments:
    """The engine's options, from its command line or its environment."""

    recovery_store: Path | None
    workers: int
    process_id: int | None
    addresses: list[str] | None
    process_name: str
    """The process's number in its cluster, or the name of its pod, from which the engine derives that."""


def read_arguments(arguments: Sequence[str], environment: Mapping[str, str]) -> Arguments:
    """Read the engine's arguments, which its own parser has accepted.

    Raises StartError for what it would answer with a panic, or with a process that waits for ever.
    """
    parser = argparse.ArgumentParser(add_help=False)
    for option, (short, kind) in _OPTIONS.items():
        variable = environment.get(f"BYTEWAX_{option.upper().replace('-', '_')}")
        parser.add_argument(short, f"--{option}", type=kind, default=variable)
    found, _ = parser.parse_known_args(list(arguments[1:]))
    workers = 1 if found.workers_per_process is None else found.workers_per_process
    addresses = None if found.addresses is None else found.addresses.split(";")
    if workers < 1:
        raise StartError(f"-w {workers}: there must be at least one worker")
    if addresses is not None:
        _check_cluster(found.process_id, addresses, "BYTEWAX_POD_NAME" in environment)
    process_id = found.process_id
    name = environment.get("BYTEWAX_POD_NAME", "0") if process_id is None else str(process_id)
    return Arguments(found.recovery_directory, workers, process_id, addresses, name)


def _check_cluster(process_id: int | None, addresses: Sequence[str], named_by_pod: bool) -> None:
    for address in addresses:
        host, _, port = address.rpartition(":")
        if not (host and port.isdecimal() and 0 < int(port) < 65536):
            raise StartError(
                f"-a: {address!r} is not HOST:PORT; write -a 'HOST:PORT;HOST:PORT', one a process"
            )
    if len(set(addresses)) < len(addresses):
        raise StartError("-a: two processes cannot have the same address")
    if process_id is None and not named_by_pod:
        raise StartError(f"-i is missing: which of the {len(addresses)} addresses is this process's?")
    if process_id is not None and not 0 <= process_id < len(addresses):
        raise StartError(
            f"-i {process_id}: there are {len(addresses)} addresses, for the processes 0 to {len(addresses) - 1}"
        )


def check_workers(workers: int, settings: Settings) -> None:
    """Refuse more workers than can have anything to do: each takes memory, and time to stop. Raises StartError."""
    if workers > settings.key_groups:
        raise StartError(
            f"-w {workers}: at most {settings.key_groups} workers have anything to do, one for each of "
            "CRONWAX_KEY_GROUPS"
        )


def check_metrics(environment: Mapping[str, str]) -> None:
    """Whether the engine can serve its metrics, if it shall. Raises StartError: else it would run on without them."""
    if "BYTEWAX_DATAFLOW_API_ENABLED" not in environment:
        return
    port = environment.get("BYTEWAX_DATAFLOW_API_PORT", "3030")
    if not (port.isdecimal() and 0 < int(port) < 65536):
        raise StartError(
            f"BYTEWAX_DATAFLOW_API_PORT: {port!r} is not a port; it must be a number from 1 to 65535"
        )
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("0.0.0.0", int(port)))  # noqa: S104 - as the engine will
        except OSError as error:
            raise StartError(
                f"BYTEWAX_DATAFLOW_API_PORT: metrics cannot be served at port {port}: {error.strerror}; "
                "each process needs a free one of its own"
            ) from None
    folder = Path(environment.get("BYTEWAX_DATAFLOW_API_CACHE_PATH", "."))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StartError(
            f"BYTEWAX_DATAFLOW_API_CACHE_PATH: the engine could not write dataflow.json into {folder}"
        )


def check_data_dir(folder: Path) -> None:
    """Make the data folder. Raises StartError if it cannot be made or written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(f"CRONWAX_DATA_DIR: {folder} cannot be made: {error.strerror}") from None
    try:
        TemporaryFile(dir=folder).close()
    except OSError as error:
        raise StartError(f"CRONWAX_DATA_DIR: {folder} is not writable: {error.strerror}") from None
    try:
        replacement.check_command(folder, None)
    except StateError as error:
        raise StartError(str(error)) from None


def check_recovery_store(
    folder: Path | None,
    flow_id: str,
    settings: Settings,
    parts: Mapping[str, Sequence[str]],
    needs_tables: bool = True,
) -> None:
    """Compare the recovery store with the flow. Raises StartError where it cannot be resumed from.

    `parts` holds the partitions of each source step; `needs_tables`: the files of the tables must be there.
    """
    if folder is None:
        return
    stored = read_store(folder, flow_id)
    for shard in sorted(stored.get("tables", ())):
        file = shard_path(settings.data_dir, int(shard))
        if needs_tables and not file.exists():
            raise StartError(
                f"recovery store {folder}: what it goes on from was written to {file}, which is not there; "
                "set CRONWAX_DATA_DIR to the folder it was made with, make the tables again from the inputs "
                f"({program()} repair -r {folder}), or begin with an empty store"
            )
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
    shards = 1 + max(map(int, stored.get("tables", ())), default=0)
    if shards > settings.state_shards:
        raise StartError(
            f"recovery store {folder}: its tables were split into at least {shards} shards, now it is "
            f"{settings.state_shards}; CRONWAX_STATE_SHARDS is fixed for the life of a store and its data folder"
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
