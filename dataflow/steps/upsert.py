"""Upsert: monitor retrieval or creation. Keyed by the monitor's key group."""

from __future__ import annotations

import msgspec

from dataflow.monitors.check_in import NO_MINUTE, CheckIn, Control
from dataflow.monitors.registry import Key, KnownMonitor
from dataflow.monitors.upserts import Upserts, no_changes
from dataflow.steps.control_rows import control_row
from dataflow.steps.key_group import KeyGroup, restored, restored_blocks
from dataflow.steps.processing_error_rows import rejection
from dataflow.steps.snapshot_blocks import Blocks
from dataflow.stream.codecs import SnapshotCodec, block_decoder
from dataflow.stream.ends import Ends
from dataflow.stream.items import Chunk, Item, Records
from dataflow.stream.key_groups import group_keys
from dataflow.stream.watermark import Watermark
from state.schema.catalogue import Deletes, by_table
from state.schema.tables.monitors import ConfigRow, MonitorRow, MonitorStatusRow

BLOCK = tuple[list[Key], list[KnownMonitor]]
_decode_block = block_decoder(BLOCK)
_OWNED = (MonitorRow, MonitorStatusRow, ConfigRow)
"""Of what goes with its monitor."""


class UpsertState(msgspec.Struct, array_like=True):
    """What a snapshot of the step holds. In version 1 the monitors were not in blocks."""

    watermark: tuple[int, dict[str, int]]
    monitors: list[KnownMonitor]
    blocks: list[bytes] = []


class Upsert(KeyGroup[Chunk, Chunk | Records]):
    """One key group of monitors.

    Hands accepted check-ins, and changes of monitors, on to the running state, and the watermark of all gate groups
    after them.
    """

    CODEC = SnapshotCodec("upsert", 2, UpsertState)

    def __init__(self, gate_groups: int, max_environments: int, snapshot: bytes | None) -> None:
        self._rules = Upserts(max_environments)
        self._registry = self._rules.registry
        self._blocks: Blocks[Key] = Blocks()
        state = restored(self.CODEC, snapshot)
        self._watermark = Watermark(group_keys(gate_groups), state.watermark if state is not None else None)
        self._ends = Ends(range(gate_groups))
        if state is not None:
            self._registry.restore(state.monitors)
            self._registry.restore(
                restored_blocks(self.CODEC, self._blocks, state.blocks, _decode_block, _key_of)
            )

    def state(self) -> UpsertState:
        """What a snapshot holds."""
        monitors = self._registry.monitors
        blocks = self._blocks.update(
            self._registry.take_changed(), len(monitors), monitors.get, lambda: list(monitors.values())
        )
        return UpsertState(self._watermark.state(), [], blocks)

    def apply(self, chunks: list[Chunk]) -> list[Chunk | Records]:
        """Pass on what has its monitor; reject the rest with one processing error each."""
        items: list[Item] = []
        changes = no_changes()
        advanced = is_last = False
        rules, is_ready = self._rules, self._registry.is_ready
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
        out: list[Chunk | Records] = []
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


def _key_of(monitor: KnownMonitor) -> Key:
    return monitor.project_id, monitor.slug
