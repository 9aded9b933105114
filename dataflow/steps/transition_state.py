"""What a snapshot of the transition step holds, and how its monitors get into it."""

from __future__ import annotations

import msgspec

from dataflow.monitors.check_in import NO_MINUTE
from dataflow.monitors.decisions import Decisions, TickEvent
from dataflow.monitors.environment import Monitor, MonitorState
from dataflow.monitors.journal import Loss
from dataflow.steps.key_group import read_blocks
from dataflow.steps.snapshot_blocks import Blocks
from dataflow.steps.waiting_items import Key
from dataflow.stream.items import Item

_LAYOUT = tuple[list[Key], list[MonitorState]]


class TransitionState(msgspec.Struct, array_like=True):
    """A key group of the step. Version 1 had only the first two; from version 3 on monitors are in blocks."""

    clock_minute: int
    monitors: list[MonitorState]
    ticks_minute: int = NO_MINUTE
    decisions: Decisions | None = None
    events: list[TickEvent] = []
    parked: list[tuple[int, int, str, list[Item]]] = []
    losses: dict[int, Loss] = {}
    blocks: list[bytes] = []


class SavedMonitors:
    """The blocks of a key group's monitors, kept up with them from snapshot to snapshot."""

    def __init__(self, monitors: dict[Key, Monitor]) -> None:
        self._monitors = monitors
        self._blocks: Blocks[Key] = Blocks()
        self._noted: list[Monitor] = []

    def note(self, monitor: Monitor) -> None:
        """The monitor is made, may change, or is deleted."""
        if not monitor.is_noted:
            monitor.is_noted = True
            self._noted.append(monitor)

    def restore(self, state: TransitionState) -> list[MonitorState]:
        """The monitors of a snapshot, of this or an earlier version."""
        in_blocks: list[MonitorState] = read_blocks(
            "transition", self._blocks, state.blocks, _LAYOUT, _key_of
        )
        return state.monitors + in_blocks

    def blocks(self) -> list[bytes]:
        """The blocks as of now."""
        changed: dict[Key, None] = {}
        for monitor in self._noted:
            monitor.is_noted = False
            changed[monitor.project_id, monitor.slug] = None
        self._noted.clear()
        return self._blocks.update(changed, len(self._monitors), self._find, self._everything)

    def _find(self, key: Key) -> MonitorState | None:
        monitor = self._monitors.get(key)
        return monitor.state() if monitor is not None else None

    def _everything(self) -> list[MonitorState]:
        return [monitor.state() for monitor in self._monitors.values()]


def _key_of(saved: MonitorState) -> Key:
    return saved.project_id, saved.slug
