"""Upsert: monitor retrieval or creation. Keyed by the monitor's key group."""

from __future__ import annotations

import msgspec

from dataflow.monitors.check_in import NO_MINUTE, CheckIn, Control, Errors, Seat, source_of
from dataflow.monitors.config import MonitorConfig
from dataflow.monitors.errors import ErrorType
from dataflow.monitors.journal import Row
from dataflow.monitors.registry import Key, KnownMonitor, Registry
from dataflow.steps.key_group import KeyGroup, restored, restored_blocks
from dataflow.steps.processing_error_rows import rejection
from dataflow.steps.snapshot_blocks import Blocks
from dataflow.stream.codecs import SnapshotCodec, block_decoder
from dataflow.stream.items import Chunk, EnvironmentMuted, Item, MonitorChanged, MonitorDeleted, Records
from dataflow.stream.key_groups import group_keys
from dataflow.stream.watermark import Watermark

_decode_block = block_decoder(tuple[list[Key], list[KnownMonitor]])


class UpsertState(msgspec.Struct, array_like=True):
    """What a snapshot of the step holds. In version 1 the monitors were not in blocks."""

    watermark: tuple[int, dict[str, int]]
    monitors: list[KnownMonitor]
    blocks: list[bytes] = []


class Upsert(KeyGroup[Chunk, Chunk | Records]):
    """One key group of monitors.

    Hands accepted check-ins on to the lifecycle, each behind the change of its monitor that it made, and the
    watermark of all gate groups behind them.
    """

    CODEC = SnapshotCodec("upsert", 2, UpsertState)

    def __init__(self, gate_groups: int, max_environments: int, snapshot: bytes | None) -> None:
        self._registry = Registry(max_environments)
        self._replaced: list[Row] = []
        """Rows about configs that no longer hold, of this call."""
        self._blocks: Blocks[Key] = Blocks()
        state = restored(self.CODEC, snapshot)
        self._watermark = Watermark(group_keys(gate_groups), state.watermark if state is not None else None)
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
        rejected: list[Row] = []
        monitors: list[Row] = []
        statuses: list[Row] = []
        advanced = False
        is_ready = self._registry.is_ready
        for chunk in chunks:
            for item in chunk.items:
                if type(item) is CheckIn:
                    if is_ready(item):
                        items.append(item)
                    else:
                        self._check_in(item, items, monitors, statuses, rejected)
                else:
                    assert isinstance(item, Control)
                    if errors := self._control(item, items, monitors, statuses):
                        rejected.append(rejection(item, errors))
            if chunk.clock_minute != NO_MINUTE:
                advanced |= self._watermark.advance(chunk.origin, chunk.clock_minute)
        group = chunks[0].target
        out: list[Chunk | Records] = []
        if items or advanced:
            mark = self._watermark.minute if advanced else NO_MINUTE
            out.append(Chunk(group, group, items, mark))
        rows = {"monitors": monitors} if monitors else {}
        if self._replaced:
            rows["monitor_config_history"], self._replaced = self._replaced, []
        if statuses:
            rows["monitor_status_history"] = statuses
        if rejected:
            rows["processing_errors"] = rejected
        if rows:
            out.append(Records(group, rows))
        return out

    def _check_in(
        self,
        item: CheckIn,
        items: list[Item],
        monitors: list[Row],
        statuses: list[Row],
        rejected: list[Row],
    ) -> None:
        before = self._registry.config_of(item)
        monitor, changed, errors, complaint = self._registry.retrieve(item)
        if changed:
            assert monitor is not None
            self._replace(before, monitor, item.received_us)
            monitors.append(monitor.row())
            items.append(_changed(monitor, item, False))
            if item.seat in (Seat.CREATE_DISABLED, Seat.ENABLE):
                statuses.append(monitor.status_row(item.received_us))
        if errors is not None:
            rejected.append(rejection(item, errors))
            return
        if complaint is not None:
            rejected.append(rejection(item, complaint))
        items.append(item)

    def _replace(self, before: MonitorConfig | None, monitor: KnownMonitor, at_us: int) -> None:
        if before is not None and before is not monitor.config:  # equal ones are one object
            self._replaced.append(monitor.replaced_row(before, at_us))

    def _control(
        self, control: Control, items: list[Item], monitors: list[Row], statuses: list[Row]
    ) -> Errors | None:
        if control.kind == "upsert_monitor":
            before = self._registry.config_of(control)
            monitor, reschedule = self._registry.upsert_monitor(control)
            self._replace(before, monitor, control.received_us)
            monitors.append(monitor.row())
            items.append(_changed(monitor, control, reschedule))
            if control.flag is False:
                statuses.append(monitor.status_row(control.received_us))
                return [{"type": ErrorType.MONITOR_DISABLED_NO_QUOTA}]
        elif control.kind == "set_monitor_status":
            changed = self._registry.set_status(control)
            if changed is not None:
                monitors.append(changed.row())
                statuses.append(changed.status_row(control.received_us))
                items.append(_changed(changed, control, False))
        elif control.kind == "mute":
            return self._mute(control, items, monitors)
        elif control.kind == "delete_monitor":
            return self._delete(control, items, monitors, statuses)
        return None

    def _mute(self, control: Control, items: list[Item], monitors: list[Row]) -> Errors | None:
        monitor = self._registry.mute(control)
        if isinstance(monitor, list):
            return monitor
        if control.environment is None:
            monitors.append(monitor.row())
            items.append(_changed(monitor, control, False))
        else:
            items.append(
                EnvironmentMuted(
                    monitor.project_id,
                    monitor.slug,
                    control.environment,
                    bool(control.flag),
                    control.received_us,
                    control.clock_minute,
                    source_of(control.topic, control.partition),
                    control.reached_minute,
                )
            )
        return None

    def _delete(
        self, control: Control, items: list[Item], monitors: list[Row], statuses: list[Row]
    ) -> Errors | None:
        if errors := self._registry.delete(control):
            return errors
        assert control.project_id is not None
        assert control.slug is not None
        if control.environment is None:
            monitors.append((control.project_id, control.slug))
            self._replaced.append((control.project_id, control.slug))
            statuses.append((control.project_id, control.slug))
        items.append(
            MonitorDeleted(
                control.project_id,
                control.slug,
                control.environment,
                control.received_us,
                control.clock_minute,
                source_of(control.topic, control.partition),
                control.reached_minute,
            )
        )
        return None


def _key_of(monitor: KnownMonitor) -> Key:
    return monitor.project_id, monitor.slug


def _changed(monitor: KnownMonitor, item: CheckIn | Control, reschedule: bool) -> MonitorChanged:
    changed = MonitorChanged(
        monitor.project_id,
        monitor.slug,
        monitor.name,
        monitor.is_disabled,
        monitor.is_muted,
        monitor.config,
        item.received_us,
        item.clock_minute,
        reschedule,
    )
    if isinstance(item, CheckIn):
        changed.source, changed.environment, changed.start_us = item.source, item.environment, item.start_us
    else:
        changed.source, changed.reached_minute = source_of(item.topic, item.partition), item.reached_minute
    return changed
