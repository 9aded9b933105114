"""What the snapshots in a recovery store hold, decoded by today's layouts, of whatever version they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import zstandard

from dataflow.sampling.sampler import Waiting, place_of
from dataflow.steps.snapshot_blocks import Saved
from tests.golden.structures import STORED


def state_of(step: str, snapshot: bytes) -> Any:
    """The state in a step's snapshot. Raises msgspec.ValidationError."""
    _, raw = msgspec.msgpack.decode(snapshot, type=tuple[int, msgspec.Raw])
    return msgspec.msgpack.decode(raw, type=STORED[step][1]["state"])


def entries_of(step: str, state: Any) -> list[Any]:
    """The entries in a state's blocks; those of gate are tuples that begin with the organization."""
    layout = next((hint for name, hint in STORED[step][1].items() if name.startswith("block of")), None)
    entries: dict[Any, Any] = {}
    for block in getattr(state, "blocks", None) or getattr(state, "members", None) or ():
        data = zstandard.ZstdDecompressor().decompress(block)
        gone, there = msgspec.msgpack.decode(data, type=layout)
        for key in gone:
            entries.pop(key, None)
        entries |= {_key_of(entry): entry for entry in there}
    return list(entries.values())


def structures_in(step: str, snapshot: bytes) -> Iterator[Any]:
    """Every structure that a snapshot holds, at any depth."""
    state = state_of(step, snapshot)
    yield from _within(state)
    yield from _within(entries_of(step, state))
    for part, hint in STORED[step][1].items():
        if part in ("organizations", "rules"):
            yield from _within(msgspec.convert(getattr(state, part), hint))


def _within(value: Any) -> Iterator[Any]:
    if isinstance(value, msgspec.Struct):
        yield value
        value = msgspec.structs.astuple(value)
    elif isinstance(value, Saved):
        yield value
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list | tuple):
        return
    for each in value:
        yield from _within(each)


def _key_of(entry: Any) -> Any:
    if isinstance(entry, tuple):
        return entry[:3]
    if isinstance(entry, Waiting):
        return place_of(entry)
    return entry.project_id, entry.slug
