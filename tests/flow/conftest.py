"""Every snapshot of every run here is checked: what it holds must be all that there is."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from dataflow.monitors.monitor import MonitorState
from dataflow.monitors.times import FAR_MINUTE
from dataflow.steps.snapshot_blocks import Blocks


def _without_place(entry):
    """An entry as a snapshot gives it back, but for the deadlines' bookkeeping, which starts afresh."""
    if hasattr(entry, "scheduled_minute"):
        entry.scheduled_minute = FAR_MINUTE
    for environment in getattr(entry, "environments", {}).values():
        _without_place(environment)
    return entry


def _key_of(entry):
    return entry[:3] if isinstance(entry, tuple) else (entry.project_id, entry.slug)


@pytest.fixture(scope="module", autouse=True)
def snapshots_are_complete(request):
    """Each snapshot holds all that there is.

    Blocks are not written again of themselves, so that what is not noted as changed is missed; but in the modules
    with the mark `usual_blocks` they are when the flow itself would write them again.
    """
    update = Blocks.update

    def checked(self, changed, count, find, everything):
        saved = update(self, changed, count, find, everything)
        entries = everything()
        assert count == len(entries)
        if entries:
            kind = type(entries[0])
            if kind is tuple and len(entries[0]) == len(MonitorState.__struct_fields__):
                kind = MonitorState  # as it is encoded
            width = 3 if kind is tuple else 2
            layout: Any = tuple[list[tuple], list[kind]]  # type: ignore[valid-type]
            restored = Blocks().restore(saved, msgspec.msgpack.Decoder(layout).decode, _key_of)
            held = {_key_of(entry): _without_place(entry) for entry in restored}
            there = msgspec.msgpack.decode(msgspec.msgpack.encode(([], entries)), type=layout)[1]
            assert all(len(key) == width for key in held)
            assert held == {_key_of(entry): _without_place(entry) for entry in there}
        return saved

    with pytest.MonkeyPatch.context() as patch:
        if request.node.get_closest_marker("usual_blocks") is None:
            patch.setattr(Blocks, "policy", lambda self, changed, count, sizes, held: False)
        patch.setattr(Blocks, "update", checked)
        yield
