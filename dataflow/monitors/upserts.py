"""What check-ins and controls make of the monitors of one key group, and what goes on to their running state.

Each accepted check-in goes on after the change of its monitor that it made.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, TypedDict, TypeVar

from dataflow.monitors.changes import (
    Change,
    EnvironmentMuted,
    EnvironmentReset,
    IncidentAcknowledged,
    MaintenanceSet,
    MonitorChanged,
    MonitorDeleted,
)
from dataflow.monitors.check_in import CheckIn, Control, Errors, Seat, source_of
from dataflow.monitors.errors import ErrorType
from dataflow.monitors.registry import Held, Key, KnownMonitor, Registry
from dataflow.monitors.silences import Silence
from dataflow.monitors.times import NO_TIME, Microseconds, Minute
from state.schema.tables.monitors import ConfigRow, MonitorRow, MonitorStatusRow


class Outbox(Protocol):
    """Takes, in order, what goes on."""

    def append(self, item: CheckIn | Change | MaintenanceSet, /) -> None:
        """Take one more."""


class Changes(NamedTuple):
    """What happened to the monitors: rows of tables, and what was rejected."""

    monitors: list[MonitorRow]
    configs: list[ConfigRow]
    """Configs that no longer hold."""
    statuses: list[MonitorStatusRow]
    deleted: list[Key]
    """Monitors that are gone, before what the other lists hold happened."""
    rejected: list[tuple[CheckIn | Control, Errors]]
    """Also what was accepted with a complaint."""
    controls: list[Control]
    """Those that took effect."""


def no_changes() -> Changes:
    """Lists to be filled."""
    return Changes([], [], [], [], [], [])


class Upserts:
    """The monitors of one key group, as their check-ins and controls make them."""

    __slots__ = ("registry",)

    def __init__(self, max_environments: int) -> None:
        self.registry = Registry(max_environments)

    def check_in(self, item: CheckIn, out: Outbox, changes: Changes) -> None:
        """Take a check-in that is not of the usual kind (see `Registry.is_ready`)."""
        before = self.registry.held_by(item)
        monitor, changed, errors, complaint = self.registry.retrieve(item)
        if changed:
            assert monitor is not None
            _note_replaced(before, monitor, item, changes)
            changes.monitors.append(monitor.row())
            out.append(_changed(monitor, item, False))
            if item.seat in (Seat.CREATE_DISABLED, Seat.ENABLE):
                changes.statuses.append(monitor.status_row(item.received_us))
        if errors is not None:
            changes.rejected.append((item, errors))
            return
        if complaint is not None:
            changes.rejected.append((item, complaint))
        out.append(item)

    def control(self, control: Control, out: Outbox, changes: Changes) -> None:
        """Take a control about a monitor, or a maintenance, which may be about any."""
        if control.silence is not None:
            self._maintenance(control, control.silence, out)
            return
        errors: Errors | None = None
        if control.kind == "upsert_monitor":
            errors = self._upsert_monitor(control, out, changes)
        elif control.kind == "set_monitor_status":
            changed = self.registry.set_status(control)
            if changed is not None:
                changes.monitors.append(changed.row())
                changes.statuses.append(changed.status_row(control.received_us))
                out.append(_changed(changed, control, False))
        elif control.kind == "mute":
            errors = self._mute(control, out, changes)
        elif control.kind == "delete_monitor":
            errors = self._delete(control, out, changes)
        elif control.kind == "reset":
            errors = self._reset(control, out)
        elif control.kind == "acknowledge_incident":
            errors = self._acknowledge(control, out)
        if errors:
            changes.rejected.append((control, errors))
        if control.kind == "acknowledge_incident":
            return  # whether it takes effect is known where the incident is
        if (
            not errors or control.kind == "upsert_monitor"
        ):  # which at the most complains that there is no seat
            changes.controls.append(control)

    def _upsert_monitor(self, control: Control, out: Outbox, changes: Changes) -> Errors | None:
        before = self.registry.held_by(control)
        monitor, reschedule = self.registry.upsert_monitor(control)
        _note_replaced(before, monitor, control, changes)
        changes.monitors.append(monitor.row())
        out.append(_changed(monitor, control, reschedule))
        if control.flag is False:
            changes.statuses.append(monitor.status_row(control.received_us))
            return [{"type": ErrorType.MONITOR_DISABLED_NO_QUOTA}]
        return None

    def _mute(self, control: Control, out: Outbox, changes: Changes) -> Errors | None:
        monitor = self.registry.mute(control)
        if isinstance(monitor, list):
            return monitor
        if control.environment is None:
            changes.monitors.append(monitor.row())
            out.append(_changed(monitor, control, False))
            return None
        out.append(
            EnvironmentMuted(
                project_id=monitor.project_id,
                slug=monitor.slug,
                environment=control.environment,
                is_muted=bool(control.flag),
                **_when(control),
            )
        )
        return None

    def _delete(self, control: Control, out: Outbox, changes: Changes) -> Errors | None:
        monitor = self.registry.delete(control)
        if isinstance(monitor, list):
            return monitor
        key = (monitor.project_id, monitor.slug)
        if control.environment is None:
            _drop(changes.monitors, key)
            _drop(changes.configs, key)
            _drop(changes.statuses, key)
            changes.deleted.append(key)
        out.append(
            MonitorDeleted(
                project_id=monitor.project_id,
                slug=monitor.slug,
                environment=control.environment,
                **_when(control),
            )
        )
        return None

    def _reset(self, control: Control, out: Outbox) -> Errors | None:
        monitor = self.registry.find(control)
        if isinstance(monitor, list):
            return monitor
        out.append(
            EnvironmentReset(
                project_id=monitor.project_id,
                slug=monitor.slug,
                environment=control.environment,
                **_when(control),
            )
        )
        return None

    def _acknowledge(self, control: Control, out: Outbox) -> Errors | None:
        monitor = self.registry.find(control)
        if isinstance(monitor, list):
            return monitor
        assert control.environment is not None
        out.append(
            IncidentAcknowledged(
                project_id=monitor.project_id,
                slug=monitor.slug,
                environment=control.environment,
                **_when(control),
                control=control,
            )
        )
        return None

    def _maintenance(self, control: Control, silence: Silence, out: Outbox) -> None:
        """Hand on one in which misses do not count.

        The running state knows owners and organizations as changes of monitors have said them, and of monitors that are
        older than that nothing. So those that a new one is about are said again before it.
        """
        if silence.ended_us == NO_TIME and (silence.project_id is None or silence.owner is not None):
            for monitor in list(self.registry.monitors.values()):
                if silence.covers_monitor(
                    monitor.organization_id, monitor.project_id, monitor.slug, monitor.owner
                ):
                    out.append(_changed(monitor, control, False))
        out.append(MaintenanceSet(silence, control.received_us))


class _When(TypedDict):
    """When a change comes, by the fields that all kinds of it have."""

    at_us: Microseconds
    clock_minute: Minute
    source: int | None
    reached_minute: Minute


def _when(control: Control) -> _When:
    return {
        "at_us": control.received_us,
        "clock_minute": control.clock_minute,
        "source": source_of(control.topic, control.partition),
        "reached_minute": control.reached_minute,
    }


_Owned = TypeVar("_Owned", MonitorRow, MonitorStatusRow, ConfigRow)


def _drop(rows: list[_Owned], key: Key) -> None:
    rows[:] = [row for row in rows if (row.project_id, row.slug) != key]


def _note_replaced(
    before: Held | None, monitor: KnownMonitor, by: CheckIn | Control, changes: Changes
) -> None:
    if before is not None and before != monitor.held():
        changes.configs.append(monitor.replaced_row(before, by))


def _changed(monitor: KnownMonitor, item: CheckIn | Control, reschedule: bool) -> MonitorChanged:
    changed = MonitorChanged(
        project_id=monitor.project_id,
        slug=monitor.slug,
        name=monitor.name,
        is_disabled=monitor.is_disabled,
        is_muted=monitor.is_muted,
        config=monitor.config,
        at_us=item.received_us,
        clock_minute=item.clock_minute,
        reschedule=reschedule,
        organization_id=monitor.organization_id,
        owner=monitor.owner,
    )
    if isinstance(item, CheckIn):
        changed.source, changed.environment, changed.start_us = item.source, item.environment, item.start_us
    else:
        changed.source, changed.reached_minute = source_of(item.topic, item.partition), item.reached_minute
    return changed
