"""Upsert: monitor retrieval or creation. Keyed by the monitor's key group."""

from __future__ import annotations

from dataflow.monitors.check_in import NO_MINUTE, CheckIn, Control
from dataflow.monitors.upserts import Upserts, no_changes
from dataflow.steps.control_rows import control_row
from dataflow.steps.key_group import KeyGroup, restored
from dataflow.steps.processing_error_rows import rejection
from dataflow.steps.snapshot_blocks import BlockStore
from dataflow.steps.upsert_state import SNAPSHOTS, SavedRegistry, UpsertState
from dataflow.stream.ends import Ends
from dataflow.stream.items import BlockWrite, Chunk, Item, Records
from dataflow.stream.key_groups import group_keys
from dataflow.stream.watermark import Watermark
from state.schema.catalogue import Deletes, by_table
from state.schema.tables.monitors import ConfigRow, MonitorRow, MonitorStatusRow

_OWNED = (MonitorRow, MonitorStatusRow, ConfigRow)
"""Of what goes with its monitor."""


class Upsert(KeyGroup[Chunk, Chunk | Records | BlockWrite]):
    """One key group of monitors.

    Hands accepted check-ins, and changes of monitors, on to the running state, and the watermark of all gate groups
    after them.
    """

    CODEC = SNAPSHOTS

    def __init__(
        self, gate_groups: int, max_environments: int, snapshot: bytes | None, store: BlockStore | None = None
    ) -> None:
        self._rules = Upserts(max_environments)
        self.registry = self._rules.registry
        """To be read only."""
        self._saved = SavedRegistry(self.registry, store)
        state = restored(self.CODEC, snapshot)
        self._watermark = Watermark(group_keys(gate_groups), state.watermark if state is not None else None)
        self._ends = Ends(range(gate_groups))
        if state is not None:
            self.registry.restore(self._saved.restore(state))

    def state(self) -> UpsertState:
        """What a snapshot holds."""
        saved = self._saved.saved()
        return UpsertState(self._watermark.state(), [], saved.blocks, saved.names)

    def apply(self, chunks: list[Chunk]) -> list[Chunk | Records | BlockWrite]:
        """Pass on what has its monitor; reject the rest with one processing error each."""
        items: list[Item] = []
        changes = no_changes()
        advanced = is_last = False
        rules, is_ready = self._rules, self.registry.is_ready
        for chunk in chunks:
            for item in chunk.items:
                if type(item) is CheckIn:
                    if is_ready(item):
                        items.append(item)
                    else:
                        rules.check_in(item, items, changes)
                else:
                    assert isinstance(item, Control)
                    rules.control(item, items, changes)
            if chunk.clock_minute != NO_MINUTE:
                advanced |= self._watermark.advance(chunk.origin, chunk.clock_minute)
            if chunk.is_last:
                is_last |= self._ends.take(chunk.origin)
        group = chunks[0].target
        self._saved.work()
        out: list[Chunk | Records | BlockWrite] = [*self._saved.hand_over(f"upsert/{group}")]
        if items or advanced or is_last:
            mark = self._watermark.minute if advanced else NO_MINUTE
            out.append(Chunk(group, group, items, mark, is_last=is_last))
        rejected = [rejection(item, errors) for item, errors in changes.rejected]
        controls = [control_row(control) for control in changes.controls]
        rows = by_table(changes.monitors, changes.configs, changes.statuses, controls, rejected)
        deletes: Deletes = {row.TABLE.name: [*changes.deleted] for row in _OWNED} if changes.deleted else {}
        if rows or deletes:
            out.append(Records(group, rows, deletes=deletes))
        return out
